"""Brings files into a sandbox before its first step, and takes files out of it after its end.

Both go through the engine's archives, so neither needs anything of the image; tmpfs is not reached by them.
"""

import asyncio
import posixpath
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Protocol

import structlog

from chaser.blocking import to_its_end
from chaser.errors import Refused, Unavailable
from chaser.ids import JobId
from chaser.jobs.insist import insist_for
from chaser.jobs.reason import Reason
from chaser.sandboxes.artifacts import Artifacts
from chaser.sandboxes.engine import ContainerId, Image
from chaser.sandboxes.globs import Glob
from chaser.sandboxes.harvest import Harvest, HarvestLimits
from chaser.sandboxes.owner import GROUP, PASSWD, Owner, looked_up, numeric, user_of
from chaser.sandboxes.packing import Package, in_pieces, of_root
from chaser.sandboxes.spec import WORKSPACE_PATH, Files, InputFile, Isolation, RootFile, SandboxSpec
from chaser.sandboxes.tar_reader import BadTar, TarReader
from chaser.sandboxes.uploads import Uploads

log = structlog.stdlib.get_logger()

_LARGEST_PASSWD = 1 << 20
_NO_FILES = ("/dev", "/proc", "/sys")
"""Mounted over in every sandbox: what is put there is not seen."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What was taken out. `left_out` says in a sentence what matched and was not."""

    paths: Sequence[str] = ()
    left_out: str | None = None


class Archives(Protocol):
    """The part of an `Engine` that this takes."""

    def get_archive(self, container: ContainerId, path: str) -> AsyncGenerator[bytes]: ...

    async def put_archive(self, container: ContainerId, path: str, tar: AsyncIterable[bytes]) -> bool: ...


class Courier:
    def __init__(
        self,
        engine: Archives,
        uploads: Uploads,
        artifacts: Artifacts,
        limits: HarvestLimits,
        *,
        patience: timedelta = timedelta(minutes=1),
    ) -> None:
        """`patience`: how long the engine may be away while artifacts are taken out."""
        self._engine = engine
        self._uploads = uploads
        self._artifacts = artifacts
        self._limits = limits
        self._patience = patience

    async def deliver(self, container: ContainerId, files: Files, spec: SandboxSpec, image: Image) -> None:
        """Put the inputs into a prepared sandbox, in their order.

        Raises `Refused(input_unusable)` with what to do, `Unavailable` where the engine or the store does not answer.
        """
        if not files.inputs:
            return
        owner = await self._owner(container, user_of(spec, image))
        base = files.root(image.working_dir)
        for each in files.inputs:
            await self._put(container, await self._package(each, owner), _place(base, each, spec))

    async def plant(self, container: ContainerId, files: Sequence[RootFile]) -> None:
        """Put root's files into a sandbox, whether or not it runs already.

        Raises `Refused(input_unusable)` where nothing can be written there, `Unavailable` if the engine does not answer.
        """
        if files and not await self._engine.put_archive(container, "/", _one_piece(of_root(files))):
            raise Refused(Reason.INPUT_UNUSABLE, "Nothing can be put to / in the sandbox.")

    async def collect(
        self, container: ContainerId, job_id: JobId, files: Files, image: Image | None
    ) -> Collected:
        """Take out what matches, after the end. May be repeated: the last time counts. `image`: none if it is gone.

        Raises `Unavailable` where the store does not answer; an engine that does not is said in `left_out`.
        """
        if not files.artifacts:
            return Collected()
        base = files.root("" if image is None else image.working_dir)
        globs = [Glob.below(base, text) for text in files.artifacts]
        harvest = Harvest(globs, base, await self._artifacts.folder(job_id), self._limits)
        try:
            await self._gather(container, globs, harvest)
            await self._artifacts.replace(job_id, harvest.artifacts)
        except BaseException:  # a cancel too: nobody names these files
            await to_its_end(harvest.discard)
            raise
        if harvest.left_out:
            log.info(
                "Not all that matched was taken out.",
                action="artifacts_left_out",
                job_id=job_id,
                what=harvest.left_out,
            )
        return Collected(sorted(artifact.path for artifact in harvest.artifacts), harvest.left_out)

    async def _owner(self, container: ContainerId, user: str) -> Owner:
        known = numeric(user)
        if known is not None:
            return known
        return looked_up(user, await self._read(container, PASSWD), await self._read(container, GROUP))

    async def _read(self, container: ContainerId, path: str) -> bytes:
        """A small file of the sandbox; empty where there is none, or it is a link."""
        reader, content = TarReader(), bytearray()
        async with aclosing(self._engine.get_archive(container, path)) as pieces:
            async for piece in pieces:
                for item in reader.feed(piece):
                    content += item if isinstance(item, bytes) else b""
                if len(content) > _LARGEST_PASSWD:
                    break
        return bytes(content)

    async def _package(self, wanted: InputFile, owner: Owner) -> Package:
        upload = await self._uploads.get(wanted.upload)
        content = self._uploads.content(wanted.upload)
        if upload is None or not await asyncio.to_thread(content.is_file):
            message = f"The upload {wanted.upload} is gone; send it again, and name the new one."
            raise Refused(Reason.INPUT_UNUSABLE, message)
        mtime = int(upload.created_at.timestamp())
        return Package(content, upload.is_tar, upload.size_bytes, mtime, owner)

    async def _put(self, container: ContainerId, package: Package, path: str) -> None:
        """Into the deepest directory of `path` that is there; the others are made."""
        parts = [part for part in path.split("/") if part]
        # a tar may go into the directory itself, a file only beside others
        for depth in range(len(parts) if package.is_tar else len(parts) - 1, -1, -1):
            above, name = (parts[depth:-1], parts[-1]) if depth < len(parts) else ([], "")
            tar = in_pieces(package.stream(above, name))
            async with aclosing(tar):
                if await self._engine.put_archive(container, "/" + "/".join(parts[:depth]), tar):
                    return
        message = f"Nothing can be put to {path} in the sandbox; name another path."
        raise Refused(Reason.INPUT_UNUSABLE, message)

    async def _gather(self, container: ContainerId, globs: Sequence[Glob], harvest: Harvest) -> None:
        loop = asyncio.get_running_loop()
        deadline = asyncio.timeout_at(loop.time() + self._limits.time.total_seconds())
        try:
            async with deadline:
                for root in _roots(globs):
                    await self._look(container, root, harvest)
                for path in list(harvest.linked):
                    await self._look(container, path, harvest)
        except TimeoutError:
            if not deadline.expired():
                raise
            harvest.miss(f"what was not found within {self._limits.time.total_seconds():g} s")
        except Unavailable as error:
            harvest.miss(f"what was not found before the engine no longer answered: {error.message}")
        except OSError as error:
            harvest.miss(f"what the service's disk did not take: {error.strerror}")
        finally:
            harvest.abandon()

    async def _look(self, container: ContainerId, root: str, harvest: Harvest) -> None:
        """Again from the beginning where the engine is away for a while."""
        if not harvest.full:
            await insist_for(self._patience, lambda: self._look_once(container, root, harvest))

    async def _look_once(self, container: ContainerId, root: str, harvest: Harvest) -> None:
        harvest.look_at(root)
        any_came = False
        try:
            async with aclosing(self._engine.get_archive(container, root)) as pieces:
                async for piece in pieces:
                    any_came = True
                    await to_its_end(partial(harvest.feed, piece))
                    if harvest.full:
                        return
            if any_came:
                await to_its_end(harvest.end)
        except BadTar as error:
            message = f"The engine's archive of {root} {error}."
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, message) from error


async def _one_piece(data: bytes) -> AsyncGenerator[bytes]:
    yield data


def _place(base: str, wanted: InputFile, spec: SandboxSpec) -> str:
    """Where in the sandbox it goes. Raises `Refused` where that is out of reach."""
    path = posixpath.normpath("/" + posixpath.join(base, wanted.path)).replace("//", "/")
    fault = unreachable(path, spec)
    if fault is not None:
        raise Refused(Reason.INPUT_UNUSABLE, fault)
    return path


def unreachable(path: str, spec: SandboxSpec) -> str | None:
    """Why files cannot be put to this absolute path, and what to do; none: they can."""
    if any(_below(path, each) for each in _NO_FILES):
        return f"Nothing can be put to {path}, which the sandbox has to itself; name a path elsewhere."
    if spec.isolation is Isolation.STRICT and not _below(path, WORKSPACE_PATH):
        return f"In strict isolation files can only be put below {WORKSPACE_PATH}, and not to {path}."
    return None


def _below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory + "/")


def _roots(globs: Sequence[Glob]) -> Sequence[str]:
    """What to look at: single files, and the highest of the directories."""
    files = {glob.root for glob in globs if glob.literal}
    directories = sorted({glob.root for glob in globs if not glob.literal})
    highest = [
        each
        for each in directories
        if not any(each != other and _below(each, other.rstrip("/")) for other in directories)
    ]
    return [*sorted(files), *highest]
