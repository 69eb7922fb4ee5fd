"""Tools: short-lived containers of Chaser's own, that look into volumes.

Chaser never touches the engine's file system itself: the engine may be on another machine, and what is in a volume was
written by strangers. A tool sees nothing but the volumes that it was made for. It has no network, a read-only root and
four capabilities, and runs a fixed script that is given names as data. So a trick that got past a script would end in the
tool's own root, which is an image that everybody may see, and goes with the tool.

Many a tool is never started: for copying in and out an engine asks no more than that there is a container.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from chaser.clock import Clock
from chaser.errors import Refused, Unavailable
from chaser.ids import InstanceId, JobId, SandboxId, WorkerId, new_sandbox_id
from chaser.jobs.ports import SandboxRow
from chaser.jobs.reason import Reason
from chaser.sandboxes.engine import STDOUT, Attachment, ContainerId, ContainerOptions, Engine, VolumeOptions
from chaser.sandboxes.images import ImageSource
from chaser.sandboxes.labels import INSTANCE, SANDBOX, container_name, own_volume
from chaser.sandboxes.removals import Removals
from chaser.sandboxes.spec import PullPolicy
from chaser.sandboxes.workspaces import WorkspaceStore

log = structlog.stdlib.get_logger()

STAGE: Final = "/chaser-stage"
"""Where a tool has an empty volume of its own, if it asks for one."""

CAPABILITIES: Final = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID")
"""What it takes to read, write and give away the files of any user."""

END: Final = timedelta(seconds=10)
MOST_OUTPUT: Final = 16 << 20
NO_SHELL: Final = 127
_WORDS: Final = 400


@dataclass(frozen=True, slots=True)
class Errand:
    """The attempt of the job for which something is changed."""

    job_id: JobId
    attempt: int


@dataclass(frozen=True, slots=True)
class Work:
    """What a tool is for. `script` is for /bin/sh, and `arguments` are its `$1` and so on; without one it is not started."""

    volumes: Mapping[str, str]
    """By the path at which they are mounted."""
    script: str | None = None
    arguments: tuple[str, ...] = ()
    read_only: frozenset[str] = frozenset()
    """The paths among them that the tool cannot write to."""
    stage: bool = False
    errand: Errand | None = None
    """With one, the tool of the job's earlier attempt must be gone before there is another."""


@dataclass(frozen=True, slots=True)
class Result:
    exit_code: int
    output: bytes
    words: str
    """What it said on stderr: for an operator, and not for a client."""


class Tools:
    def __init__(
        self,
        engine: Engine,
        instance: InstanceId,
        images: ImageSource,
        store: WorkspaceStore,
        removals: Removals,
        clock: Clock,
        worker: WorkerId,
        *,
        image: str,
    ) -> None:
        """`image` must have a POSIX shell, and what coreutils, findutils and tar have in common with busybox."""
        self._engine = engine
        self._instance = instance
        self._images = images
        self._store = store
        self._removals = removals
        self._clock = clock
        self._worker = worker
        self._image = image

    @asynccontextmanager
    async def made(self, work: Work) -> "AsyncGenerator[Tool]":
        """A tool, for as long as the block lasts. Its removal is seen to afterwards, however the block ends.

        Raises `Refused` where the tools' image cannot serve, `Unavailable` where the engine does not answer, or where the
        tool of the job's earlier attempt may still be there.
        """
        image = await self._images.ensure(self._image, PullPolicy.MISSING, None)
        now = self._clock.now()
        engine_id = await self.engine_id()
        job, attempt = (work.errand.job_id, work.errand.attempt) if work.errand else (None, None)
        row = SandboxRow(new_sandbox_id(now), job, attempt, self._worker, engine_id, now)
        await self._store.name_tool(row)
        try:
            volumes = dict(work.volumes)
            if work.stage:
                volumes[STAGE] = own_volume(row.id)
                await self._engine.create_volume(self.volume(volumes[STAGE]))
            container = await self._engine.create(self._options(row.id, image.id, work, volumes))
            yield Tool(self._engine, row.id, container)
        except (
            BaseException
        ):  # a cancel too: whoever comes next in the workspace's line must find nobody at work
            if work.errand is not None:
                await self._ended(row.id)
            raise
        finally:
            # What is never started was only to make volumes ready, which may be gone again within the second.
            self._removals.remove(row.id, at_once=work.script is None)

    async def engine_id(self) -> str:
        return (await self._engine.info()).id

    def volume(self, name: str) -> VolumeOptions:
        """A volume of this installation."""
        return VolumeOptions(name, {INSTANCE: self._instance})

    async def _ended(self, tool: SandboxId) -> None:
        """An engine that is away is not waited for much longer; the next attempt is, until it has confirmed the end."""
        try:
            async with asyncio.timeout(END.total_seconds()):
                await self._removals.removed(tool)
        except TimeoutError:
            log.warning("A tool may still be at work.", action="tool_left", sandbox_id=tool)

    def _options(
        self, sandbox: SandboxId, image_id: str, work: Work, volumes: Mapping[str, str]
    ) -> ContainerOptions:
        return ContainerOptions(
            name=container_name(sandbox),
            image_id=image_id,
            command=("/bin/sh", "-c", work.script or "exit 0", "chaser", *work.arguments),
            labels={INSTANCE: self._instance, SANDBOX: sandbox},
            user="0:0",
            working_dir="/",
            network="none",
            # An engine copies nothing into a read-only root, not even what a mount's own directory is like.
            read_only=work.script is not None,
            tmpfs={"/tmp": "rw,noexec,nosuid,nodev,mode=1777,size=67108864"},  # noqa: S108  # in the tool
            cap_add=CAPABILITIES,
            no_new_privileges=True,
            memory_bytes=512 << 20,
            nano_cpus=1_000_000_000,
            pids=64,
            nofile=1024,
            shm_bytes=1 << 20,
            log_max_bytes=1 << 20,
            runtime=None,
            environment={"LC_ALL": "C"},
            volumes=volumes,
            read_only_volumes=work.read_only,
        )


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. It can be started once."""

    engine: Engine
    id: SandboxId
    container: ContainerId

    async def put(self, path: str, tar: AsyncIterable[bytes]) -> None:
        """Unpack into the directory `path`. Raises `Refused(input_unusable)`."""
        if not await self.engine.put_archive(self.container, path, tar):
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, "The engine no longer knows a tool; try again.")

    def get(self, path: str) -> AsyncGenerator[bytes]:
        """What is at `path`, as a tar."""
        return self.engine.get_archive(self.container, path)

    async def run(self, within: timedelta) -> Result:
        """Run the script to its end. When this returns or raises, nothing of it runs any more.

        Raises `Refused` with `run_timeout`, or `output_limit`.
        """
        ear = Ear()
        await self.listen(ear)
        try:
            async with asyncio.timeout(within.total_seconds()):
                await ear.ended()
                await self.engine.exited(self.container)
        except TimeoutError as error:
            await self._end(ear)
            message = (
                f"Looking into the workspace took longer than {within.total_seconds():g} s, and was ended."
            )
            raise Refused(Reason.RUN_TIMEOUT, message) from error
        if ear.too_much:
            raise Refused(Reason.OUTPUT_LIMIT, "There is more than one answer can hold.")
        return await self._result(ear)

    async def listen(self, ear: "Ear") -> None:
        """Start the script, with `ear` at its output."""
        ear.attachment = await self.engine.attach(self.container, ear)
        await self.engine.start_container(self.container)

    async def _result(self, ear: "Ear") -> Result:
        state = await self.engine.state(self.container)
        words = ear.said[-_WORDS:].decode("utf-8", "replace")
        if state.exit_code is None:
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, "A tool was removed while it ran; try again.")
        if state.exit_code == NO_SHELL:
            raise Refused(
                Reason.IMAGE_HAS_NO_SHELL, f"The tools' image lacks a program: {words or '/bin/sh'}"
            )
        return Result(state.exit_code, bytes(ear.heard), words)

    async def _end(self, ear: "Ear") -> None:
        ear.close()
        await self.engine.kill(self.container)
        await self.engine.exited(self.container)


@dataclass(eq=False)
class Ear:
    """Hears what a tool says. `told` is called after each piece, and at the end."""

    told: Callable[[], None] = lambda: None
    heard: bytearray = field(default_factory=bytearray)
    said: bytearray = field(default_factory=bytearray)
    """On stderr: only the end of it."""
    too_much: bool = False
    attachment: Attachment | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    def received(self, pipe: int, data: bytes) -> None:
        if pipe != STDOUT:
            self.said = (self.said + data)[-_WORDS:]
        elif len(self.heard) + len(data) > MOST_OUTPUT:
            self.too_much = True
        else:
            self.heard += data
            self.told()

    def disconnected(self) -> None:
        self._ended.set()
        self.told()

    @property
    def closed(self) -> bool:
        return self._ended.is_set()

    async def ended(self) -> None:
        await self._ended.wait()

    def close(self) -> None:
        if self.attachment is not None:
            self.attachment.close()
