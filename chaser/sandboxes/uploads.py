"""Bytes that clients send for jobs to come: taken in whole or not at all, and a tar only if it may be unpacked."""

import os
from collections.abc import AsyncIterable, Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from chaser.blocking import to_its_end
from chaser.clock import Clock
from chaser.errors import Rejected, Unavailable
from chaser.ids import KeyId, UploadId, new_upload_id
from chaser.jobs.reason import Reason
from chaser.sandboxes.files import Upload, UploadRows
from chaser.sandboxes.tar import Member
from chaser.sandboxes.tar_contents import Contents, Unfit
from chaser.sandboxes.tar_reader import BadTar, TarReader

PART = ".part"
"""The end of the name of a file that is still being sent."""
_WRITE_BYTES = 1 << 20
_CHECK_ROOM_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class UploadLimits:
    size_bytes: int = 1 << 30
    kept: timedelta = timedelta(days=1)


class Uploads:
    def __init__(
        self, rows: UploadRows, folder: Path, clock: Clock, limits: UploadLimits, room: Callable[[], None]
    ) -> None:
        """`folder` takes the contents. `room` raises `Unavailable` where its disk has too little left."""
        self._rows = rows
        self._folder = folder
        self._clock = clock
        self._limits = limits
        self._room = room

    async def receive(
        self,
        pieces: AsyncIterable[bytes],
        *,
        is_tar: bool,
        key_id: KeyId | None,
        announced: int | None = None,
    ) -> Upload:
        """Take in all of `pieces`. When this returns, it is on disk; where it raises, or is cancelled, nothing is left.

        Raises `Rejected` for what is too large, or is a tar that may not be unpacked, and `Unavailable` for want of disk.
        """
        if announced is not None and announced > self._limits.size_bytes:
            raise self._too_large()
        now = self._clock.now()
        upload_id = new_upload_id(now)
        content = self.content(upload_id)
        try:
            with _Part(content) as part:
                size = await self._fill(part, pieces, _TarCheck() if is_tar else None)
                await to_its_end(part.keep)
        except OSError as error:
            message = f"The service's disk takes no more ({error.strerror}); make room there."
            raise Unavailable(Reason.DISK_LOW, message, retry_after=60) from error
        upload = Upload(upload_id, key_id, size, is_tar, now, now + self._limits.kept)
        await self._rows.add(upload)
        return upload

    async def get(self, upload_id: UploadId) -> Upload | None:
        return await self._rows.get(upload_id)

    async def usable(self, ids: Collection[UploadId]) -> Sequence[Upload]:
        """Those of `ids` that a new job may name."""
        now = self._clock.now()
        return [upload for upload in await self._rows.known(ids) if now < upload.expires_at]

    async def remove(self, upload_id: UploadId) -> bool:
        """Whether it was there."""
        there = await self._rows.remove(upload_id)
        await to_its_end(lambda: self.content(upload_id).unlink(missing_ok=True))
        return there

    def content(self, upload_id: UploadId) -> Path:
        return self._folder / upload_id

    async def _fill(self, part: "_Part", pieces: AsyncIterable[bytes], check: "_TarCheck | None") -> int:
        size, looked = 0, -_CHECK_ROOM_BYTES
        waiting = bytearray()
        async for piece in pieces:
            size += len(piece)
            if size > self._limits.size_bytes:
                raise self._too_large()
            if size - looked >= _CHECK_ROOM_BYTES:
                looked = size
                self._room()
            if check is not None:
                check.feed(piece)
            waiting += piece
            if len(waiting) >= _WRITE_BYTES:
                await part.write(bytes(waiting))
                waiting.clear()
        if check is not None:
            check.finish()
        await part.write(bytes(waiting))
        return size

    def _too_large(self) -> Rejected:
        most = self._limits.size_bytes
        message = f"An upload may have {most} bytes (files.upload_bytes); send less, or in several uploads."
        return Rejected(413, "upload_too_large", message)


class _Part(AbstractContextManager["_Part"]):
    """The file while it comes. Unless it is kept, it is removed."""

    def __init__(self, content: Path) -> None:
        self._content = content
        self._path = content.with_name(content.name + PART)
        content.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    async def write(self, data: bytes) -> None:
        await to_its_end(lambda: self._write(data))

    def keep(self) -> None:
        """To the disk, under its own name."""
        os.fsync(self._file)
        self._path.rename(self._content)
        folder = os.open(self._content.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)
        self._path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._file, left) :]


class _TarCheck:
    """Looks through a tar as it comes. Raises `Rejected` at the first thing that may not be unpacked."""

    def __init__(self) -> None:
        self._reader = TarReader()
        self._contents = Contents()

    def feed(self, piece: bytes) -> None:
        try:
            for item in self._reader.feed(piece):
                if isinstance(item, Member):
                    self._contents.admit(item)
        except BadTar as error:
            raise _bad_tar(error) from error
        except Unfit as error:
            raise Rejected(422, "invalid_upload", f"A member of the tar cannot be taken: {error}.") from error

    def finish(self) -> None:
        try:
            self._reader.finish()
        except BadTar as error:
            raise _bad_tar(error) from error


def _bad_tar(error: BadTar) -> Rejected:
    return Rejected(422, "invalid_upload", f"The tar {error}.")
