"""Engines to test on: the shipped fake, and real Docker with an instance id of each test's own, swept at its end."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from chaser.clock import SystemClock
from chaser.ids import InstanceId, SandboxId, new_id, new_sandbox_id
from chaser.jobs.logs import Frame, Stream
from chaser.jobs.ports import Fence, Progress
from chaser.sandboxes.deadlines import Deadlines
from chaser.sandboxes.ending import Ending, NotBegun, StepRun
from chaser.sandboxes.engine import (
    STDERR,
    STDOUT,
    ContainerId,
    ContainerOptions,
    Engine,
    Image,
)
from chaser.sandboxes.engines.docker import DockerEngine
from chaser.sandboxes.engines.fake import FakeEngine
from chaser.sandboxes.hardening import options
from chaser.sandboxes.launcher import Launcher, Prepared
from chaser.sandboxes.output import NOTHING, Append, Output, OutputLimits
from chaser.sandboxes.spec import Isolation, Launch, Limits, Network, SandboxSpec, Step, Streams, Terms
from chaser.sandboxes.stop import Stop
from chaser.sandboxes.traffic import Traffic
from tests.images import docker, small_image

IMAGE = Image(
    id="sha256:fake",
    digest=None,
    user="",
    volumes=frozenset(),
    working_dir="",
    labels={"chaser.test": "image"},
)
REFERENCE = "chaser-small:test"
MEBIBYTE = 1 << 20
SPEC = SandboxSpec(
    image=REFERENCE,
    profile="default",
    isolation=Isolation.STANDARD,
    network=Network.NONE,
    limits=Limits(cpus=1, memory_bytes=128 * MEBIBYTE, pids=64, nofile=1024, shm_bytes=16 * MEBIBYTE),
)
LOG_BYTES = 64 * MEBIBYTE


@dataclass
class Ear:
    """A receiver that keeps what it hears, and wakes whoever waits for something in it."""

    heard: dict[int, bytearray] = field(default_factory=lambda: {STDOUT: bytearray(), STDERR: bytearray()})
    ended: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def received(self, pipe: int, data: bytes) -> None:
        self.heard[pipe] += data
        self._news.set()

    def disconnected(self) -> None:
        self.ended = True
        self._news.set()

    async def until(self, enough: Callable[["Ear"], bool]) -> None:
        while not enough(self):
            await self._news.wait()
            self._news.clear()

    async def end(self) -> None:
        await self.until(lambda ear: ear.ended)


@dataclass
class Outcome:
    """One run: how it ended, and what was stored of it."""

    ending: Ending | NotBegun
    """Without its steps, which follow."""
    frames: Sequence[Frame]
    begun: int
    steps: tuple[StepRun, ...] = ()

    def end(self, ending: Ending | NotBegun) -> None:
        if isinstance(ending, NotBegun):
            self.ending = ending
        else:
            self.ending, self.steps = replace(ending, steps=()), ending.steps

    def text(self, stream: Stream = Stream.OUTPUT) -> bytes:
        return b"".join(frame.data for frame in self.frames if frame.stream is stream)


@dataclass(frozen=True)
class Site:
    """One engine to test on."""

    engine: Engine
    instance: InstanceId
    image: Image
    spool: Path
    reference: str = REFERENCE
    """The image's name."""

    async def options(
        self,
        *command: str,
        image: Image | None = None,
        spec: SandboxSpec = SPEC,
        sandbox: SandboxId | None = None,
    ) -> ContainerOptions:
        """A container as Chaser makes them; `command` takes the boot script's place."""
        whole = options(
            spec,
            sandbox=sandbox or new_sandbox_id(SystemClock().now()),
            instance=self.instance,
            image=image or self.image,
            engine=await self.engine.info(),
            network="none",
            volumes={},
            log_max_bytes=LOG_BYTES,
        )
        return replace(whole, command=command) if command else whole

    async def started(self, *command: str) -> tuple[ContainerId, Ear]:
        """A container that has run `command` to its end, and what it said."""
        container = await self.engine.create(await self.options(*command))
        ear = Ear()
        await self.engine.attach(container, ear)
        await self.engine.start_container(container)
        return container, ear

    async def started_with(
        self, volumes: Mapping[str, str], *command: str, spec: SandboxSpec, sandbox: SandboxId
    ) -> tuple[ContainerId, Ear]:
        """The same with volumes, for a sandbox that has its name already."""
        options = await self.options(*command, spec=spec, sandbox=sandbox)
        container = await self.engine.create(replace(options, volumes=volumes))
        ear = Ear()
        await self.engine.attach(container, ear)
        await self.engine.start_container(container)
        return container, ear

    def launcher(self, deadlines: Deadlines | None = None) -> Launcher:
        return Launcher(
            self.engine,
            self.instance,
            clock=SystemClock(),
            traffic=Traffic(),
            max_starting=4,
            deadlines=deadlines or Deadlines(),
            log_max_bytes=LOG_BYTES,
        )

    async def prepared(
        self, spec: SandboxSpec = SPEC, image: Image | None = None, deadlines: Deadlines | None = None
    ) -> Prepared:
        sandbox: SandboxId = new_sandbox_id(SystemClock().now())
        return await self.launcher(deadlines).prepare(sandbox, spec, image or self.image, "none", {})

    async def run(
        self,
        launch: Launch,
        prepared: Prepared | None = None,
        *,
        stop: Stop | None = None,
        heard: Callable[[bytes], None] | None = None,
        begun: Callable[[], None] | None = None,
        deadlines: Deadlines | None = None,
    ) -> Outcome:
        """Run `launch`, and remove its sandbox. `heard` is told of each write's bytes, `begun` of the beginning."""
        prepared = prepared or await self.prepared()
        outcome = await self.run_keeping(
            launch, prepared, stop=stop, heard=heard, begun=begun, deadlines=deadlines
        )
        await self.engine.remove(prepared.container)
        return outcome

    async def run_keeping(
        self,
        launch: Launch,
        prepared: Prepared | None = None,
        *,
        stop: Stop | None = None,
        heard: Callable[[bytes], None] | None = None,
        begun: Callable[[], None] | None = None,
        deadlines: Deadlines | None = None,
    ) -> Outcome:
        """`run`, without the removal."""
        prepared = prepared or await self.prepared()
        outcome = Outcome(NotBegun(""), [], 0)
        frames: list[Frame] = []

        async def append(more: Sequence[Frame], progress: Progress) -> Fence:
            frames.extend(more)
            if heard is not None:
                heard(b"".join(frame.data for frame in more))
            return Fence.HELD

        async def began() -> None:
            outcome.begun += 1
            if begun is not None:
                begun()

        stop = stop or Stop()
        terms = launch.terms(secrets.token_hex(16))
        output = recording(append, self.spool, terms)
        try:
            outcome.end(await self.launcher(deadlines).run(prepared, launch, terms, output, stop, began))
            await output.close()
        finally:
            output.abandon()
            prepared.attachment.close()
        outcome.frames = frames
        return outcome

    async def sh(self, command: str, **step: Any) -> Outcome:  # noqa: ANN401  # the fields of a value object, checked by it
        """Run one command; `step` are fields of `Step`."""
        return await self.run(script(command, **step))


def script(command: str, *, streams: Streams = Streams.MERGED, seconds: float = 60, **step: Any) -> Launch:  # noqa: ANN401  # the fields of a value object, checked by it
    """A launch of one command; `step` are fields of `Step`."""
    return Launch((Step(command, **step),), timedelta(seconds=seconds), streams)


def recording(append: Append, spool: Path, terms: Terms, start: Progress = NOTHING) -> Output:
    return Output(
        OutputLimits(),
        terms.masked,
        SystemClock(),
        append,
        spool,
        start=start,
        on_flood=lambda: None,
        on_lost=lambda: None,
    )


@asynccontextmanager
async def fake_site(spool: Path, shell: str = "/bin/sh") -> AsyncGenerator[Site]:
    engine = FakeEngine({REFERENCE: IMAGE}, shell=shell)
    try:
        yield Site(engine, _instance(), IMAGE, spool)
    finally:
        await engine.close()


@asynccontextmanager
async def docker_site(spool: Path) -> AsyncGenerator[Site]:
    """Real Docker. What a test leaves behind goes with its instance's label, and nothing else does."""
    reference, instance = small_image(), _instance()
    engine = DockerEngine(None, instance)
    engine.start()
    try:
        image = await engine.image(reference)
        assert image is not None
        yield Site(engine, instance, image, spool)
    finally:
        await engine.close()
        left = docker("ps", "--all", "--quiet", "--filter", f"label=chaser.instance={instance}").split()
        if left:
            docker("rm", "--force", "--volumes", *left)
        volumes = docker("volume", "ls", "--quiet", "--filter", f"label=chaser.instance={instance}").split()
        if volumes:
            docker("volume", "rm", *volumes)


def _instance() -> InstanceId:
    return InstanceId(new_id("test", SystemClock().now()))
