"""What fits of a run's output into one answer: its first and last halves, and a line that says what is left out."""

from collections.abc import Sequence
from dataclasses import dataclass

from chaser.ids import JobId
from chaser.jobs.logs import Frame, LogStore, Stream

MOST = 1 << 20
STEP_MOST = 64 << 10
_LINE = 256
"""Room that is kept free for the line between the halves."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    text: str
    left_out: int | None
    """Bytes; none: some, which nobody has counted."""
    total: int | None
    """Bytes that were printed, as far as is known; none: nobody has counted."""

    @property
    def truncated(self) -> bool:
        return self.left_out != 0


async def excerpt(logs: LogStore, job_id: JobId, attempt: int, total: int | None) -> Excerpt:
    """Of all that an attempt has printed. `total` is how much that was, if its end was measured; else it is counted."""
    if total == 0:
        return Excerpt("", left_out=0, total=0)
    first, last = await logs.ends(job_id, _half(MOST), attempt)
    whole = _whole([*first, *last], MOST)
    if whole is not None and (total is None or total <= len(whole)):
        return Excerpt(whole.decode("utf-8", "replace"), left_out=0, total=len(whole))
    head, tail = _halves([*first, *last], MOST)
    if total is None:
        total = await _count(logs, job_id, attempt)
    left_out = max(0, total - len(head) - len(tail))
    said = f"{left_out} bytes are left out here; all that is kept is at /v1/jobs/{job_id}/logs"
    return Excerpt(_joined(head, said if left_out else None, tail), left_out=left_out, total=total)


async def step_excerpt(logs: LogStore, job_id: JobId, attempt: int, step: int) -> Excerpt:
    """Of what one step has printed. What is left out is not counted: it would have to be read."""
    first, last = await logs.ends(job_id, _half(STEP_MOST), attempt, step)
    whole = _whole([*first, *last], STEP_MOST)
    if whole is not None:
        return Excerpt(whole.decode("utf-8", "replace"), left_out=0, total=len(whole))
    head, tail = _halves([*first, *last], STEP_MOST)
    said = f"output is left out here; all that is kept is at /v1/jobs/{job_id}/logs"
    return Excerpt(_joined(head, said, tail), left_out=None, total=None)


def _half(most: int) -> int:
    return (most - _LINE) // 2


def _joined(head: bytes, said: str | None, tail: bytes) -> str:
    line = "" if said is None else f"\n[chaser: {said}]\n"
    return head.decode("utf-8", "replace") + line + tail.decode("utf-8", "replace")


def _whole(frames: Sequence[Frame], most: int) -> bytes | None:
    """All of the output, if nothing is missing and it fits."""
    head, tail = _around_the_hole(frames)
    holed = any(_hole_before(frames, at) for at in range(len(frames)))
    return None if tail or holed or len(head) > most else head


def _halves(frames: Sequence[Frame], most: int) -> tuple[bytes, bytes]:
    half = _half(most)
    head, tail = _around_the_hole(frames)
    if not tail:
        head, tail = head[:half], head[half:]
    return _whole_at_the_end(head[:half]), _whole_at_the_start(tail[-half:])


def _hole_before(frames: Sequence[Frame], at: int) -> bool:
    """Before the first frame there is nothing: an attempt, and a step, begin wherever the one before has ended."""
    follows = at == 0 or frames[at].seq == frames[at - 1].seq + 1
    return frames[at].stream is Stream.GAP or not follows


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


async def _count(logs: LogStore, job_id: JobId, attempt: int) -> int:
    total, after = 0, 0
    while frames := await logs.read(job_id, after, MOST):
        total += sum(len(frame.data) + frame.skipped for frame in frames if frame.attempt == attempt)
        after = frames[-1].seq
    return total
