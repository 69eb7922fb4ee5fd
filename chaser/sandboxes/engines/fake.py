"""An engine for tests: it keeps state, makes only legal transitions, and really runs the boot script.

A container is a local `/bin/sh` in a process group of its own, with three pipes. Nothing isolates it: what a test runs
here runs as the test's own user on this machine. Faults are switches that a test sets.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

from chaser.errors import Refused, Unavailable
from chaser.ids import InstanceId, SandboxId
from chaser.jobs.reason import Reason
from chaser.sandboxes.engine import (
    STDERR,
    STDOUT,
    Chunk,
    ContainerId,
    ContainerOptions,
    ContainerState,
    EngineInfo,
    ExitCause,
    Image,
    Receiver,
    VolumeOptions,
)
from chaser.sandboxes.engines.fake_container import FakeAttachment, FakeContainer, process_ended, pump
from chaser.sandboxes.engines.fake_volumes import FakeFiles, FakeVolumes
from chaser.sandboxes.labels import INSTANCE, SANDBOX, container_name

NO_SHELL = 127
SILENT = ("/bin/sh", "-c", "while read -r _; do :; done")


class FakeEngine:
    """Implements `Engine`.

    `away`: no call is answered; `log_away`: only logs cannot be had. `cut_inputs`: each of the next attachments is
    lost after so many bytes of its message. `tells_exits`: whether `exited` ever returns. `without_shell`, `silent`:
    ids of images that have no /bin/sh, or never get READY. `shell` stands for the others' /bin/sh.
    """

    def __init__(
        self, images: Mapping[str, Image], engine_id: str = "fake-engine", shell: str = "/bin/sh"
    ) -> None:
        self.shell = shell
        self.images = dict(images)
        self.engine_id = engine_id
        self.cut_inputs: list[int] = []
        self.missed = asyncio.Event()
        """Set once a call has not been answered."""
        self.started = asyncio.Event()
        """Set once any container has been started."""
        self.tells_exits = True
        self.log_away = False
        self.without_shell: set[str] = set()
        self.silent: set[str] = set()
        self.containers: dict[ContainerId, FakeContainer] = {}
        self.created = 0
        self._volumes = FakeVolumes()
        self._there = asyncio.Event()
        self._there.set()

    @property
    def away(self) -> bool:
        return not self._there.is_set()

    @away.setter
    def away(self, away: bool) -> None:
        if away:
            self._there.clear()
        else:
            self._there.set()

    async def close(self) -> None:
        """Remove all that is left, as a test's end does."""
        self.away = False
        for container in list(self.containers):
            await self.remove(container)
        self._volumes.clear()

    def cut(self, after: int = 0) -> None:
        """Lose every attachment, now or after so many more bytes of output."""
        for container in self.containers.values():
            if container.attachment is not None:
                container.attachment.cut(after)

    async def ping(self) -> None:
        self._answer()

    async def info(self) -> EngineInfo:
        self._answer()
        return EngineInfo(
            id=self.engine_id,
            version="0",
            runtimes=frozenset({"sh"}),
            default_runtime="sh",
            storage_driver="none",
            cgroup_version="2",
            root_dir="/nonexistent",
            architecture="x86_64",
            rootless=True,
            local=False,
            nofile_ceiling=None,
        )

    async def image(self, reference: str) -> Image | None:
        self._answer()
        return self.images.get(reference)

    async def create(self, options: ContainerOptions) -> ContainerId:
        self._answer()
        if options.image_id not in {image.id for image in self.images.values()}:
            raise Refused(
                Reason.IMAGE_NOT_FOUND, "The image was removed from the engine just now; try again."
            )
        if self._find(ContainerId(options.name)) is not None:
            raise Refused(Reason.IMAGE_UNUSABLE, "The engine refuses this sandbox: its name is in use.")
        self.created += 1
        container = ContainerId(f"{self.created:064x}")
        home = Path(tempfile.mkdtemp(prefix="chaser-fake-"))
        made = FakeContainer(container, options, home, self.shell)
        made.mounts = self._volumes.mounted(made)
        self.containers[container] = made
        return container

    async def attach(self, container: ContainerId, receiver: Receiver) -> FakeAttachment:
        """Raises ValueError for a container that has been started: its first bytes would be lost."""
        self._answer()
        found = self._never_started(container)
        cut = self.cut_inputs.pop(0) if self.cut_inputs else None
        found.attachment = FakeAttachment(found, receiver, cut)
        return found.attachment

    async def start_container(self, container: ContainerId) -> None:
        """Raises ValueError for one that has been started before."""
        self._answer()
        found = self._never_started(container)
        found.state = ContainerState(ExitCause.RUNNING)
        self.started.set()
        if found.options.image_id in self.without_shell:
            self._end(found, NO_SHELL)
            return
        command = found.options.command if found.options.image_id not in self.silent else SILENT
        found.process = await asyncio.create_subprocess_exec(
            *(found.located(word.encode()) for word in command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], **found.options.environment},
            cwd=found.home,
            start_new_session=True,
        )
        found.life = asyncio.create_task(self._live(found, found.process), name=f"container {container[-4:]}")

    async def kill(self, container: ContainerId) -> None:
        self._answer()
        found = self._find(container)
        if found is not None:
            found.kill()

    async def remove(self, container: ContainerId) -> None:
        self._answer()
        found = self._find(container)
        if found is None:
            return
        found.kill()
        if found.life is not None:
            await asyncio.shield(found.life)
        elif found.attachment is not None:
            found.attachment.close()
        self.containers.pop(found.id, None)
        found.state = ContainerState(ExitCause.GONE)
        found.change()
        shutil.rmtree(found.home, ignore_errors=True)

    async def state(self, container: ContainerId, *, with_size: bool = False) -> ContainerState:
        self._answer()
        found = self._find(container)
        if found is None:
            return ContainerState(ExitCause.GONE)
        size = _size(found.home) if with_size else None
        return ContainerState(found.state.cause, found.state.exit_code, disk_bytes=size)

    async def exited(self, container: ContainerId) -> None:
        found = self._find(container)
        while found is not None and (not self.tells_exits or not _ended(found)):
            await found.changed.wait()
        await self._there.wait()

    async def log(self, container: ContainerId) -> AsyncGenerator[Chunk]:
        self._answer_log()
        found = self._find(container)
        at = 0
        while found is not None:
            while at < len(found.chunks):
                self._answer_log()
                yield found.chunks[at]
                at += 1
            if _ended(found):
                return
            await found.changed.wait()

    async def signal(self, container: ContainerId, name: str) -> None:
        self._answer()
        found = self._find(container)
        if found is not None:
            found.signal(signal.Signals[f"SIG{name}"])

    async def find(self, name: str) -> ContainerId | None:
        self._answer()
        named = (each.id for each in self.containers.values() if each.options.name == name)
        return next(named, None)

    async def sandboxes(self, instance: InstanceId) -> Sequence[tuple[ContainerId, SandboxId]]:
        self._answer()
        return [
            (container.id, sandbox)
            for container in self.containers.values()
            if container.options.labels.get(INSTANCE) == instance
            and (sandbox := SandboxId(container.options.labels.get(SANDBOX, "")))
            and container.options.name == container_name(sandbox)
        ]

    async def create_volume(self, options: VolumeOptions) -> None:
        self._answer()
        self._volumes.create(options)

    async def volume_path(self, name: str) -> str | None:
        self._answer()
        path = self._volumes.path(name)
        return None if path is None else str(path)

    async def remove_volume(self, name: str) -> None:
        self._answer()
        self._volumes.remove(name, self.containers.values())

    async def volumes(self, instance: InstanceId) -> Sequence[str]:
        self._answer()
        return self._volumes.names(instance)

    async def get_archive(self, container: ContainerId, path: str) -> AsyncGenerator[bytes]:
        self._answer()
        found = self._find(container)
        if found is None:
            return
        async with aclosing(FakeFiles(found).get(path)) as pieces:
            async for piece in pieces:
                yield piece

    async def put_archive(self, container: ContainerId, path: str, tar: AsyncIterable[bytes]) -> bool:
        self._answer()
        found = self._find(container)
        return found is not None and await FakeFiles(found).put(path, tar)

    def _answer(self) -> None:
        if self.away:
            self.missed.set()
            raise Unavailable(
                Reason.ENGINE_UNAVAILABLE, "The engine is away, as the test wants it.", retry_after=5
            )

    def _answer_log(self) -> None:
        self._answer()
        if self.log_away:
            message = "Logs cannot be read, as the test wants it."
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, message, retry_after=5)

    def _find(self, container: ContainerId) -> FakeContainer | None:
        """By its id, or by its name."""
        by_name = (each for each in self.containers.values() if each.options.name == container)
        return self.containers.get(container) or next(by_name, None)

    def _never_started(self, container: ContainerId) -> FakeContainer:
        found = self._find(container)
        if found is None or found.state.cause is not ExitCause.NEVER_STARTED:
            raise ValueError(f"{container} cannot be attached to, or started, any more")
        return found

    async def _live(self, container: FakeContainer, process: asyncio.subprocess.Process) -> None:
        """From the start to the end: like an engine, it ends all of the group when the first process has ended."""
        assert process.stdout is not None
        assert process.stderr is not None
        pumps = [
            asyncio.create_task(pump(container, STDOUT, process.stdout)),
            asyncio.create_task(pump(container, STDERR, process.stderr)),
        ]
        await process_ended(process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.gather(*pumps)
        status = await process.wait()
        self._end(container, status if status >= 0 else 128 - status)

    def _end(self, container: FakeContainer, exit_code: int) -> None:
        container.state = ContainerState(ExitCause.EXITED, exit_code)
        container.change()
        if container.attachment is not None:
            container.attachment.close()


def _ended(container: FakeContainer) -> bool:
    return container.state.cause in {ExitCause.EXITED, ExitCause.GONE}


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))
