"""Sending a long answer piece by piece, to a client that may be slow."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from starlette.types import Send

STREAMING_HEADERS = {
    "Cache-Control": "no-store",
    # nginx and others that follow it hand on each piece as it comes
    "X-Accel-Buffering": "no",
}


class Stalled(Exception):
    """The client has not read for too long."""


class Sender:
    """One answer that is sent in pieces. Each write has a deadline; beyond it the client counts as stalled."""

    def __init__(self, send: Send, stall: timedelta) -> None:
        self._send = send
        self._stall = stall.total_seconds()

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._within({"type": "http.response.start", "status": status, "headers": raw})

    async def piece(self, data: bytes) -> None:
        await self._within({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        await self._within({"type": "http.response.body", "body": data, "more_body": False})

    async def _within(self, message: dict[str, object]) -> None:
        try:
            async with asyncio.timeout(self._stall):
                await self._send(message)
        except TimeoutError as error:
            raise Stalled from error
