"""What fits of a run's output into one answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaser.api.excerpt import MOST, STEP_MOST, Excerpt, excerpt, step_excerpt
from chaser.ids import JobId
from chaser.jobs.logs import Frame, Stream
from chaser.jobs.ports import Claim, Fence, Progress

JOB = JobId("job_x")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HALF = (MOST - 256) // 2


@dataclass
class Log:
    """A log in memory, with the contract of `LogStore`."""

    frames: Sequence[Frame]

    async def append(self, claim: Claim, frames: Sequence[Frame], progress: Progress) -> Fence:
        self.frames = [*self.frames, *frames]
        return Fence.HELD

    async def read(self, job_id: JobId, after: int, limit_bytes: int) -> Sequence[Frame]:
        page: list[Frame] = []
        for frame in self.frames[after:]:
            if page and sum(len(one.data) for one in page) + len(frame.data) > limit_bytes:
                break
            page.append(frame)
        return page

    async def last_seq(self, job_id: JobId) -> int:
        return len(self.frames)

    async def ends(
        self, job_id: JobId, half_bytes: int, attempt: int, step: int | None = None
    ) -> tuple[Sequence[Frame], Sequence[Frame]]:
        frames = [one for one in self.frames if one.attempt == attempt and step in {None, one.step}]
        first = _covering(frames, half_bytes)
        last = _covering(frames[len(first) :][::-1], half_bytes)
        return first, last[::-1]


def _covering(frames: Sequence[Frame], size: int) -> Sequence[Frame]:
    taken: list[Frame] = []
    for frame in frames:
        if sum(len(one.data) for one in taken) >= size:
            break
        taken.append(frame)
    return taken


def log(*parts: bytes | int) -> Log:
    """Bytes are output, a number is a gap of so many."""
    return Log(
        [
            Frame(seq, Stream.GAP, NOW, b"", part)
            if isinstance(part, int)
            else Frame(seq, Stream.OUTPUT, NOW, part)
            for seq, part in enumerate(parts, start=1)
        ]
    )


async def test_nothing_is_nothing() -> None:
    shown = await excerpt(log(), JOB, 1, 0)
    assert (shown.text, shown.truncated, shown.total) == ("", False, 0)


async def test_output_up_to_a_mebibyte_is_whole() -> None:
    shown = await excerpt(log(b"a" * (MOST - 1), b"b"), JOB, 1, MOST)
    assert shown.text == "a" * (MOST - 1) + "b"
    assert not shown.truncated


async def test_one_byte_more_is_two_halves_and_a_line_that_counts() -> None:
    shown = await excerpt(log(b"a" * MOST, b"b"), JOB, 1, MOST + 1)
    head, line, tail = shown.text.split("\n")
    assert head == "a" * HALF
    assert tail == "a" * (HALF - 1) + "b"
    assert line.startswith(f"[chaser: {MOST + 1 - 2 * HALF} bytes are left out here;")
    assert len(shown.text.encode()) <= MOST


async def test_what_the_log_does_not_hold_counts_as_left_out() -> None:
    shown = await excerpt(log(b"begin", 1000, b"end"), JOB, 1, 1008)
    assert (
        shown.text
        == f"begin\n[chaser: 1000 bytes are left out here; all that is kept is at /v1/jobs/{JOB}/logs]\nend"
    )
    assert (shown.left_out, shown.total) == (1000, 1008)


async def test_between_two_gaps_nothing_is_shown_and_all_is_counted() -> None:
    shown = await excerpt(log(b"a", 10, b"bbb", 20, b"c"), JOB, 1, 35)
    assert (shown.text[0], shown.text[-1], shown.left_out) == ("a", "c", 33)


async def test_without_a_measured_total_the_log_is_counted() -> None:
    """The service went away before the run's end: what was written is what is known."""
    shown = await excerpt(log(b"x" * MOST, b"y" * MOST, 5), JOB, 1, None)
    assert shown.total == 2 * MOST + 5
    whole = await excerpt(log(b"ab"), JOB, 1, None)
    assert (whole.text, whole.total, whole.truncated) == ("ab", 2, False)


async def test_bytes_that_are_no_utf8_are_replaced() -> None:
    shown = await excerpt(log(b"a\xff", b"\xc3", b"\xa4"), JOB, 1, 4)
    assert shown.text == "a\ufffdä"


@pytest.mark.parametrize("shift", range(4))
async def test_a_cut_never_halves_a_character(shift: int) -> None:
    data = b"x" * shift + "🦊".encode() * (MOST // 2)
    shown = await excerpt(log(data), JOB, 1, len(data))
    assert "\ufffd" not in shown.text
    head, _, tail = shown.text.split("\n")
    assert len(head.encode()) + len(tail.encode()) + (shown.left_out or 0) == len(data)


@given(st.lists(st.one_of(st.binary(max_size=400_000), st.integers(1, 10_000)), max_size=8))
async def test_what_is_shown_and_what_is_left_out_is_all(parts: list[bytes | int]) -> None:
    total = sum(part if isinstance(part, int) else len(part) for part in parts)
    shown = await excerpt(log(*parts), JOB, 1, total)
    assert shown.total == total
    assert shown.left_out is not None
    assert 0 <= shown.left_out <= total
    assert shown.truncated == ("bytes are left out here" in shown.text)
    if total <= MOST and not any(isinstance(part, int) for part in parts):
        assert shown.left_out == 0


def steps(*parts: tuple[int, int, bytes]) -> Log:
    """Attempt, step and data of each frame."""
    return Log(
        [
            Frame(seq, Stream.OUTPUT, NOW, data, attempt=attempt, step=step)
            for seq, (attempt, step, data) in enumerate(parts, start=1)
        ]
    )


async def test_only_the_last_attempt_is_shown() -> None:
    log = steps((1, 0, b"first"), (2, 0, b"sec"), (2, 0, b"ond"))
    for total in (6, None):
        assert await excerpt(log, JOB, 2, total) == Excerpt("second", 0, 6)


async def test_a_step_shows_its_own_output() -> None:
    log = steps((1, 0, b"one"), (1, 1, b"tw"), (1, 1, b"o"), (1, 2, b"three"))
    assert await step_excerpt(log, JOB, 1, 1) == Excerpt("two", 0, 3)
    assert await step_excerpt(log, JOB, 1, 9) == Excerpt("", 0, 0)


async def test_a_step_that_printed_more_shows_its_halves() -> None:
    parts = [(1, 1, bytes([number]) * 1024) for number in range(65, 65 + 26)] * 4
    shown = await step_excerpt(steps((1, 0, b"other"), *parts), JOB, 1, 1)
    head, line, tail = shown.text.split("\n")
    assert (head[0], tail[-1], shown.truncated) == ("A", "Z", True)
    assert line.startswith("[chaser: output is left out here;")
    assert 0 < STEP_MOST - len(shown.text.encode()) < 256
