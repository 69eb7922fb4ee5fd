"""Output that waits for the store: a little in memory, more in a file.

The reader of a sandbox must never pause, and the store may be slower than a flood, or away. What waits beyond a few
megabytes goes to a file that has no name (it vanishes with the process), written and read from front to back.
"""

import errno
import os
import struct
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Final

from chaser.jobs.logs import Stream
from chaser.sandboxes.pieces import Piece, Pieces, joined

_HEADER: Final = struct.Struct(">LBBHQLQ")
"""length, stream, pipe, step, end, covered, microseconds since 1970"""
_STREAMS: Final = tuple(Stream)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


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

    def append(self, piece: Piece) -> None:
        """Raises OSError if the file is needed and cannot be written; then nothing of `piece` is kept."""
        if self.spilled or self._memory.weight > self._memory_bytes:
            self._spill(piece)
        else:
            self._memory.append(piece)

    def take(self, limit: int) -> list[Piece]:
        """Remove pieces from the front, up to about `limit` bytes."""
        if self._memory:
            return self._memory.take(limit)
        taken: list[Piece] = []
        size = 0
        while self.spilled and size < limit:
            taken.append(self._next())
            size += len(taken[-1].data)
        if not self.spilled:
            self.close()
        return joined(taken)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._written = self._read = 0

    def _spill(self, piece: Piece) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115  # closed in close()
        record = _header(piece) + piece.data
        self._file.seek(self._written)
        if self._file.write(record) < len(record):
            # A disk that fills up takes a part first; the next record overwrites it.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._written += len(record)

    def _next(self) -> Piece:
        assert self._file is not None
        self._file.seek(self._read)
        header: tuple[int, int, int, int, int, int, int] = _HEADER.unpack(self._file.read(_HEADER.size))
        length, stream, pipe, step, end, covered, at = header
        data = self._file.read(length)
        self._read += _HEADER.size + length
        return Piece(_STREAMS[stream], data, _EPOCH + at * _MICROSECOND, end, pipe, step, covered)


def _header(piece: Piece) -> bytes:
    at = (piece.at - _EPOCH) // _MICROSECOND
    stream = _STREAMS.index(piece.stream)
    return _HEADER.pack(len(piece.data), stream, piece.pipe, piece.step, piece.end, piece.covered, at)
