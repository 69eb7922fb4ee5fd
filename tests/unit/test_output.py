"""A run's output on its way to the store: nothing lost, nothing doubled, nothing without bound."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaser.clock import ManualClock
from chaser.errors import Unavailable
from chaser.jobs.logs import Frame, Stream
from chaser.jobs.ports import Fence, Progress
from chaser.jobs.reason import Reason
from chaser.sandboxes.ending import StepRun
from chaser.sandboxes.engine import STDERR, STDOUT
from chaser.sandboxes.output import NOTHING, Output, OutputLimits
from chaser.sandboxes.pieces import Piece
from tests.unit.test_pieces import AT

STREAMS = st.sampled_from([Stream.STDOUT, Stream.STDERR])
TAKES = st.lists(st.tuples(STREAMS, st.binary(min_size=1, max_size=300)), max_size=25)
Takes = Sequence[tuple[Stream, bytes]]
SOME = OutputLimits(keep_bytes=1000, tail_bytes=500, memory_bytes=400)


@dataclass
class Ledger:
    """A log store that keeps frames in memory; it can be away, held up, or somebody else's."""

    frames: list[Frame] = field(default_factory=list[Frame])
    fence: Fence = Fence.HELD
    away: int = 0
    """How many more writes it does not answer."""
    open: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    writes: int = 0
    progress: Progress = field(default=NOTHING)

    def __post_init__(self) -> None:
        self.open.set()

    async def append(self, frames: Sequence[Frame], progress: Progress) -> Fence:
        self.asked += 1
        await self.open.wait()
        if self.away:
            self.away -= 1
            raise Unavailable(Reason.STORE_UNAVAILABLE, "It is away.")
        if self.fence is Fence.HELD:
            assert [frame.seq for frame in frames] == list(
                range(len(self.frames) + 1, len(self.frames) + 1 + len(frames))
            )
            self.frames += frames
            self.progress = progress
            self.writes += 1
        return self.fence

    def text(self, stream: Stream = Stream.OUTPUT) -> bytes:
        return b"".join(frame.data for frame in self.frames if frame.stream is stream)


def output(
    ledger: Ledger,
    spool: Path,
    limits: OutputLimits = SOME,
    *,
    secrets: dict[str, str] | None = None,
    on_flood: Callable[[], None] = lambda: None,
    on_lost: Callable[[], None] = lambda: None,
) -> Output:
    return Output(
        limits,
        secrets or {},
        ManualClock(),
        ledger.append,
        spool,
        start=ledger.progress,
        attempt=2,
        on_flood=on_flood,
        on_lost=on_lost,
    )


class Pipes:
    """Makes pieces of what comes by each pipe."""

    def __init__(self) -> None:
        self.ends = {Stream.STDOUT: 0, Stream.STDERR: 0, Stream.OUTPUT: 0}

    def __call__(self, stream: Stream, data: bytes, step: int = 0) -> Piece:
        self.ends[stream] += len(data)
        pipe = STDERR if stream is Stream.STDERR else STDOUT
        return Piece(stream, data, AT, self.ends[stream], pipe, step)


def flat(pieces: Takes) -> list[tuple[Stream, int]]:
    return [(stream, byte) for stream, data in pieces for byte in data]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(takes=TAKES, slow=st.sets(st.integers(0, 24)))
def test_what_is_stored_is_what_was_printed_less_what_is_counted(
    tmp_path: Path, takes: Takes, slow: set[int]
) -> None:
    """Whenever the store answers: in order, with numbers without holes, the first part and the last."""

    async def story() -> Ledger:
        ledger = Ledger()
        kept = output(ledger, tmp_path)
        pipes = Pipes()
        for number, (stream, data) in enumerate(takes):
            kept.take(pipes(stream, data))
            if number in slow:
                ledger.open.clear()
            else:
                ledger.open.set()
                await asyncio.sleep(0)
        ledger.open.set()
        await kept.close()
        kept.abandon()
        assert kept.total_bytes == sum(len(data) for _, data in takes)
        return ledger

    ledger = asyncio.run(story())

    printed = flat(takes)
    gaps = [frame for frame in ledger.frames if frame.stream is Stream.GAP]
    skipped = sum(frame.skipped for frame in gaps)
    stored = flat([(frame.stream, frame.data) for frame in ledger.frames])
    assert len(stored) + skipped == len(printed)
    if gaps:
        assert len(gaps) == 1
        first = sum(len(frame.data) for frame in ledger.frames[: ledger.frames.index(gaps[0])])
        assert first == SOME.keep_bytes
        assert stored == printed[:first] + printed[first + skipped :]
    else:
        assert stored == printed


async def test_a_small_output_is_stored_at_once(tmp_path: Path) -> None:
    ledger = Ledger()
    pipes = Pipes()
    kept = output(ledger, tmp_path)

    kept.take(pipes(Stream.OUTPUT, b"one"))
    kept.take(pipes(Stream.OUTPUT, b"two"))
    await kept.close()
    kept.abandon()

    assert ledger.frames == [Frame(1, Stream.OUTPUT, AT, b"onetwo", attempt=2)]
    assert ledger.progress == Progress({STDOUT: 6}, {STDOUT: 0}, seq=1, kept_bytes=6, at=AT)


async def test_a_store_that_is_away_for_a_while_loses_nothing(tmp_path: Path) -> None:
    ledger = Ledger(away=2)
    pipes = Pipes()
    kept = output(ledger, tmp_path)

    kept.take(pipes(Stream.OUTPUT, b"one"))
    await asyncio.sleep(0)
    kept.take(pipes(Stream.OUTPUT, b"two"))
    await kept.close()
    kept.abandon()

    assert ledger.text() == b"onetwo"


async def test_a_row_that_is_lost_is_told_and_written_no_more(tmp_path: Path) -> None:
    """What is taken afterwards goes nowhere."""
    ledger, lost = Ledger(fence=Fence.LOST), asyncio.Event()
    pipes = Pipes()
    kept = output(ledger, tmp_path, OutputLimits(memory_bytes=1), on_lost=lost.set)

    kept.take(pipes(Stream.OUTPUT, b"one"))
    await lost.wait()
    for _ in range(10):
        kept.take(pipes(Stream.OUTPUT, b"more"))
        await asyncio.sleep(0)
    await kept.close()
    kept.abandon()

    assert ledger.asked == 1


async def test_a_flood_is_told_once(tmp_path: Path) -> None:
    floods: list[None] = []
    limits = OutputLimits(kill_bytes=10)
    pipes = Pipes()
    kept = output(Ledger(), tmp_path, limits, on_flood=lambda: floods.append(None))

    kept.take(pipes(Stream.OUTPUT, b"x" * 10))
    assert floods == []
    kept.take(pipes(Stream.OUTPUT, b"x"))
    kept.take(pipes(Stream.OUTPUT, b"x"))
    await kept.close()
    kept.abandon()

    assert len(floods) == 1


async def test_secrets_are_taken_out_across_pieces_and_streams_are_looked_at_apart(tmp_path: Path) -> None:
    ledger = Ledger()
    pipes = Pipes()
    kept = output(ledger, tmp_path, secrets={"TOKEN": "hunter22"})

    for stream, data in (
        (Stream.STDOUT, b"a hunt"),
        (Stream.STDERR, b"hunt"),
        (Stream.STDOUT, b"er22 b"),
        (Stream.STDERR, b"ing"),
    ):
        kept.take(pipes(stream, data))
    await kept.close()
    kept.abandon()

    assert ledger.text(Stream.STDOUT) == b"a *** b"
    assert ledger.text(Stream.STDERR) == b"hunting"


async def test_streams_that_alternate_byte_by_byte_make_no_more_frames_than_are_kept(tmp_path: Path) -> None:
    ledger = Ledger()
    pipes = Pipes()
    kept = output(ledger, tmp_path, OutputLimits(frames=100, tail_bytes=1000))

    for _ in range(1000):
        kept.take(pipes(Stream.STDOUT, b"o"))
        kept.take(pipes(Stream.STDERR, b"e"))
        await asyncio.sleep(0)
    await kept.close()
    kept.abandon()

    assert len(ledger.frames) < 200
    assert sum(len(frame.data) + frame.skipped for frame in ledger.frames) == 2000


async def test_an_output_that_cannot_be_spooled_is_counted_as_left_out(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.open.clear()
    limits = OutputLimits(memory_bytes=1, tail_bytes=400)
    pipes = Pipes()
    kept = output(ledger, tmp_path / "missing", limits)

    for _ in range(4):
        kept.take(pipes(Stream.OUTPUT, b"x" * 200))
        await asyncio.sleep(0)
    ledger.open.set()
    await kept.close()
    kept.abandon()

    assert sum(len(frame.data) + frame.skipped for frame in ledger.frames) == 800
    assert any(frame.stream is Stream.GAP for frame in ledger.frames)


# What another process must know.


def reached(ledger: Ledger) -> dict[int, int]:
    """How far each pipe is stored: a mask stands for what lies before its end, or for what is covered beyond it."""
    progress = ledger.progress
    return {pipe: end + progress.covered.get(pipe, 0) for pipe, end in progress.offsets.items()}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    takes=st.lists(
        st.tuples(STREAMS, st.text("abcd*", min_size=1, max_size=30).map(str.encode)), max_size=25
    ),
    dies=st.lists(st.integers(0, 25), max_size=4),
    keep=st.integers(0, 120),
)
def test_another_process_stores_what_the_first_would_have(
    tmp_path: Path, takes: Takes, dies: list[int], keep: int
) -> None:
    """Wherever the first has died: the same bytes, masks and counts, though it is told everything again."""
    secrets = {"A": "abab", "B": "bcbc", "C": "cccc"}
    limits = OutputLimits(keep_bytes=keep, tail_bytes=400, memory_bytes=300)

    async def lived(deaths: list[int]) -> tuple[Ledger, int]:
        ledger = Ledger()
        for death in deaths:
            kept, pipes = output(ledger, tmp_path, limits, secrets=secrets), Pipes()
            for stream, data in takes[:death]:
                kept.take(pipes(stream, data))
                await asyncio.sleep(0)
            kept.abandon()
        kept, pipes = output(ledger, tmp_path, limits, secrets=secrets), Pipes()
        for stream, data in takes:
            kept.take(pipes(stream, data))
            await asyncio.sleep(0)
        await kept.close()
        kept.abandon()
        return ledger, kept.total_bytes

    undisturbed, total = asyncio.run(lived([]))
    disturbed, total_again = asyncio.run(lived(dies))

    assert total == total_again
    assert shown(disturbed) == shown(undisturbed)
    assert reached(disturbed) == reached(undisturbed)
    assert disturbed.progress.kept_bytes == undisturbed.progress.kept_bytes
    assert disturbed.progress.skipped_bytes == undisturbed.progress.skipped_bytes


def shown(ledger: Ledger) -> tuple[list[tuple[Stream, int]], int]:
    return flat([(frame.stream, frame.data) for frame in ledger.frames]), sum(
        frame.skipped for frame in ledger.frames
    )


async def test_what_waits_is_no_progress(tmp_path: Path) -> None:
    ledger, pipes = Ledger(), Pipes()
    kept = output(ledger, tmp_path)
    kept.take(pipes(Stream.OUTPUT, b"one"))
    await asyncio.sleep(0)
    ledger.open.clear()
    kept.take(pipes(Stream.OUTPUT, b"two"))
    await asyncio.sleep(0)

    assert ledger.progress.offsets == {STDOUT: 3}
    kept.abandon()


async def test_while_the_tail_may_grow_its_begin_is_where_to_go_on(tmp_path: Path) -> None:
    ledger, pipes = Ledger(), Pipes()
    kept = output(ledger, tmp_path, OutputLimits(keep_bytes=4, tail_bytes=1000))
    kept.take(pipes(Stream.OUTPUT, b"abcdef"))
    await asyncio.sleep(0)
    assert ledger.progress.offsets == {STDOUT: 4}

    await kept.close()
    kept.abandon()

    assert ledger.progress.offsets == {STDOUT: 6}
    assert ledger.text() == b"abcdef"


async def test_the_gap_and_the_tail_are_written_at_once(tmp_path: Path) -> None:
    """A process that dies between the two would make a second gap."""
    ledger, pipes = Ledger(), Pipes()
    kept = output(ledger, tmp_path, OutputLimits(keep_bytes=0, tail_bytes=400))
    kept.take(pipes(Stream.OUTPUT, b"x" * 1000))
    await kept.close()
    kept.abandon()

    assert [frame.stream for frame in ledger.frames] == [Stream.GAP, Stream.OUTPUT]
    assert ledger.writes == 1


STEPS = (StepRun(AT), StepRun(AT))


async def test_news_of_the_steps_are_written_though_nothing_is_printed(tmp_path: Path) -> None:
    ledger = Ledger()
    kept = output(ledger, tmp_path)

    kept.note(STEPS, soon=True)
    await kept.close()
    kept.abandon()

    assert (ledger.frames, ledger.progress.steps, ledger.writes) == ([], STEPS, 1)


async def test_news_that_can_wait_are_written_with_the_next_frames(tmp_path: Path) -> None:
    ledger, pipes = Ledger(), Pipes()
    kept = output(ledger, tmp_path)
    kept.note(STEPS, soon=False)
    await asyncio.sleep(0)
    assert ledger.writes == 0

    kept.take(pipes(Stream.OUTPUT, b"one", step=1))
    await kept.close()
    kept.abandon()

    assert (ledger.progress.steps, ledger.writes) == (STEPS, 1)
    assert ledger.frames[0].step == 1


async def test_what_is_held_back_belongs_to_the_step_that_printed_it(tmp_path: Path) -> None:
    ledger, pipes = Ledger(), Pipes()
    kept = output(ledger, tmp_path, secrets={"TOKEN": "hunter22"})
    kept.take(pipes(Stream.OUTPUT, b"a hunt", step=0))
    kept.part(STDOUT)
    kept.take(pipes(Stream.OUTPUT, b"er22", step=1))
    await kept.close()
    kept.abandon()

    assert [(frame.step, frame.data) for frame in ledger.frames] == [(0, b"a hunt"), (1, b"er22")]


async def test_an_unknown_gap_lies_between_what_was_printed_before_and_after(tmp_path: Path) -> None:
    ledger, pipes = Ledger(), Pipes()
    kept = output(ledger, tmp_path, secrets={"TOKEN": "hunter22"})
    kept.take(pipes(Stream.OUTPUT, b"hunt"))
    kept.gap(0, AT)
    kept.take(pipes(Stream.OUTPUT, b"er22"))
    await kept.close()
    kept.abandon()

    assert [(frame.stream, frame.data, frame.skipped) for frame in ledger.frames] == [
        (Stream.OUTPUT, b"hunt", 0),
        (Stream.GAP, b"", 0),
        (Stream.OUTPUT, b"er22", 0),
    ]
