"""The one way to start a sandbox, and the one way to end it.

prepare: create ▸ attach ▸ start ▸ READY         (everything that is fixed at creation; nothing of the request)
         for a job that waits, or ahead of any
run:     send the launch ▸ BEGIN ▸ output ▸ END ▸ ended      (or: kill, while the attach is read to its end)
resume:  the same from the engine's log, in a process that did not prepare it
remove:  with its anonymous volumes, and the engine says that it is gone

Between the end and the removal the sandbox's files can still be had.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime

from chaser.clock import Clock
from chaser.errors import Refused, Unavailable
from chaser.ids import InstanceId, SandboxId
from chaser.jobs.ports import Progress
from chaser.jobs.reason import Reason
from chaser.sandboxes.boot import message
from chaser.sandboxes.capture import Capture, Phase
from chaser.sandboxes.course import Course
from chaser.sandboxes.deadlines import Deadlines
from chaser.sandboxes.ending import Ending, NotBegun
from chaser.sandboxes.engine import Attachment, ContainerId, Engine, Image
from chaser.sandboxes.hardening import options
from chaser.sandboxes.output import NOTHING, Output
from chaser.sandboxes.replay import LogChannel, read_log
from chaser.sandboxes.slots import Slots
from chaser.sandboxes.spec import Launch, SandboxSpec, Terms
from chaser.sandboxes.stop import Stop
from chaser.sandboxes.traffic import Traffic

NO_SHELL = 127
"""docker-init's exit status when it finds no program to start."""


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
        clock: Clock,
        traffic: Traffic,
        max_starting: int,
        deadlines: Deadlines,
        log_max_bytes: int,
    ) -> None:
        self._engine = engine
        self._instance = instance
        self._clock = clock
        self._traffic = traffic
        self._slots = Slots(max_starting, traffic)
        self._deadlines = deadlines
        self._log_max_bytes = log_max_bytes

    async def prepare(
        self,
        sandbox: SandboxId,
        spec: SandboxSpec,
        image: Image,
        network: str,
        volumes: Mapping[str, str],
    ) -> Prepared:
        """A hardened, waiting sandbox. `volumes` are those that it is to have, by the path at which each is mounted.

        Raises `Refused` where the image cannot serve, `Unavailable` with `start_timeout` or `engine_unavailable`.
        Whatever happens, what was created is removed again unless it is returned.
        """
        return await self._slots.start(lambda: self._in_time(sandbox, spec, image, network, volumes))

    async def prepare_ahead(
        self, sandbox: SandboxId, spec: SandboxSpec, image: Image, network: str
    ) -> Prepared | None:
        """The same for a launch that is yet to come, after all that jobs wait for. None: it has given way to a job's
        start, and was removed again."""
        return await self._slots.start_ahead(lambda: self._in_time(sandbox, spec, image, network, {}))

    async def _in_time(
        self,
        sandbox: SandboxId,
        spec: SandboxSpec,
        image: Image,
        network: str,
        volumes: Mapping[str, str],
    ) -> Prepared:
        seconds = self._deadlines.start.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                return await self._prepared(sandbox, spec, image, network, volumes)
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
        terms: Terms,
        output: Output,
        stop: Stop,
        begun: Callable[[], Awaitable[None]],
    ) -> Ending | NotBegun:
        """Hand over, and read until the end. When this returns, nothing of the launch runs any more; only where the
        engine has been away too long to say so, that is left to the removal of the sandbox.

        `terms` are the launch's, with a nonce of its own. `begun` is called once the first step is known to have begun.
        """
        prepared.capture.listen(terms, output)
        course = Course(
            self._engine,
            self._clock,
            self._deadlines,
            self._log_max_bytes,
            prepared.id,
            prepared.container,
            prepared.attachment,
            prepared.capture,
            terms,
            NOTHING,
            stop,
        )
        with ExitStack() as handing:
            handing.enter_context(self._traffic.starting())

            async def first_step() -> None:
                handing.close()
                await begun()

            return await course.run(
                lambda: prepared.attachment.send(message(launch, terms.nonce)), first_step
            )

    async def resume(
        self,
        sandbox: SandboxId,
        container: ContainerId,
        terms: Terms,
        progress: Progress,
        output: Output,
        stop: Stop,
        begun: Callable[[], Awaitable[None]],
        *,
        running_since: datetime | None,
    ) -> Ending | NotBegun:
        """Take over a sandbox that another process has handed its launch, or was about to: `run`, from there on.

        `progress` is how far its output has been stored, and `output` was made with it. `running_since` is when the
        launch began, where that has been written. `begun` is called here too.
        """
        capture = Capture(self._clock)
        capture.listen(terms, output, progress.steps, begun=running_since is not None)
        channel = LogChannel(
            lambda: read_log(self._engine, container, capture, terms, progress, Phase.ENDED), capture
        )
        course = Course(
            self._engine,
            self._clock,
            self._deadlines,
            self._log_max_bytes,
            sandbox,
            container,
            channel,
            capture,
            terms,
            progress,
            stop,
        )
        try:
            return await course.resume(begun, running_since)
        finally:
            channel.close()

    async def discard(self, prepared: Prepared) -> None:
        """End a sandbox that will not be handed anything, or no more."""
        prepared.attachment.close()
        await self.remove(prepared.container)

    async def remove(self, container: ContainerId) -> None:
        """Remove a sandbox with all that is its own. Raises `Unavailable` if the engine does not confirm it."""
        await self._engine.remove(container)

    async def _prepared(
        self,
        sandbox: SandboxId,
        spec: SandboxSpec,
        image: Image,
        network: str,
        volumes: Mapping[str, str],
    ) -> Prepared:
        container = await self._engine.create(
            options(
                spec,
                sandbox=sandbox,
                instance=self._instance,
                image=image,
                engine=await self._engine.info(),
                network=network,
                volumes=volumes,
                log_max_bytes=self._log_max_bytes,
            )
        )
        attachment: Attachment | None = None
        ready = False
        try:
            capture = Capture(self._clock)
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
