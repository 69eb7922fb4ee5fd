"""A container's output from the engine's own log, byte for byte.

The `local` log driver cuts lines at 16 KiB and drops the newline after a line of that size or more. Read with
timestamps, the pieces of one line carry the same one: a piece without newline that is followed by another timestamp
on its pipe has lost its newline, and gets it back here.
"""

import contextlib
import socket
import struct
from collections.abc import Mapping
from typing import Any

from chaser.sandboxes.engine import Chunk, ContainerId
from chaser.sandboxes.engines.attachment import duplicate

_HEADER = struct.Struct(">BxxxL")


class LogFrames:
    """Turns the frames of the log route (`timestamps=1`) into the bytes that were printed, from an offset per pipe."""

    def __init__(self, skip: Mapping[int, int]) -> None:
        self._skip = dict(skip)
        self._open: dict[int, bytes] = {}
        """The timestamp of the last piece on each pipe, where that piece had no newline."""

    def take(self, pipe: int, frame: bytes) -> Chunk | None:
        """One frame's bytes; none if all of it lies before the offset."""
        stamp, _, data = frame.partition(b" ")
        if self._open.get(pipe, stamp) != stamp:
            data = b"\n" + data
        if data.endswith(b"\n"):
            self._open.pop(pipe, None)
        else:
            self._open[pipe] = stamp
        return self._after_offset(pipe, data)

    def _after_offset(self, pipe: int, data: bytes) -> Chunk | None:
        skip = self._skip.get(pipe, 0)
        self._skip[pipe] = max(0, skip - len(data))
        rest = data[skip:]
        return Chunk(pipe, rest) if rest else None


class LogConnection:
    """The log route of one container, read by blocking calls from a thread; `close` ends such a call."""

    def __init__(self, client: Any, container: ContainerId) -> None:
        # The SDK's own method loses the pipe's number.
        url = client._url("/containers/{0}/logs", container)
        query = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": 1}
        self._response: Any = client._get(url, params=query, stream=True, timeout=(60, None))
        client._raise_for_status(self._response)
        self._socket = duplicate(self._response.raw._fp.fp.raw.fileno())

    def next(self) -> tuple[int, bytes] | None:
        """The next frame: its pipe, and its bytes with the timestamp before them; none at the end."""
        header: bytes = self._response.raw.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return None
        pipe, length = _HEADER.unpack(header)
        return pipe, self._response.raw.read(length)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # the engine has closed it already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._response.close()
