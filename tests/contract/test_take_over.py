"""A run survives the process that started it: another goes on at the byte where that one stopped."""

import asyncio
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from chaser.clock import SystemClock
from chaser.jobs.logs import Frame, Stream
from chaser.jobs.ports import Fence, Progress
from chaser.jobs.reason import Reason
from chaser.sandboxes.deadlines import Deadlines
from chaser.sandboxes.ending import Ending, Exited, NotBegun, Stopped, Vanished
from chaser.sandboxes.engines.fake import FakeEngine
from chaser.sandboxes.launcher import Prepared
from chaser.sandboxes.masking import Masker
from chaser.sandboxes.output import Output, OutputLimits
from chaser.sandboxes.spec import Launch, Step, Streams, Terms
from chaser.sandboxes.stop import Stop
from tests.engines import Site

SECRET = "hunter2-hunter2-hunter2"
SECONDS = timedelta(seconds=1)
AMPLE = OutputLimits()


@dataclass
class Job:
    """One launch, what is stored of it, and the processes that follow it, each for as long as it lives."""

    site: Site
    launch: Launch
    prepared: Prepared
    limits: OutputLimits = AMPLE
    frames: list[Frame] = field(default_factory=list[Frame])
    progress: Progress = field(default=Progress(seq=7))
    begun: int = 0
    begun_at: datetime | None = None
    total_bytes: int = 0
    terms: Terms = field(init=False)
    _lives: int = 0
    """How many more writes this process makes before it dies."""
    _died: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.terms = self.launch.terms(secrets.token_hex(16))

    async def append(self, frames: Sequence[Frame], progress: Progress) -> Fence:
        if self._died.is_set():
            await asyncio.Event().wait()
        self.frames += frames
        self.progress = progress
        self._lives -= 1
        if self._lives == 0:
            self._died.set()
        return Fence.HELD

    async def run(self, lives: int = -1, stop: Stop | None = None) -> "Ending | NotBegun | None":
        """The first process; none if it has died."""
        return await self._follow(lives, stop or Stop(), taken_over=False)

    async def resume(
        self, lives: int = -1, stop: Stop | None = None, deadlines: Deadlines | None = None
    ) -> "Ending | NotBegun | None":
        return await self._follow(lives, stop or Stop(), taken_over=True, deadlines=deadlines)

    async def _follow(
        self, lives: int, stop: Stop, *, taken_over: bool, deadlines: Deadlines | None = None
    ) -> "Ending | NotBegun | None":
        self._lives, self._died = lives, asyncio.Event()
        output = Output(
            self.limits,
            self.terms.masked,
            SystemClock(),
            self.append,
            self.site.spool,
            start=self.progress,
            on_flood=lambda: None,
            on_lost=lambda: None,
        )
        launcher = self.site.launcher(deadlines)

        async def began() -> None:
            self.begun += 1
            self.begun_at = self.begun_at or datetime.now(UTC)

        async def follow() -> Ending | NotBegun:
            if not taken_over:
                return await launcher.run(self.prepared, self.launch, self.terms, output, stop, began)
            return await launcher.resume(
                self.prepared.id,
                self.prepared.container,
                self.terms,
                self.progress,
                output,
                stop,
                began,
                running_since=self.begun_at,
            )

        async def to_the_end() -> Ending | NotBegun:
            ending = await follow()
            await output.close()
            return ending

        work, death = asyncio.create_task(to_the_end()), asyncio.create_task(self._died.wait())
        await asyncio.wait({work, death}, return_when=asyncio.FIRST_COMPLETED)
        self.total_bytes = output.total_bytes
        try:
            if self._died.is_set():
                return None
            return await work
        finally:
            work.cancel()
            death.cancel()
            output.abandon()
            await asyncio.gather(work, death, return_exceptions=True)
            self.prepared.attachment.close()

    def text(self, stream: Stream = Stream.OUTPUT, step: int | None = None) -> bytes:
        return b"".join(
            each.data for each in self.frames if each.stream is stream and step in {None, each.step}
        )

    def check(self) -> None:
        """What must hold of what is stored, whenever it is looked at."""
        numbers = [frame.seq for frame in self.frames]
        assert numbers == list(range(8, 8 + len(numbers)))
        assert self.progress.seq == 7 + len(numbers)
        assert self.progress.kept_bytes == sum(len(frame.data) for frame in self.frames)
        assert self.progress.skipped_bytes == sum(frame.skipped for frame in self.frames)


async def job(
    site: Site,
    *steps: Step,
    limits: OutputLimits = AMPLE,
    timeout: timedelta = 60 * SECONDS,  # noqa: ASYNC109  # the launch's
    streams: Streams = Streams.MERGED,
) -> Job:
    return Job(site, Launch(steps, timeout, streams, {"TOKEN": SECRET}), await site.prepared(), limits)


async def lived(work: Job, dice: random.Random, most: int = 6) -> Ending | NotBegun:
    """Follow the launch in one process after another, each of which dies somewhere."""
    ending = await work.run(dice.randint(1, 8))
    for _ in range(most):
        if ending is not None:
            break
        work.check()
        ending = await work.resume(dice.randint(1, 8))
    if ending is None:
        ending = await work.resume()
    assert ending is not None
    work.check()
    return ending


def noise(dice: random.Random, size: int) -> str:
    """Lines of any length, some longer than the engine's log has them, with secrets in them, and no newline at the end."""
    lines: list[str] = []
    while size > 0:
        length = dice.choice((0, 1, 3, 80, 200, 700, 16_383, 16_384, 20_000))
        line = "".join(dice.choices("abhu2r- \x01\x1eÄ€", k=min(length, size)))
        if dice.random() < 0.6:
            at = dice.randint(0, len(line))
            line = line[:at] + SECRET * dice.choice((1, 1, 2)) + line[at:]
        if dice.random() < 0.2:
            line += SECRET[: dice.randint(1, len(SECRET))]
        lines.append(line)
        size -= len(line.encode()) + 1
    return "\n".join(lines)


PIECEWISE = "i=0; while [ $i -lt {n} ]; do dd bs={size} count=1 2>/dev/null{then}; i=$((i + 1)); done"


def printing(data: str, pieces: int, then: str = "") -> str:
    """A command that prints its stdin in so many pieces."""
    size = -(-len(data.encode()) // pieces)
    return PIECEWISE.format(n=pieces, size=size, then=then)


def masked(data: str) -> bytes:
    """What an undisturbed process stores of it."""
    masker = Masker([SECRET])
    return b"".join(shown.data for shown in (*masker.feed(data.encode()), *masker.finish()))


@pytest.mark.parametrize("seed", range(30))
async def test_no_byte_is_lost_or_doubled_however_often_the_process_dies(faulty: Site, seed: int) -> None:
    dice = random.Random(seed)
    data = noise(dice, dice.choice((2000, 60_000)))
    work = await job(faulty, Step(f"{printing(data, 40, '; sleep 0.003')}; exit 3", stdin=data))

    ending = await lived(work, dice)

    assert isinstance(ending, Exited)
    assert (ending.exit_code, ending.steps[0].exit_code) == (3, 3)
    assert work.text() == masked(data)
    assert work.total_bytes == len(masked(data))


@pytest.mark.docker
@pytest.mark.parametrize("seed", range(4))
async def test_no_byte_is_lost_or_doubled_on_a_real_engine(real: Site, seed: int) -> None:
    dice = random.Random(seed)
    data = noise(dice, 300_000)
    work = await job(real, Step(f"{printing(data, 100, '; sleep 0.01')}; exit 3", stdin=data))

    ending = await lived(work, dice)

    assert isinstance(ending, Exited)
    assert ending.exit_code == 3
    assert work.text() == masked(data)


@pytest.mark.parametrize("seed", range(10))
async def test_streams_that_are_split_are_each_whole(faulty: Site, seed: int) -> None:
    dice = random.Random(seed)
    data = noise(dice, 20_000)
    command = printing(data, 30, " | tee /dev/stderr; sleep 0.003")
    work = await job(faulty, Step(command, stdin=data), streams=Streams.SPLIT)

    ending = await lived(work, dice)

    assert isinstance(ending, Exited)
    assert work.text(Stream.STDOUT) == work.text(Stream.STDERR) == masked(data)


@pytest.mark.docker
async def test_streams_that_are_split_are_each_whole_on_a_real_engine(real: Site) -> None:
    dice = random.Random(5)
    data = noise(dice, 100_000)
    command = printing(data, 60, " | tee /dev/stderr; sleep 0.01")
    work = await job(real, Step(command, stdin=data), streams=Streams.SPLIT)

    assert isinstance(await lived(work, dice), Exited)
    assert work.text(Stream.STDOUT) == work.text(Stream.STDERR) == masked(data)


@pytest.mark.parametrize("seed", range(10))
async def test_each_steps_output_and_end_are_its_own(site: Site, seed: int) -> None:
    if not isinstance(site.engine, FakeEngine) and seed > 1:
        pytest.skip("a few times are enough on a real engine")
    dice = random.Random(seed)
    data = [noise(dice, 5000) for _ in range(4)]
    steps = [
        Step(f"{printing(each, 10, '; sleep 0.003')}; exit {n % 2}", stdin=each, may_fail=True)
        for n, each in enumerate(data)
    ]
    work = await job(site, *steps)

    ending = await lived(work, dice)

    assert isinstance(ending, Exited)
    assert [step.exit_code for step in ending.steps] == [0, 1, 0, 1]
    assert all(step.ended_at and step.ended_at >= step.began_at for step in ending.steps)
    for n, each in enumerate(data):
        assert work.text(step=n) == masked(each)
    assert work.progress.steps == ending.steps


@pytest.mark.parametrize("seed", range(15))
async def test_what_is_left_out_is_counted_once(faulty: Site, seed: int) -> None:
    """The first part and the last are those of an undisturbed run; between them all is counted."""
    dice = random.Random(seed)
    data = noise(dice, 30_000)
    limits = OutputLimits(keep_bytes=dice.randint(0, 12_000), tail_bytes=4000, memory_bytes=2000)
    work = await job(faulty, Step(printing(data, 40, "; sleep 0.002"), stdin=data), limits=limits)

    await lived(work, dice, most=20)

    shown = masked(data)
    [gap] = [frame for frame in work.frames if frame.stream is Stream.GAP]
    head = b"".join(frame.data for frame in work.frames if frame.seq < gap.seq)
    tail = b"".join(frame.data for frame in work.frames if frame.seq > gap.seq)
    assert limits.keep_bytes - 3 < len(head) <= limits.keep_bytes
    assert shown.startswith(head)
    assert shown.endswith(tail)
    assert tail
    assert len(head) + gap.skipped + len(tail) == work.total_bytes == len(shown)


async def test_a_process_that_dies_after_its_last_write_leaves_nothing_to_write(faulty: Site) -> None:
    limits = OutputLimits(keep_bytes=100, tail_bytes=400)
    work = await job(
        faulty, Step("i=0; while [ $i -lt 500 ]; do echo line; i=$((i + 1)); done"), limits=limits
    )
    first = await work.run()
    stored = list(work.frames)
    assert any(frame.skipped for frame in stored)

    again = await work.resume()

    assert isinstance(first, Exited)
    assert isinstance(again, Exited)
    assert work.frames == stored
    assert work.total_bytes == 2500


# How a run that was taken over ends.


async def begun(site: Site, command: str, timeout: timedelta = 60 * SECONDS) -> Job:  # noqa: ASYNC109  # the launch's
    """A launch whose first process has died after `command` had printed something."""
    work = await job(site, Step(command), timeout=timeout)
    assert await work.run(1) is None
    return work


async def test_a_run_that_is_taken_over_has_its_deadline_still(site: Site) -> None:
    work = await begun(site, "echo up; sleep 1000", timeout=1 * SECONDS)

    ending = await work.resume()

    assert isinstance(ending, Stopped)
    assert ending.reason is Reason.RUN_TIMEOUT
    assert work.text() == b"up\n"
    assert ending.steps[0].ended_at is not None


async def test_a_run_whose_time_is_over_is_stopped_at_once(site: Site) -> None:
    work = await begun(site, "echo up; sleep 1000", timeout=3000 * SECONDS)
    work.terms = replace(work.terms, timeout=timedelta(milliseconds=1))

    ending = await work.resume()

    assert isinstance(ending, Stopped)
    assert ending.reason is Reason.RUN_TIMEOUT


async def test_a_run_that_ended_while_nobody_watched_has_its_own_end(site: Site) -> None:
    work = await begun(site, "echo up; sleep 0.1; echo down; exit 4")
    await site.engine.exited(work.prepared.container)
    work.terms = replace(work.terms, timeout=timedelta(milliseconds=1))

    ending = await work.resume()

    assert isinstance(ending, Exited)
    assert ending.exit_code == 4
    assert work.text() == b"up\ndown\n"
    assert work.begun == 2


async def test_a_run_that_is_taken_over_can_be_cancelled(site: Site) -> None:
    work, stop = await begun(site, "echo up; while :; do echo more; done"), Stop()
    asyncio.get_running_loop().call_later(0.2, stop.request, Reason.CANCELLED_BY_USER, "Cancelled.")

    ending = await work.resume(stop=stop)

    assert isinstance(ending, Stopped)
    assert ending.reason is Reason.CANCELLED_BY_USER
    assert work.text().startswith(b"up\nmore\nmore\n")
    work.check()


async def test_a_step_that_is_taken_over_has_its_deadline_still(site: Site) -> None:
    steps = (
        Step("echo one", timeout=60 * SECONDS, may_fail=True),
        Step("echo two; sleep 1000", timeout=1 * SECONDS, may_fail=True),
        Step("echo three"),
    )
    work = await job(site, *steps)
    while b"two" not in work.text():
        assert await (work.resume(1) if work.progress.steps else work.run(1)) is None

    ending = await work.resume()

    assert isinstance(ending, Exited)
    assert [step.timed_out for step in ending.steps] == [False, True, False]
    assert work.text() == b"one\ntwo\nthree\n"


async def test_deadlines_of_steps_that_are_over_end_nothing(faulty: Site) -> None:
    """Their time is over too, and the log tells of their ends only a moment later."""
    past = Step("echo past; sleep 0.05", timeout=timedelta(seconds=0.2), may_fail=True)
    work = await job(faulty, past, past, past, Step("echo up; sleep 0.8; echo down", may_fail=True))
    while b"up" not in work.text():
        assert await (work.resume(1) if work.progress.steps else work.run(1)) is None

    ending = await work.resume()

    assert isinstance(ending, Exited)
    assert not any(step.timed_out for step in ending.steps)
    assert work.text() == b"past\npast\npast\nup\ndown\n"


async def test_a_sandbox_that_is_gone_has_vanished(site: Site) -> None:
    work = await begun(site, "echo up; sleep 1000")
    await site.engine.remove(work.prepared.container)

    ending = await work.resume()

    assert isinstance(ending, Vanished)
    assert work.text() == b"up\n"


async def test_a_sandbox_that_was_killed_meanwhile_has_vanished(site: Site) -> None:
    work = await begun(site, "echo up; sleep 1000")
    await site.engine.kill(work.prepared.container)
    await site.engine.exited(work.prepared.container)

    ending = await work.resume()

    assert isinstance(ending, Vanished)
    assert "137" in ending.message


async def test_a_sandbox_that_got_no_launch_has_not_begun(site: Site) -> None:
    """The process died between its note of the hand-over and the hand-over."""
    work = await job(site, Step("echo never"))
    work.prepared.attachment.close()

    ending = await work.resume()

    assert isinstance(ending, NotBegun)
    assert (work.begun, work.frames) == (0, [])


async def test_a_sandbox_that_was_killed_before_it_was_seen_to_begin_is_not_run_again(site: Site) -> None:
    """An engine that was killed may have lost the word that it had begun."""
    work = await job(site, Step("echo never"))
    await site.engine.kill(work.prepared.container)
    await site.engine.exited(work.prepared.container)

    assert isinstance(await work.resume(), Vanished)


async def test_a_sandbox_that_does_not_begin_in_time_is_ended(faulty: Site) -> None:
    """The attach is held open, so that it waits for its launch."""
    work = await job(faulty, Step("echo never"))

    ending = await work.resume(deadlines=Deadlines(start=timedelta(seconds=0.3)))

    assert isinstance(ending, NotBegun)


async def test_an_engine_that_is_away_at_first_is_waited_for(faulty: Site) -> None:
    assert isinstance(faulty.engine, FakeEngine)
    engine, work = faulty.engine, await begun(faulty, "echo up; sleep 0.3; echo down")
    engine.away = True
    engine.missed.clear()

    async def come_back() -> None:
        await engine.missed.wait()
        engine.away = False

    coming = asyncio.create_task(come_back())
    ending = await work.resume()
    await coming

    assert isinstance(ending, Exited)
    assert work.text() == b"up\ndown\n"


async def test_a_service_that_stops_lets_a_run_that_it_has_taken_over_go_on(site: Site) -> None:
    work = await begun(site, "echo up; sleep 0.3; echo more; sleep 0.6; echo down")
    assert await work.resume(1) is None

    assert isinstance(await work.resume(), Exited)
    assert work.text() == b"up\nmore\ndown\n"


# An engine's log that was cut.


@pytest.mark.parametrize("left", [1, 2, 5])
async def test_a_log_that_has_lost_its_begin_is_said_to(faulty: Site, left: int) -> None:
    assert isinstance(faulty.engine, FakeEngine)
    work = await begun(
        faulty, "i=0; while [ $i -lt 300 ]; do echo a line of text $i; i=$((i + 1)); done; exit 6"
    )
    container = work.prepared.container
    await faulty.engine.exited(container)
    stored = work.text()
    chunks = faulty.engine.containers[container].chunks
    lines = [replace(chunk, data=line) for chunk in chunks for line in chunk.data.splitlines(keepends=True)]
    faulty.engine.containers[container].chunks = lines[-left - 1 :]

    ending = await work.resume()

    assert isinstance(ending, Exited)
    assert ending.exit_code == 6
    gaps = [frame for frame in work.frames if frame.stream is Stream.GAP]
    assert [gap.skipped for gap in gaps] == [0]
    assert work.text().startswith(stored)
    assert b"\x1e" not in work.text()
    work.check()
