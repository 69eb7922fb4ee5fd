"""The log route of one container, read on the event loop at the reader's own pace.

Spoken over a bare connection: the engine makes an HTTP chunk of each line, and with httpx each costs four times what
is needed here (docs/decisions/0030-taking-over-by-the-engines-log.md has the numbers).
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Final

from chaser.sandboxes.engine import Chunk, ContainerId
from chaser.sandboxes.engines.calls import DEADLINE, unavailable
from chaser.sandboxes.engines.log_stream import LogFrames

UNIX: Final = "unix://"
BLOCK: Final = 1 << 17
ABSENT: Final = frozenset({404, 409})
"""404: there is no such container; 409: its removal is under way."""

_QUERY: Final = "stdout=1&stderr=1&timestamps=1&follow=1"
_HEAD_END: Final = b"\r\n\r\n"


async def read_log(host: str, container: ContainerId) -> AsyncGenerator[Chunk]:
    """All of the log, and what comes to it until the container ends; nothing if the container is gone."""
    try:
        reader, writer = await _connected(host)
        try:
            async with asyncio.timeout(DEADLINE):
                status = await _asked(reader, writer, f"/containers/{container}/logs?{_QUERY}")
            if status in ABSENT:
                return
            if status != 200:
                raise unavailable(ConnectionError(f"status {status}"))
            unchunked, frames = Unchunked(), LogFrames()
            while not unchunked.ended:
                data = await reader.read(BLOCK)
                if not data:
                    raise unavailable(ConnectionError("the log broke off"))
                for chunk in frames.feed(unchunked.feed(data)):
                    yield chunk
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    except (OSError, TimeoutError, EOFError, ValueError) as error:
        raise unavailable(error) from error


async def _connected(host: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if host.startswith(UNIX):
        return await asyncio.open_unix_connection(host.removeprefix(UNIX), limit=BLOCK)
    name, _, port = host.removeprefix("tcp://").rpartition(":")
    return await asyncio.open_connection(name.strip("[]"), int(port), limit=BLOCK)


async def _asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> int:
    """Ask for it; the answer's status."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n".encode())
    head = await reader.readuntil(_HEAD_END)
    return int(head.split(b" ", 2)[1])


class Unchunked:
    """The body of an HTTP/1.1 answer in chunks (RFC 9112, section 7.1), whose last chunk tells a whole one from one that
    broke off."""

    def __init__(self) -> None:
        self._rest: bytes = b""
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """Raises ValueError where it is none."""
        data = self._rest + data
        parts: list[bytes] = []
        at = 0
        while (line_end := data.find(b"\r\n", at)) >= 0:
            size = int(data[at:line_end], 16)
            start, stop = line_end + 2, line_end + 2 + size
            if size == 0:
                self.ended = True
                break
            if stop + 2 > len(data):
                break
            parts.append(data[start:stop])
            at = stop + 2
        self._rest = data[at:]
        return b"".join(parts)
