"""The course of one launch, from its hand-over to its ending. A sandbox that was made here is heard by its attach, one
that was taken over by the engine's log; nothing else differs."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

import structlog

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.ids import SandboxId
from chaser.jobs.insist import insist_for
from chaser.jobs.ports import Progress
from chaser.jobs.reason import Reason
from chaser.sandboxes.boot import NOT_HANDED_OVER, signal_of
from chaser.sandboxes.capture import Capture, Phase
from chaser.sandboxes.deadlines import Deadlines, RunDeadlines
from chaser.sandboxes.ending import Ending, Exited, NotBegun, StepRun, Stopped, Vanished
from chaser.sandboxes.engine import ContainerId, ContainerState, Engine, ExitCause
from chaser.sandboxes.replay import Channel, read_log
from chaser.sandboxes.spec import Terms
from chaser.sandboxes.stop import Stop, StopRequested

T = TypeVar("T")
log = structlog.stdlib.get_logger()

Begun = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Course:
    engine: Engine
    clock: Clock
    deadlines: Deadlines
    log_max_bytes: int
    id: SandboxId
    container: ContainerId
    channel: Channel
    capture: Capture
    terms: Terms
    progress: Progress
    stop: Stop

    async def run(self, send: Callable[[], Awaitable[None]], begun: Begun) -> Ending | NotBegun:
        """`send` hands the launch over."""
        return await self._to_its_end(self._run(send, begun))

    async def resume(self, begun: Begun, running_since: datetime | None) -> Ending | NotBegun:
        """The launch was handed over, or was about to be."""
        return await self._to_its_end(self._resume(begun, running_since))

    async def _to_its_end(self, course: Awaitable[Ending | NotBegun]) -> Ending | NotBegun:
        try:
            ending = await course
        except StopRequested as request:
            return await self._stop(request.stopped)
        except Unavailable as error:
            self.channel.close()
            message = f"The engine has been away too long to know of its sandboxes. {error.message}"
            ending = Vanished(message, self.capture.steps)
        if isinstance(ending, Vanished):
            self.capture.give_up()
        return ending

    async def _run(self, send: Callable[[], Awaitable[None]], begun: Begun) -> Ending | NotBegun:
        if not await self.stop.guard(self._begins(send)):
            return await self._without_begin(known_alive=True)
        with self._deadlines().held(self.capture.steps[0].began_at):
            await self.stop.guard(begun())
            await self.stop.guard(self._follow(Phase.ENDED))
        return await self._ending()

    async def _resume(self, begun: Begun, running_since: datetime | None) -> Ending | NotBegun:
        state = await self._insist(lambda: self.engine.state(self.container))
        if state.cause is ExitCause.NEVER_STARTED:
            return NotBegun("The sandbox was never started; nothing has run.")
        if state.cause is ExitCause.GONE:
            return self._without_mark(state)
        alive = state.cause is ExitCause.RUNNING
        if not await self.stop.guard(self._begins(_handed_over_before)):
            return await self._without_begin(known_alive=alive)
        await self.stop.guard(begun())
        if alive:
            began_at = [step.began_at for step in self.capture.steps[:1]]
            with self._deadlines().held((began_at or [running_since or self.clock.now()])[0]):
                await self.stop.guard(self._follow(Phase.ENDED))
        else:
            # It has ended while nobody was there to stop it: late or not, its own end counts.
            await self.stop.guard(self._follow(Phase.ENDED))
        return await self._ending()

    def _deadlines(self) -> RunDeadlines:
        return RunDeadlines(self.terms, self.capture, self.clock, self.stop, self._cut)

    async def _begins(self, send: Callable[[], Awaitable[None]]) -> bool:
        try:
            async with asyncio.timeout(self.deadlines.start.total_seconds()):
                await send()
                return await self._follow(Phase.BEGUN)
        except TimeoutError:
            return False

    async def _follow(self, phase: Phase) -> bool:
        """Listen until `phase`, and where the channel ends early read on. False: the sandbox has ended without."""
        return await self.capture.until(phase) or await self._insist(lambda: self._read_on(phase))

    async def _read_on(self, phase: Phase) -> bool:
        return await read_log(self.engine, self.container, self.capture, self.terms, self.progress, phase)

    async def _without_begin(self, *, known_alive: bool) -> Ending | NotBegun:
        self.channel.close()
        await self._end()
        # BEGIN may only have come too late. What has begun must not run again, and the log knows.
        if await self._follow(Phase.BEGUN):
            await self._follow(Phase.ENDED)
            return await self._ending()
        state = await self._insist(lambda: self.engine.state(self.container))
        if state.exit_code == NOT_HANDED_OVER:
            return NotBegun(
                "The connection to the sandbox was cut off during the hand-over; nothing has run."
            )
        if not known_alive:
            # An engine that was killed may have lost what its sandboxes printed last, a BEGIN too.
            return Vanished(
                f"The sandbox ended (status {state.exit_code}) while nobody watched it, and its log does not tell "
                "whether its first step had begun."
            )
        return NotBegun(
            f"The sandbox ended (status {state.exit_code}) before its first step; nothing has run."
        )

    async def _ending(self) -> Ending:
        """After END, or after the output has ended without one."""
        await self._exit()
        self.channel.close()
        self.capture.finish()
        if self.capture.end is None and self.capture.replayed:
            await self._insist(self._last_words)
        if self.capture.end is not None:
            return Exited(self.capture.end.exit_code, self.capture.end.oom_kills, self.capture.steps)
        return self._without_mark(await self._insist(lambda: self.engine.state(self.container)))

    async def _last_words(self) -> None:
        """Look once more for the launch's END. The engine cuts its log at the size limit even while it is being read,
        and the reader then misses what it has not read yet; what it holds at the end is whole."""
        ear = Capture(self.clock)
        ear.listen(self.terms)
        async with aclosing(self.engine.log(self.container)) as chunks:
            async for chunk in chunks:
                ear.received(chunk.pipe, chunk.data, chunk.at)
        if ear.end is not None:
            self.capture.conclude(ear.end, ear.heard_at or self.clock.now())

    async def _stop(self, stopped: Stopped) -> Ending:
        try:
            await self._ask_to_end()
            whole = await self._killed_to_the_last_byte()
            # What was printed up to the kill is in the engine's log, as long as that has not been cut itself.
            if not whole and sum(self.capture.raw.values()) < self.log_max_bytes:
                await self._insist(lambda: self._read_on(Phase.ENDED))
        except Unavailable as error:
            # The stop stands: the sandbox is removed as soon as the engine answers.
            log.warning(
                "A stopped sandbox could not be ended yet.",
                action="stop_unconfirmed",
                sandbox_id=self.id,
                error=error.message,
            )
        self.capture.finish()
        return replace(stopped, steps=_ended(self.capture.steps, self.clock.now()))

    async def _ask_to_end(self) -> None:
        """A step that signals reach, and that asked for it, may end in its own way first."""
        grace = self.terms.steps[-1].grace
        if grace is None or not self._last_has_the_signals:
            return
        await self._insist(lambda: self.engine.signal(self.container, "TERM"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace.total_seconds()):
                await self.engine.exited(self.container)

    @property
    def _last_has_the_signals(self) -> bool:
        return self.terms.steps[-1].replaces_shell and len(self.capture.steps) == len(self.terms.steps)

    async def _killed_to_the_last_byte(self) -> bool:
        """End it; whether all that it printed has come by the channel.

        The engine's log has the same, but only from its first line on, which takes long where a run has printed
        millions of short ones. An attach could also keep the kill from taking effect: then it is closed.
        """
        capture, loop = self.capture, asyncio.get_running_loop()
        connected = capture.connected
        too_long = loop.call_later(self.deadlines.drain.total_seconds(), self.channel.close)
        try:
            await self._end()
            await capture.closed()
            return connected and loop.time() < too_long.when()
        finally:
            too_long.cancel()
            self.channel.close()

    async def _cut(self, step: int) -> bool:
        """End one step alone; false if it does not end."""
        try:
            await self.engine.signal(self.container, signal_of(step))
            async with asyncio.timeout(self.deadlines.cut.total_seconds()):
                await self.capture.over(step)
        except (TimeoutError, Unavailable):
            return False
        return True

    async def _exit(self) -> None:
        """Wait for a sandbox that is ending by itself; one that does not is killed."""
        try:
            async with asyncio.timeout(self.deadlines.end.total_seconds()):
                await self.engine.exited(self.container)
        except TimeoutError:
            await self._end()

    async def _end(self) -> None:
        """Kill all of it, and wait for the engine's word that it has ended: killing a container's first process ends
        its whole process namespace (pid_namespaces(7))."""
        await self._insist(lambda: self.engine.kill(self.container))
        try:
            async with asyncio.timeout(self.deadlines.end.total_seconds()):
                await self.engine.exited(self.container)
        except TimeoutError as error:
            message = f"The engine did not confirm a sandbox's end within {self.deadlines.end.total_seconds():.0f} s."
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, message) from error

    async def _insist(self, work: Callable[[], Awaitable[T]]) -> T:
        return await insist_for(self.deadlines.patience, work)

    def _without_mark(self, state: ContainerState) -> Ending:
        """What an end without END means: for a step that replaced the shell its own exit, else something from outside."""
        steps = self.capture.steps
        if state.cause is not ExitCause.EXITED or state.exit_code is None:
            return Vanished("The engine no longer knows the sandbox; somebody removed it.", steps)
        if self._last_has_the_signals or state.oom_killed:
            kills = int(state.oom_killed)
            ended = _ended(steps, self.clock.now(), state.exit_code, kills)
            return Exited(state.exit_code, kills, ended)
        return Vanished(
            f"The sandbox was ended from outside (status {state.exit_code}); did the engine stop, or "
            "the command kill its own shell?",
            steps,
        )


async def _handed_over_before() -> None:
    """Nothing is left to send."""


def _ended(
    steps: tuple[StepRun, ...], at: datetime, exit_code: int | None = None, oom_kills: int = 0
) -> tuple[StepRun, ...]:
    """The steps, the last ended too: with the sandbox."""
    if not steps or steps[-1].ended_at is not None:
        return steps
    return (*steps[:-1], replace(steps[-1], ended_at=at, exit_code=exit_code, oom_kills=oom_kills))
