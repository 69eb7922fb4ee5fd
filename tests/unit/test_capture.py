"""What is known of a sandbox from what it prints."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chaser.clock import ManualClock
from chaser.jobs.logs import Stream
from chaser.sandboxes.capture import Capture, Phase
from chaser.sandboxes.ending import StepRun
from chaser.sandboxes.engine import STDERR, STDOUT
from chaser.sandboxes.markers import End, begin_mark
from chaser.sandboxes.pieces import Piece
from chaser.sandboxes.spec import Launch, Step, Streams, Terms

NONCE = "a" * 32
BEGIN = begin_mark(NONCE, 0)
SECOND = timedelta(seconds=1)


def end(step: int = 0, code: int = 3, kills: int = 1, cut: int = 0) -> bytes:
    return f"\x1eEND {NONCE} {step} {code} {kills} {cut}\x1e\n".encode()


def terms(*steps: Step, streams: Streams = Streams.MERGED) -> Terms:
    return Launch(steps or (Step("true"),), SECOND, streams).terms(NONCE)


@dataclass
class Heard:
    """A sink that keeps what it is given."""

    pieces: list[Piece] = field(default_factory=list[Piece])
    gaps: list[int] = field(default_factory=list[int])
    notes: list[tuple[StepRun, ...]] = field(default_factory=list[tuple[StepRun, ...]])
    soon: bool = False

    def take(self, piece: Piece) -> None:
        self.pieces.append(piece)

    def part(self, pipe: int) -> None: ...

    def gap(self, step: int, at: datetime) -> None:
        self.gaps.append(step)

    def note(self, steps: tuple[StepRun, ...], *, soon: bool) -> None:
        self.notes.append(steps)
        self.soon = soon

    @property
    def text(self) -> list[tuple[Stream, int, bytes]]:
        return [(piece.stream, piece.step, piece.data) for piece in self.pieces]


def listening(*steps: Step, streams: Streams = Streams.MERGED) -> tuple[Capture, Heard, ManualClock]:
    heard, clock = Heard(), ManualClock()
    capture = Capture(clock)
    capture.listen(terms(*steps, streams=streams), heard)
    return capture, heard, clock


def both(capture: Capture, data: bytes) -> None:
    for pipe in (STDOUT, STDERR):
        capture.received(pipe, data)


async def test_phases_are_reached_in_turn() -> None:
    capture = Capture(ManualClock())
    assert capture.phase is Phase.PREPARING
    capture.received(STDOUT, b"READY\n")
    assert await capture.until(Phase.READY)

    capture.listen(terms(), Heard())
    capture.received(STDERR, BEGIN)
    assert await capture.until(Phase.BEGUN)


async def test_the_end_is_known_when_both_pipes_have_told_it() -> None:
    capture, heard, _ = listening(streams=Streams.SPLIT)
    capture.received(STDOUT, BEGIN + b"out" + end())
    capture.received(STDERR, BEGIN + b"err")
    assert capture.phase is Phase.BEGUN

    capture.received(STDERR, b"more" + end())

    assert capture.phase is Phase.ENDED
    assert capture.end == End(0, 3, 1)
    assert heard.text == [(Stream.STDOUT, 0, b"out"), (Stream.STDERR, 0, b"err"), (Stream.STDERR, 0, b"more")]


async def test_the_end_is_that_of_the_last_step() -> None:
    capture, _, _ = listening(Step("true"), Step("true"))
    both(capture, BEGIN + end(code=0))
    assert (capture.phase, capture.end) == (Phase.BEGUN, None)

    both(capture, begin_mark(NONCE, 1) + end(1, 3))

    assert (capture.phase, capture.end) == (Phase.ENDED, End(1, 3, 1))


async def test_the_end_is_that_of_the_first_step_that_fails_and_must_not() -> None:
    capture, _, _ = listening(Step("true", may_fail=True), Step("true"), Step("true"))
    both(capture, BEGIN + end(0, 3))
    assert capture.phase is Phase.BEGUN

    both(capture, begin_mark(NONCE, 1) + end(1, 4))

    assert (capture.phase, capture.end) == (Phase.ENDED, End(1, 4, 1))


async def test_steps_have_their_times_ends_and_memory_kills() -> None:
    capture, heard, clock = listening(Step("true", may_fail=True), Step("true"))
    start = clock.now()
    both(capture, BEGIN)
    clock.advance(SECOND)
    both(capture, end(0, 137, kills=2, cut=1))
    clock.advance(SECOND)
    both(capture, begin_mark(NONCE, 1))
    clock.advance(SECOND)
    both(capture, end(1, 0, kills=5))

    assert capture.steps == (
        StepRun(start, start + SECOND, 137, oom_kills=2, timed_out=True),
        StepRun(start + 2 * SECOND, start + 3 * SECOND, 0, oom_kills=3),
    )
    assert heard.notes[-1] == capture.steps
    assert [len(steps) for steps in heard.notes] == [1, 1, 2, 2]
    assert heard.soon


async def test_a_step_that_ended_well_just_before_it_was_cut_has_not_timed_out() -> None:
    capture, _, _ = listening()

    both(capture, BEGIN + end(code=0, cut=1))

    assert not capture.steps[0].timed_out


async def test_news_of_a_single_step_can_wait() -> None:
    capture, heard, _ = listening()

    both(capture, BEGIN)

    assert heard.notes
    assert not heard.soon


async def test_what_the_log_tells_again_changes_no_time_that_is_known() -> None:
    clock, heard = ManualClock(), Heard()
    known = StepRun(clock.now(), clock.now() + SECOND, 0, oom_kills=1)
    clock.advance(60 * SECOND)
    capture = Capture(clock)
    capture.listen(terms(Step("true"), Step("true")), heard, (known,))
    assert capture.phase is Phase.BEGUN

    for pipe in (STDOUT, STDERR):
        capture.received(pipe, BEGIN + end(0, 0) + begin_mark(NONCE, 1), clock.now())

    assert capture.steps == (known, StepRun(clock.now()))


async def test_the_time_of_a_mark_is_that_of_its_printing_where_it_is_known() -> None:
    capture, _, clock = listening()
    at = clock.now() - SECOND

    capture.received(STDOUT, BEGIN, at)

    assert capture.steps == (StepRun(at),)


async def test_raw_bytes_are_counted_marks_and_all_and_output_has_its_place() -> None:
    capture, heard, _ = listening()
    capture.received(STDOUT, BEGIN + b"out")
    capture.received(STDERR, b"12")
    capture.received(0, b"a pipe that does not exist")

    assert capture.raw == {STDOUT: len(BEGIN) + 3, STDERR: 2}
    assert [(piece.pipe, piece.end) for piece in heard.pieces] == [(STDOUT, len(BEGIN) + 3)]


async def test_after_a_jump_the_places_are_beyond_those_that_are_stored() -> None:
    clock, heard = ManualClock(), Heard()
    capture = Capture(clock)
    capture.listen(terms(Step("true"), Step("true"), Step("true")), heard, (StepRun(clock.now()),) * 2)

    capture.jump({STDOUT: 1000}, clock.now())
    capture.received(STDOUT, b"text" + end(2, 0))

    assert heard.gaps == [1]
    assert [(piece.end, piece.step) for piece in heard.pieces] == [(1004, 1)]
    assert len(capture.steps) == 3
    assert capture.end == End(2, 0, 1)


async def test_a_wait_ends_with_the_connection() -> None:
    capture, _, _ = listening()
    waiting = asyncio.create_task(capture.until(Phase.ENDED))
    await asyncio.sleep(0)

    capture.disconnected()

    assert await waiting is False
    assert capture.connected is False
    await capture.closed()


async def test_all_who_wait_hear_of_a_step() -> None:
    capture, _, _ = listening(Step("true"), Step("true"))
    waiting = [asyncio.create_task(capture.begun(0)) for _ in range(3)]
    await asyncio.sleep(0)

    both(capture, BEGIN)

    assert await asyncio.gather(*waiting) == [capture.steps[0]] * 3
    over = asyncio.create_task(capture.over(0))
    await asyncio.sleep(0)
    assert not over.done()
    both(capture, end())
    await over


async def test_what_was_held_back_is_output_at_the_end() -> None:
    capture, heard, _ = listening()
    capture.received(STDOUT, BEGIN + b"text" + BEGIN[:5])

    capture.finish()

    assert b"".join(data for _, _, data in heard.text) == b"text" + BEGIN[:5]
