"""What fits of a run's output into one answer: its first and last halves, and a line that says what is left out."""

from collections.abc import Sequence
from dataclasses import dataclass

from chaser.ids import JobId
from chaser.jobs.ports import Frame, LogStore, Stream

MOST = 1 << 20
HALF = (MOST - 256) // 2
"""Room for the line between the halves is kept free."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    text: str
    left_out: int
    total: int
    """Bytes that the run printed, as far as is known."""

    @property
    def truncated(self) -> bool:
        return self.left_out > 0


async def excerpt(logs: LogStore, job_id: JobId, total: int | None) -> Excerpt:
    """`total` is what the run printed, if its end was measured; else the log is counted."""
    if total == 0:
        return Excerpt("", 0, 0)
    first, last = await logs.ends(job_id, HALF)
    head, tail = _around_the_hole([*first, *last])
    whole = not tail and len(head) <= MOST and not _holed([*first, *last])
    if whole and (total is None or total <= len(head)):
        return Excerpt(head.decode("utf-8", "replace"), 0, len(head))
    if not tail:
        head, tail = head[:HALF], head[HALF:]
    head, tail = _whole_at_the_end(head[:HALF]), _whole_at_the_start(tail[-HALF:])
    if total is None:
        total = await _count(logs, job_id)
    left_out = max(0, total - len(head) - len(tail))
    line = f"\n[chaser: {left_out} bytes are left out here; all that is kept is at /v1/jobs/{job_id}/logs]\n"
    text = head.decode("utf-8", "replace") + (line if left_out else "") + tail.decode("utf-8", "replace")
    return Excerpt(text, left_out, total)


def _holed(frames: Sequence[Frame]) -> bool:
    return any(_hole_before(frames, at) for at in range(len(frames)))


def _hole_before(frames: Sequence[Frame], at: int) -> bool:
    before = frames[at - 1].seq if at else 0
    return frames[at].stream is Stream.GAP or frames[at].seq != before + 1


def _around_the_hole(frames: Sequence[Frame]) -> tuple[bytes, bytes]:
    """The data before the first place at which something is missing, and after the last; all of it and nothing if none."""
    holes = [at for at in range(len(frames)) if _hole_before(frames, at)]
    if not holes:
        return b"".join(frame.data for frame in frames), b""
    before = b"".join(frame.data for frame in frames[: holes[0]])
    return before, b"".join(frame.data for frame in frames[holes[-1] :])


def _whole_at_the_end(data: bytes) -> bytes:
    """Without the beginning of a character whose rest was cut off."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return data[:-back] if length > back else data
    return data


def _whole_at_the_start(data: bytes) -> bytes:
    """Without the end of a character whose beginning was cut off."""
    skip = 0
    while skip < min(3, len(data)) and data[skip] & 0xC0 == 0x80:
        skip += 1
    return data[skip:]


async def _count(logs: LogStore, job_id: JobId) -> int:
    total, after = 0, 0
    while frames := await logs.read(job_id, after, MOST):
        total += sum(len(frame.data) + frame.skipped for frame in frames)
        after = frames[-1].seq
    return total
