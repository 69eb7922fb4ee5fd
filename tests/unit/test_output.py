"""A run's output on its way to the store: nothing lost, nothing doubled, nothing without bound."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaser.clock import ManualClock
from chaser.errors import Unavailable
from chaser.jobs.ports import Fence, Frame, Stream
from chaser.jobs.reason import Reason
from chaser.sandboxes.output import Output, OutputLimits

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

    def __post_init__(self) -> None:
        self.open.set()

    async def append(self, frames: Sequence[Frame]) -> Fence:
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
        limits, secrets or {}, ManualClock(), ledger.append, spool, on_flood=on_flood, on_lost=on_lost
    )


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
        for number, (stream, data) in enumerate(takes):
            kept.take(stream, data)
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
    kept = output(ledger, tmp_path)

    kept.take(Stream.OUTPUT, b"one")
    kept.take(Stream.OUTPUT, b"two")
    await kept.close()
    kept.abandon()

    assert ledger.frames == [Frame(1, Stream.OUTPUT, ManualClock().now(), b"onetwo")]


async def test_a_store_that_is_away_for_a_while_loses_nothing(tmp_path: Path) -> None:
    ledger = Ledger(away=2)
    kept = output(ledger, tmp_path)

    kept.take(Stream.OUTPUT, b"one")
    await asyncio.sleep(0)
    kept.take(Stream.OUTPUT, b"two")
    await kept.close()
    kept.abandon()

    assert ledger.text() == b"onetwo"


async def test_a_row_that_is_lost_is_told_and_written_no_more(tmp_path: Path) -> None:
    """What is taken afterwards goes nowhere, and whoever waits for room is not held up."""
    ledger, lost = Ledger(fence=Fence.LOST), asyncio.Event()
    kept = output(ledger, tmp_path, OutputLimits(memory_bytes=1), on_lost=lost.set)

    kept.take(Stream.OUTPUT, b"one")
    await lost.wait()
    for _ in range(10):
        kept.take(Stream.OUTPUT, b"more")
        await kept.room()
    await kept.close()
    kept.abandon()

    assert ledger.asked == 1


async def test_a_sender_that_can_wait_waits_for_the_store(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.open.clear()
    kept = output(ledger, tmp_path, OutputLimits(memory_bytes=1))
    for _ in range(3):
        kept.take(Stream.OUTPUT, b"more")
        await asyncio.sleep(0)
    waiting = asyncio.create_task(kept.room())
    await asyncio.sleep(0)
    assert not waiting.done()

    ledger.open.set()
    await waiting
    await kept.close()
    kept.abandon()

    assert ledger.text() == b"moremoremore"


async def test_a_flood_is_told_once(tmp_path: Path) -> None:
    floods: list[None] = []
    limits = OutputLimits(kill_bytes=10)
    kept = output(Ledger(), tmp_path, limits, on_flood=lambda: floods.append(None))

    kept.take(Stream.OUTPUT, b"x" * 10)
    assert floods == []
    kept.take(Stream.OUTPUT, b"x")
    kept.take(Stream.OUTPUT, b"x")
    await kept.close()
    kept.abandon()

    assert len(floods) == 1


async def test_secrets_are_taken_out_across_pieces_and_streams_are_looked_at_apart(tmp_path: Path) -> None:
    ledger = Ledger()
    kept = output(ledger, tmp_path, secrets={"TOKEN": "hunter22"})

    for stream, data in (
        (Stream.STDOUT, b"a hunt"),
        (Stream.STDERR, b"hunt"),
        (Stream.STDOUT, b"er22 b"),
        (Stream.STDERR, b"ing"),
    ):
        kept.take(stream, data)
    await kept.close()
    kept.abandon()

    assert ledger.text(Stream.STDOUT) == b"a *** b"
    assert ledger.text(Stream.STDERR) == b"hunting"


async def test_streams_that_alternate_byte_by_byte_make_no_more_frames_than_are_kept(tmp_path: Path) -> None:
    ledger = Ledger()
    kept = output(ledger, tmp_path, OutputLimits(frames=100, tail_bytes=1000))

    for _ in range(1000):
        kept.take(Stream.STDOUT, b"o")
        kept.take(Stream.STDERR, b"e")
        await asyncio.sleep(0)
    await kept.close()
    kept.abandon()

    assert len(ledger.frames) < 200
    assert sum(len(frame.data) + frame.skipped for frame in ledger.frames) == 2000


async def test_an_output_that_cannot_be_spooled_is_counted_as_left_out(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.open.clear()
    limits = OutputLimits(memory_bytes=1, tail_bytes=400)
    kept = output(ledger, tmp_path / "missing", limits)

    for _ in range(4):
        kept.take(Stream.OUTPUT, b"x" * 200)
        await asyncio.sleep(0)
    ledger.open.set()
    await kept.close()
    kept.abandon()

    assert sum(len(frame.data) + frame.skipped for frame in ledger.frames) == 800
    assert any(frame.stream is Stream.GAP for frame in ledger.frames)
