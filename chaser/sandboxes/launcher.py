"""The one way to start a sandbox, and the one way to end it.

prepare: create ▸ attach ▸ start ▸ READY         (everything that is fixed at creation; nothing of the request)
run:     send the launch ▸ BEGIN ▸ output ▸ END ▸ ended      (or: kill, while the attach is read to its end)
remove:  with its volumes, and the engine says that it is gone
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Generator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import structlog

from chaser.errors import Refused, Unavailable
from chaser.ids import InstanceId, SandboxId
from chaser.jobs.reason import Reason
from chaser.sandboxes.boot import NOT_HANDED_OVER, message
from chaser.sandboxes.capture import Capture, Phase
from chaser.sandboxes.ending import Ending, Exited, NotBegun, Stopped, Vanished
from chaser.sandboxes.engine import (
    Attachment,
    ContainerId,
    ContainerState,
    Engine,
    ExitCause,
    Image,
)
from chaser.sandboxes.hardening import options
from chaser.sandboxes.output import Output
from chaser.sandboxes.spec import Launch, SandboxSpec
from chaser.sandboxes.stop import Stop, StopRequested
from chaser.sandboxes.traffic import Traffic

T = TypeVar("T")

log = structlog.stdlib.get_logger()

NO_SHELL = 127
"""docker-init's exit status when it finds no program to start."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    start: timedelta = timedelta(seconds=60)
    """From create to READY, and from the hand-over to BEGIN."""
    end: timedelta = timedelta(seconds=30)
    """From the last mark, or a kill, to the engine's word that nothing is left."""
    drain: timedelta = timedelta(seconds=5)
    """From a kill to the end of the attach; after it the attach is closed."""
    patience: timedelta = timedelta(seconds=60)
    """How long an engine that was there may be away before its sandboxes are called lost."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A sandbox that waits for its launch. Single use."""

    id: SandboxId
    container: ContainerId
    attachment: Attachment
    capture: Capture


class Launcher:
    def __init__(
        self,
        engine: Engine,
        instance: InstanceId,
        *,
        traffic: Traffic,
        max_starting: int,
        deadlines: Deadlines,
        log_max_bytes: int,
    ) -> None:
        self._engine = engine
        self._instance = instance
        self._traffic = traffic
        self._starts = asyncio.Semaphore(max_starting)
        self._deadlines = deadlines
        self._log_max_bytes = log_max_bytes

    async def prepare(self, sandbox: SandboxId, spec: SandboxSpec, image: Image, network: str) -> Prepared:
        """A hardened, waiting sandbox.

        Raises `Refused` where the image cannot serve, `Unavailable` with `start_timeout` or `engine_unavailable`.
        Whatever happens, what was created is removed again unless it is returned.
        """
        seconds = self._deadlines.start.total_seconds()
        with self._traffic.starting():
            async with self._starts:
                try:
                    async with asyncio.timeout(seconds):
                        return await self._prepared(sandbox, spec, image, network)
                except TimeoutError as error:
                    message = (
                        f"The sandbox was not ready within {seconds:g} s; look at the load of the engine's machine "
                        "and at the engine's log."
                    )
                    raise Unavailable(Reason.START_TIMEOUT, message) from error

    async def run(
        self,
        prepared: Prepared,
        launch: Launch,
        output: Output,
        stop: Stop,
        begun: Callable[[], Awaitable[None]],
    ) -> Ending | NotBegun:
        """Hand over, and read until the end. When this returns, nothing of the launch runs any more; only where the
        engine has been away too long to say so, that is left to the removal of the sandbox.

        `begun` is called once the first step is known to have begun.
        """
        nonce = secrets.token_hex(16)
        prepared.capture.listen(nonce, launch, output.take)
        try:
            if not await stop.guard(self._begins(prepared, message(launch, nonce), output)):
                return await self._without_begin(prepared, launch, output)
            with _run_deadline(launch, stop):
                await stop.guard(begun())
                await stop.guard(self._follow(prepared, output, Phase.ENDED))
            return await self._ending(prepared, launch)
        except StopRequested as request:
            return await self._stop(prepared, output, request.stopped)
        except Unavailable as error:
            prepared.attachment.close()
            return Vanished(f"The engine has been away too long to know of its sandboxes. {error.message}")

    async def discard(self, prepared: Prepared) -> None:
        """End a sandbox that will not be handed anything, or no more."""
        prepared.attachment.close()
        await self.remove(prepared.container)

    async def remove(self, container: ContainerId) -> None:
        """Remove a sandbox with all that is its own. Raises `Unavailable` if the engine does not confirm it."""
        await self._engine.remove(container)

    async def _prepared(self, sandbox: SandboxId, spec: SandboxSpec, image: Image, network: str) -> Prepared:
        container = await self._engine.create(
            options(
                spec,
                sandbox=sandbox,
                instance=self._instance,
                image=image,
                engine=await self._engine.info(),
                network=network,
                log_max_bytes=self._log_max_bytes,
            )
        )
        attachment: Attachment | None = None
        ready = False
        try:
            capture = Capture()
            attachment = await self._engine.attach(container, capture)
            await self._engine.start_container(container)
            ready = await capture.until(Phase.READY)
            if not ready:
                raise await self._why_not_ready(container)
            return Prepared(sandbox, container, attachment, capture)
        finally:
            if not ready:
                if attachment is not None:
                    attachment.close()
                await self._engine.remove(container)

    async def _why_not_ready(self, container: ContainerId) -> Refused | Unavailable:
        await self._engine.exited(container)
        state = await self._engine.state(container)
        if state.exit_code == NO_SHELL:
            return Refused(Reason.IMAGE_HAS_NO_SHELL, "The image has no /bin/sh, which every run needs.")
        message = (
            f"The image's /bin/sh ended with status {state.exit_code} before it was ready; is the image meant for "
            "this machine's architecture, and its shell POSIX?"
        )
        return Refused(Reason.IMAGE_UNUSABLE, message)

    async def _begins(self, prepared: Prepared, handed_over: bytes, output: Output) -> bool:
        try:
            async with asyncio.timeout(self._deadlines.start.total_seconds()):
                await prepared.attachment.send(handed_over)
                return await self._follow(prepared, output, Phase.BEGUN)
        except TimeoutError:
            return False

    async def _follow(self, prepared: Prepared, output: Output, phase: Phase) -> bool:
        """Read until `phase`: from the attach, and where that ends early from the engine's log. False: it ended without."""
        capture = prepared.capture
        if await capture.until(phase):
            return True
        return await self._insist(lambda: self._read_on(prepared, output, phase))

    async def _read_on(self, prepared: Prepared, output: Output, phase: Phase) -> bool:
        capture = prepared.capture
        async with aclosing(self._engine.log(prepared.container, dict(capture.raw))) as chunks:
            async for chunk in chunks:
                capture.received(chunk.pipe, chunk.data)
                if capture.phase.value >= phase.value:
                    return True
                await output.room()
        return False

    async def _without_begin(self, prepared: Prepared, launch: Launch, output: Output) -> Ending | NotBegun:
        prepared.attachment.close()
        await self._end(prepared.container)
        # BEGIN may only have come too late. What has begun must not run again, and the log knows.
        if await self._follow(prepared, output, Phase.BEGUN):
            await self._follow(prepared, output, Phase.ENDED)
            return await self._ending(prepared, launch)
        state = await self._insist(lambda: self._engine.state(prepared.container))
        if state.exit_code == NOT_HANDED_OVER:
            return NotBegun(
                "The connection to the sandbox was cut off during the hand-over; nothing has run."
            )
        return NotBegun(
            f"The sandbox ended (status {state.exit_code}) before its first step; nothing has run."
        )

    async def _ending(self, prepared: Prepared, launch: Launch) -> Ending:
        """After END, or after the output has ended without one."""
        await self._exit(prepared.container)
        prepared.attachment.close()
        prepared.capture.finish()
        end = prepared.capture.end
        if end is not None:
            return Exited(end.exit_code, end.oom_kills)
        state = await self._insist(lambda: self._engine.state(prepared.container))
        return _without_mark(state, replaced=launch.steps[-1].replaces_shell)

    async def _stop(self, prepared: Prepared, output: Output, stopped: Stopped) -> Ending:
        try:
            whole = await self._killed_to_the_last_byte(prepared)
            # What was printed up to the kill is in the engine's log, as long as that has not been cut itself.
            if not whole and sum(prepared.capture.raw.values()) < self._log_max_bytes:
                await self._insist(lambda: self._read_on(prepared, output, Phase.ENDED))
        except Unavailable as error:
            # The stop stands: the sandbox is removed as soon as the engine answers.
            log.warning(
                "A stopped sandbox could not be ended yet.",
                action="stop_unconfirmed",
                sandbox_id=prepared.id,
                error=error.message,
            )
        prepared.capture.finish()
        return stopped

    async def _killed_to_the_last_byte(self, prepared: Prepared) -> bool:
        """End it; whether all that it printed has come by the attach.

        The engine's log has the same, but only from its first line on, which takes minutes where a run has printed
        millions of short ones. An attach could also keep the kill from taking effect: then it is closed.
        """
        capture, loop = prepared.capture, asyncio.get_running_loop()
        attached = capture.connected
        too_long = loop.call_later(self._deadlines.drain.total_seconds(), prepared.attachment.close)
        try:
            await self._end(prepared.container)
            await capture.closed()
            return attached and loop.time() < too_long.when()
        finally:
            too_long.cancel()
            prepared.attachment.close()

    async def _exit(self, container: ContainerId) -> None:
        """Wait for a sandbox that is ending by itself; one that does not is killed."""
        try:
            async with asyncio.timeout(self._deadlines.end.total_seconds()):
                await self._engine.exited(container)
        except TimeoutError:
            await self._end(container)

    async def _end(self, container: ContainerId) -> None:
        """Kill all of it, and wait for the engine's word that it has ended: killing a container's first process ends
        its whole process namespace (pid_namespaces(7))."""
        await self._insist(lambda: self._engine.kill(container))
        try:
            async with asyncio.timeout(self._deadlines.end.total_seconds()):
                await self._engine.exited(container)
        except TimeoutError as error:
            message = f"The engine did not confirm a sandbox's end within {self._deadlines.end.total_seconds():.0f} s."
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, message) from error

    async def _insist(self, work: Callable[[], Awaitable[T]]) -> T:
        """Try until the engine answers, for as long as patience lasts."""
        give_up = asyncio.get_running_loop().time() + self._deadlines.patience.total_seconds()
        pause = 0.1
        while True:
            try:
                return await work()
            except Unavailable:
                if asyncio.get_running_loop().time() + pause > give_up:
                    raise
            await asyncio.sleep(pause)
            pause = min(5.0, pause * 2)


@contextmanager
def _run_deadline(launch: Launch, stop: Stop) -> Generator[None]:
    """Ask for a stop when the launch has run for as long as it may."""
    seconds = launch.timeout.total_seconds()
    message = f"It ran longer than its {seconds:g} s and was killed."
    timer = asyncio.get_running_loop().call_later(seconds, stop.request, Reason.RUN_TIMEOUT, message)
    try:
        yield
    finally:
        timer.cancel()


def _without_mark(state: ContainerState, *, replaced: bool) -> Ending:
    """What an end without END means: for a step that replaced the shell its own exit, else something from outside."""
    if state.cause is ExitCause.EXITED and state.exit_code is not None:
        if replaced:
            return Exited(state.exit_code, int(state.oom_killed))
        if state.oom_killed:
            return Exited(state.exit_code, 1)
        return Vanished(
            f"The sandbox was ended from outside (status {state.exit_code}); did the engine stop, or "
            "the command kill its own shell?"
        )
    return Vanished("The engine no longer knows the sandbox; somebody removed it.")
