"""Output that waits for the store: a little in memory, more in a file.

The reader of a sandbox must never pause, and the store may be slower than a flood, or away. What waits beyond a few
megabytes goes to a file that has no name (it vanishes with the process), written and read from front to back.
"""

import errno
import os
import struct
import tempfile
from pathlib import Path
from typing import IO, Final

from chaser.jobs.ports import Stream
from chaser.sandboxes.pieces import Pieces, joined

_HEADER: Final = struct.Struct(">BL")
_STREAMS: Final = tuple(Stream)


class Backlog:
    """`folder` is where the file is made; `memory_bytes` is how much waits in memory before that."""

    def __init__(self, folder: Path, memory_bytes: int) -> None:
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._memory = Pieces()
        self._file: IO[bytes] | None = None
        self._written = 0
        self._read = 0

    def __bool__(self) -> bool:
        return bool(self._memory) or self._read < self._written

    @property
    def spilled(self) -> bool:
        """Whether some of it is in the file: then all that comes goes there, to keep the order."""
        return self._read < self._written

    def append(self, stream: Stream, data: bytes) -> None:
        """Raises OSError if the file is needed and cannot be written; then nothing of `data` is kept."""
        if self.spilled or self._memory.weight > self._memory_bytes:
            self._spill(stream, data)
        else:
            self._memory.append(stream, data)

    def take(self, limit: int) -> list[tuple[Stream, bytes]]:
        """Remove pieces from the front, up to about `limit` bytes."""
        if self._memory:
            return self._memory.take(limit)
        taken: list[tuple[Stream, bytes]] = []
        size = 0
        while self.spilled and size < limit:
            taken.append(self._next())
            size += len(taken[-1][1])
        if not self.spilled:
            self.close()
        return joined(taken)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._written = self._read = 0

    def _spill(self, stream: Stream, data: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115  # closed in close()
        record = _HEADER.pack(_STREAMS.index(stream), len(data)) + data
        self._file.seek(self._written)
        if self._file.write(record) < len(record):
            # A disk that fills up takes a part first; the next record overwrites it.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._written += len(record)

    def _next(self) -> tuple[Stream, bytes]:
        assert self._file is not None
        self._file.seek(self._read)
        header: tuple[int, int] = _HEADER.unpack(self._file.read(_HEADER.size))
        index, length = header
        data = self._file.read(length)
        self._read += _HEADER.size + length
        return _STREAMS[index], data
