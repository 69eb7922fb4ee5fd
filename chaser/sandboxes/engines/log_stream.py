"""A container's output from the engine's own log, byte for byte.

The `local` log driver cuts lines at 16 KiB and drops the newline after a line of that size or more. Read with
timestamps, the pieces of one line carry the same one: a piece without newline that is followed by another timestamp
on its pipe has lost its newline, and gets it back here.

While the log is followed the engine moves it on to its next file, and may then send the begin of that one twice
(seen with 20.10): timestamps go back, to one that was sent before. What is sent again is left out here. A clock that was
set back is no reason to leave anything out: its timestamps are new.
"""

import struct
from array import array
from datetime import datetime
from typing import Final

from chaser.sandboxes.engine import Chunk

_HEADER: Final = struct.Struct(">BxxxL")
_STAMP: Final = len("2026-01-01T00:00:00.000000000Z")
_ALIKE: Final = len("2026-01-01T00:00:00.000")
"""Neighbours that the engine read within the same millisecond are one chunk: a line costs little, and times stay exact
enough."""


_REMEMBERED: Final = 1 << 14
"""How many timestamps back the begin of what is sent again is looked for."""


class LogFrames:
    """Turns the body of the log route (`timestamps=1`) into the bytes that were printed."""

    def __init__(self) -> None:
        self._rest = b""
        self._open: dict[int, bytes] = {}
        """The timestamp of the last piece on each pipe, where that piece had no newline."""
        self._newest: dict[int, bytes] = {}
        """The last frame of each pipe."""
        self._again: set[int] = set()
        """The pipes on which frames are being sent again."""
        self._seen = array("q")
        """The hashes of the last timestamps."""

    def feed(self, body: bytes) -> list[Chunk]:
        """`body` may end anywhere."""
        body = self._rest + body
        chunks: list[Chunk] = []
        parts: list[bytes] = []
        pipe, stamp = 0, b""
        at, end = 0, len(body)
        while at + _HEADER.size <= end:
            frame_pipe, length = _HEADER.unpack_from(body, at)
            start, stop = at + _HEADER.size, at + _HEADER.size + length
            if stop > end:
                break
            frame = body[start:stop]
            at = stop
            if self._sent_before(frame_pipe, frame):
                continue
            frame_stamp = frame[:_STAMP]
            if parts and (frame_pipe != pipe or frame_stamp[:_ALIKE] != stamp[:_ALIKE]):
                chunks.append(_chunk(pipe, parts, stamp))
                parts = []
            pipe, stamp = frame_pipe, frame_stamp
            parts.append(self._whole(pipe, stamp, frame[_STAMP + 1 :]))
        if parts:
            chunks.append(_chunk(pipe, parts, stamp))
        self._rest = body[at:]
        return chunks

    def _sent_before(self, pipe: int, frame: bytes) -> bool:
        newest, stamp = self._newest.get(pipe, b""), frame[:_STAMP]
        if stamp > newest:  # a frame is more than its timestamp, so this is a later one
            self._again.discard(pipe)
        elif pipe in self._again:
            if frame == newest:
                self._again.discard(pipe)
            return True
        elif frame == newest and frame.endswith(b"\n"):
            return True
        elif self._goes_back(stamp, newest):
            self._again.add(pipe)
            return True
        self._newest[pipe] = frame
        self._seen.append(hash(stamp))
        if len(self._seen) > 2 * _REMEMBERED:
            del self._seen[:_REMEMBERED]
        return False

    def _goes_back(self, stamp: bytes, newest: bytes) -> bool:
        return stamp < newest[:_STAMP] and hash(stamp) in self._seen

    def _whole(self, pipe: int, stamp: bytes, data: bytes) -> bytes:
        """A frame's bytes, with the newline that the one before it has lost."""
        lost = self._open.get(pipe, stamp) != stamp
        if data.endswith(b"\n"):
            self._open.pop(pipe, None)
        else:
            self._open[pipe] = stamp
        return b"\n" + data if lost else data


def _chunk(pipe: int, parts: list[bytes], stamp: bytes) -> Chunk:
    return Chunk(pipe, b"".join(parts), datetime.fromisoformat(stamp.decode()))
