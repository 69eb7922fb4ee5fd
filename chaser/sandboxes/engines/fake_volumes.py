"""The fake engine's named volumes, and copying in and out of its containers: all are plain directories here.

A container has no root of its own, so a volume is found by its name: wherever the path at which it is mounted is written,
in a command or in what is sent, the volume's own directory is put in its place.
"""

import asyncio
import contextlib
import shutil
import tarfile
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from chaser.errors import Refused, Unavailable
from chaser.ids import InstanceId
from chaser.jobs.reason import Reason
from chaser.sandboxes.engine import VolumeOptions
from chaser.sandboxes.engines.fake_container import BLOCK, FakeContainer
from chaser.sandboxes.labels import INSTANCE


@dataclass(frozen=True)
class FakeVolume:
    options: VolumeOptions
    path: Path


class FakeVolumes:
    def __init__(self) -> None:
        self._all: dict[str, FakeVolume] = {}

    def create(self, options: VolumeOptions) -> None:
        """An overlay is a whole copy in its upper directory, made now."""
        if options.name in self._all:
            return
        if options.overlay is None:
            path = Path(tempfile.mkdtemp(prefix="chaser-fake-volume-"))
        else:
            path = Path(options.overlay.upper)
            shutil.copytree(options.overlay.lower, path, symlinks=True, dirs_exist_ok=True)
        self._all[options.name] = FakeVolume(options, path)

    def path(self, name: str) -> Path | None:
        return self._all[name].path if name in self._all else None

    def remove(self, name: str, containers: Collection[FakeContainer]) -> None:
        if any(name in container.options.volumes.values() for container in containers):
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, f"The volume {name} is still in use.")
        if name in self._all:
            shutil.rmtree(self._all.pop(name).path)

    def names(self, instance: InstanceId) -> Sequence[str]:
        return [name for name, each in self._all.items() if each.options.labels.get(INSTANCE) == instance]

    def clear(self) -> None:
        for volume in self._all.values():
            # an overlay's directory may have gone with the volume that it lies in
            shutil.rmtree(volume.path, ignore_errors=True)
        self._all.clear()

    def mounted(self, container: FakeContainer) -> dict[str, str]:
        """By the path at which it is mounted, each volume's directory here; like an engine, it makes those that are new."""
        for name in container.options.volumes.values():
            self.create(VolumeOptions(name, {}))
        return {path: str(self._all[name].path) for path, name in container.options.volumes.items()}


class FakeFiles:
    """What is in a container, as tars. Links are taken as they are: what a test writes here ends on its own machine."""

    def __init__(self, container: FakeContainer) -> None:
        self._container = container

    async def get(self, path: str) -> AsyncGenerator[bytes]:
        with tempfile.TemporaryFile() as spool:
            if not await asyncio.to_thread(self._pack, spool, path):
                return
            spool.seek(0)
            while piece := spool.read(BLOCK):
                yield piece

    async def put(self, path: str, tar: AsyncIterable[bytes]) -> bool:
        with tempfile.TemporaryFile() as spool:
            async for piece in tar:
                spool.write(piece)
            spool.seek(0)
            return await asyncio.to_thread(self._unpack, spool, path)

    def _pack(self, spool: IO[bytes], path: str) -> bool:
        place = self._place(path)
        if not place.exists() and not place.is_symlink():
            return False
        with tarfile.open(fileobj=spool, mode="w") as tar:
            tar.add(place, PurePosixPath(path).name or ".")
        return True

    def _unpack(self, spool: IO[bytes], path: str) -> bool:
        if not self._place(path).is_dir():
            return False
        try:
            with tarfile.open(fileobj=spool, mode="r:") as tar:
                for member in tar:
                    self._unpack_one(tar, member, path)
        except tarfile.TarError as error:
            raise Refused(Reason.INPUT_UNUSABLE, f"The engine does not take this: {error}") from error
        return True

    def _unpack_one(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        target = self._place(str(PurePosixPath(path) / member.name))
        if target.is_dir() != member.isdir() and target.exists():
            raise Refused(
                Reason.INPUT_UNUSABLE, f"The engine does not take this: {member.name} is in the way"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        if not member.isdir():
            target.unlink(missing_ok=True)
        member.name = target.name
        with contextlib.suppress(PermissionError):
            tar.extract(member, target.parent, numeric_owner=True, filter="fully_trusted")

    def _place(self, path: str) -> Path:
        whole = PurePosixPath("/") / path
        for mount, directory in self._container.mounts.items():
            if whole.is_relative_to(mount):
                return Path(directory) / whole.relative_to(mount)
        return self._container.home / whole.relative_to("/")
