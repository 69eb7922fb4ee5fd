"""The files of a workspace, from outside of any job: list, read, write, remove.

Looking is allowed at any time, also while a job changes what is looked at. Changing is done by jobs that stand in the
workspace's line (`chaser.jobs.kinds`), so that nobody else changes anything meanwhile.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import takewhile
from typing import Final

import structlog

from chaser.errors import Refused, Rejected, Unavailable
from chaser.ids import UploadId, WorkspaceId
from chaser.jobs.reason import Reason
from chaser.sandboxes import tool_scripts as scripts
from chaser.sandboxes.inside import Inside
from chaser.sandboxes.labels import volume_name
from chaser.sandboxes.owner import Owner
from chaser.sandboxes.packing import Package, in_pieces
from chaser.sandboxes.spec import WORKSPACE_PATH
from chaser.sandboxes.tar_reader import BadTar, TarReader
from chaser.sandboxes.tools import STAGE, Errand, Result, Tool, Tools, Work
from chaser.sandboxes.uploads import Uploads
from chaser.sandboxes.volumes import Volumes
from chaser.sandboxes.workspaces import Workspace

log = structlog.stdlib.get_logger()

_FAULTS: Final = {
    scripts.NOT_FOUND: (404, "file_not_found", "There is nothing at this path in the workspace."),
    scripts.LINK: (
        409,
        "path_is_link",
        "It is a symbolic link, or leads through one; links are not followed.",
    ),
    scripts.NOT_A_DIRECTORY: (409, "not_a_directory", "A part of the path is there, and is no directory."),
    scripts.NO_FILE: (
        409,
        "not_a_file",
        "It is neither a file nor a directory: a FIFO, a socket or a device.",
    ),
    scripts.TOO_LARGE: (413, "file_too_large", "It is larger than may be read at once; fetch it in parts."),
    scripts.A_DIRECTORY: (409, "is_a_directory", "A directory is where a file is to go; remove it first."),
}
_LINE = re.compile(rb"([0-9a-f]+) (\d+) (-?\d+) (\d+) (\d+) ")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = int((datetime(9000, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())


LOOKS_AT_ONCE = 32
"""Each has a container, for as long as its reader takes."""
PATIENCE = 10.0
"""Seconds that a look waits for others to end."""


class EntryType(Enum):
    FILE = 0o100000
    DIRECTORY = 0o040000
    SYMLINK = 0o120000
    OTHER = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a directory."""

    name: bytes
    type: EntryType
    size_bytes: int
    mode: int
    modified_at: datetime
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A file, or a directory as a tar, that stays what it is while it is read."""

    is_directory: bool
    size_bytes: int
    mode: int
    modified_at: datetime
    pieces: AsyncGenerator[bytes]


@dataclass(frozen=True, slots=True)
class FileLimits:
    file_bytes: int = 1 << 30
    """The largest file that is read."""
    tar_bytes: int = 10 << 30
    """The largest directory, as a tar."""
    time: timedelta = timedelta(minutes=10)
    """How long a tool may take to read or write."""


class WorkspaceFiles:
    """Each method raises `Rejected` where what is asked for cannot be, `Refused` with `workspace_unavailable`."""

    def __init__(self, volumes: Volumes, tools: Tools, uploads: Uploads, limits: FileLimits) -> None:
        self._volumes = volumes
        self._tools = tools
        self._uploads = uploads
        self._limits = limits
        self._looks = asyncio.Semaphore(LOOKS_AT_ONCE)

    async def list(self, workspace: Workspace, place: Inside) -> Sequence[Entry]:
        """What is in a directory, by name."""
        if workspace.engine_id is None:
            return self._nothing_at(place)
        async with self._looking(workspace, scripts.LIST, place) as tool:
            try:
                result = await self._run(tool)
            except Refused as error:
                if error.reason is not Reason.OUTPUT_LIMIT:
                    raise
                message = "The directory has more names than one answer can hold; fetch it as a tar."
                raise Rejected(413, "directory_too_large", message) from error
        return sorted(_entries(result.output), key=lambda entry: entry.name)

    @asynccontextmanager
    async def opened(self, workspace: Workspace, place: Inside) -> AsyncGenerator[Opened]:
        """What is at `place`, copied aside first: what is changed or put in its place meanwhile does not show."""
        if workspace.engine_id is None:
            self._nothing_at(place)
            place = Inside(())
            workspace = await self._volumes.present(workspace.id)
        most = (str(self._limits.file_bytes), str(self._limits.tar_bytes))
        async with self._looking(workspace, scripts.READ, place, *most) as tool:
            kind, size, mode, modified = (await self._run(tool)).output.split()
            async with aclosing(_content(tool)) as pieces:
                yield Opened(kind == b"directory", int(size), int(mode, 8), _moment(int(modified)), pieces)

    async def write(
        self, errand: Errand, workspace_id: WorkspaceId, place: Inside, upload_id: UploadId
    ) -> None:
        """Put an upload there: a file to this path, a tar into this directory. What is above it is made.

        Raises `Refused(input_unusable)` where the upload is gone.
        """
        upload = await self._uploads.get(upload_id)
        if upload is None:
            raise Refused(Reason.INPUT_UNUSABLE, "What was uploaded for this is gone; send it again.")
        workspace = await self._volumes.present(workspace_id)
        held = (workspace.size_bytes or 0) + upload.size_bytes
        if workspace.quota_bytes is not None and held > workspace.quota_bytes:
            message = f"With this it would hold {held} bytes, more than its quota of {workspace.quota_bytes}."
            raise Rejected(409, "quota_exceeded", message)
        modified = int(upload.created_at.timestamp())
        package = Package(
            self._uploads.content(upload.id), upload.is_tar, upload.size_bytes, modified, Owner(0, 0)
        )
        script = scripts.WRITE_TREE if upload.is_tar else scripts.WRITE_FILE
        async with self._changing(errand, workspace, script, place, stage=True) as tool:
            tar = in_pieces(package.stream(["tree"], "" if upload.is_tar else scripts.DATA))
            async with aclosing(tar):
                await tool.put(STAGE, tar)
            await self._run(tool)
        self._volumes.changed(workspace_id)

    async def remove(self, errand: Errand, workspace_id: WorkspaceId, place: Inside) -> None:
        """What is there, with all that is in it. Of a link the link itself."""
        workspace = await self._volumes.present(workspace_id)
        async with self._changing(errand, workspace, scripts.REMOVE, place) as tool:
            await self._run(tool)
        self._volumes.changed(workspace_id)

    @asynccontextmanager
    async def _looking(
        self, workspace: Workspace, script: str, place: Inside, *more: str
    ) -> AsyncGenerator[Tool]:
        await self._volumes.present(workspace.id)
        work = Work(
            {WORKSPACE_PATH: volume_name(workspace.id)},
            script,
            (*_arguments(place), *more),
            read_only=frozenset({WORKSPACE_PATH}),
            stage=script == scripts.READ,
        )
        await self._room_to_look()
        try:
            async with self._tools.made(work) as tool:
                yield tool
        finally:
            self._looks.release()

    async def _room_to_look(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._looks.acquire()
        except TimeoutError:
            message = "Too many files of workspaces are being read just now; try again in a moment."
            raise Rejected(429, "too_busy", message, retry_after=5) from None

    def _changing(
        self, errand: Errand, workspace: Workspace, script: str, place: Inside, *, stage: bool = False
    ) -> AbstractAsyncContextManager[Tool]:
        volumes = {WORKSPACE_PATH: volume_name(workspace.id)}
        return self._tools.made(Work(volumes, script, _arguments(place), stage=stage, errand=errand))

    async def _run(self, tool: Tool) -> Result:
        result = await tool.run(self._limits.time)
        if result.exit_code == 0:
            return result
        if result.exit_code in _FAULTS:
            raise Rejected(*_FAULTS[result.exit_code])
        log.error("A tool has failed.", action="tool_failed", status=result.exit_code, words=result.words)
        message = "It could not be done: is the engine's disk full? The service's log has the tool's words."
        raise Unavailable(Reason.WORKSPACE_UNAVAILABLE, message)

    def _nothing_at(self, place: Inside) -> Sequence[Entry]:
        """What is in a workspace that nobody has used yet."""
        if place.parts:
            raise Rejected(*_FAULTS[scripts.NOT_FOUND])
        return ()


def _arguments(place: Inside) -> tuple[str, str]:
    return scripts.armoured(place.directory), scripts.armoured(place.name)


async def _content(tool: Tool) -> AsyncGenerator[bytes]:
    """What the tool has copied aside."""
    reader = TarReader()
    try:
        async with aclosing(tool.get(scripts.OUT)) as pieces:
            async for piece in pieces:
                for item in reader.feed(piece):
                    if isinstance(item, bytes):
                        yield item
        reader.finish()
    except BadTar as error:
        raise Unavailable(Reason.ENGINE_UNAVAILABLE, f"The engine's archive {error}.") from error


def _entries(output: bytes) -> Iterator[Entry]:
    """What `LIST` prints. A name whose line is missing went away between the two; a line ends where its name does, so
    that a name may hold anything."""
    fields = iter(output.split(b"\0"))
    while names := list(takewhile(bool, fields)):
        lines, at = next(fields, b""), 0
        for name in names:
            found = _LINE.match(lines, at)
            if found is not None and lines.startswith(name + b"\n", found.end()):
                at = found.end() + len(name) + 1
                yield _entry(name.removeprefix(b"./"), found)


def _entry(name: bytes, found: re.Match[bytes]) -> Entry:
    mode = int(found[1], 16)
    types = {each.value: each for each in EntryType}
    return Entry(
        name=name,
        type=types.get(mode & 0o170000, EntryType.OTHER),
        size_bytes=int(found[2]),
        mode=mode & 0o7777,
        modified_at=_moment(int(found[3])),
        uid=int(found[4]),
        gid=int(found[5]),
    )


def _moment(seconds: int) -> datetime:
    """A time that no calendar has is shown as the nearest that one has: a file's times are its writer's to choose."""
    return _EPOCH + timedelta(seconds=min(max(seconds, 0), _LATEST))
