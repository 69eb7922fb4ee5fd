"""Docker's attach stream on the event loop: the SDK opens the connection, asyncio reads it.

The stream's format is https://docs.docker.com/reference/api/engine/ (ContainerAttach, "Stream format"): frames of an
eight-byte header (pipe, three zero bytes, big-endian length) and so many bytes.
"""

import asyncio
import os
import socket
import struct

from chaser.sandboxes.engine import Receiver

_HEADER = struct.Struct(">BxxxL")


class Demultiplexer:
    """Cuts the stream into pieces per pipe. A piece is passed on as soon as it is here, whole frame or not."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._header = b""
        self._pipe = 0
        self._left = 0

    def feed(self, data: bytes) -> None:
        at, end = 0, len(data)
        while at < end:
            if self._left == 0:
                at = self._read_header(data, at)
                continue
            stop = min(end, at + self._left)
            self._receiver.received(self._pipe, data[at:stop])
            self._left -= stop - at
            at = stop

    def _read_header(self, data: bytes, at: int) -> int:
        taken = _HEADER.size - len(self._header)
        self._header += data[at : at + taken]
        if len(self._header) == _HEADER.size:
            self._pipe, self._left = _HEADER.unpack(self._header)
            self._header = b""
        return at + taken


class StreamAttachment(asyncio.Protocol):
    """One attach connection. It never pauses reading."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._demultiplexer = Demultiplexer(receiver)
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        if not self._closed:
            self._demultiplexer.feed(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        self._closed = True
        self._receiver.disconnected()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def send(self, message: bytes) -> None:
        assert self._transport is not None
        if self._closed:
            return
        self._transport.write(message)
        await self._writable.wait()
        if not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        self._closed = True
        if self._transport is not None:
            self._transport.abort()


async def adopt(connection: socket.socket, receiver: Receiver) -> StreamAttachment:
    """Hand a connected stream socket to the event loop."""
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    _, attachment = await loop.create_connection(lambda: StreamAttachment(receiver), sock=connection)
    return attachment


def duplicate(descriptor: int) -> socket.socket:
    """A socket of our own on the SDK's connection, which outlives the SDK's response object."""
    return socket.socket(fileno=os.dup(descriptor))
