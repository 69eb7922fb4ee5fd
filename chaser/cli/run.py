"""One run, followed live: the request, its output as it comes, its result; cancelled if the person leaves."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import httpx

from chaser.cli import document
from chaser.cli.events import Event, events
from chaser.cli.failure import Failure
from chaser.cli.interrupts import interrupts
from chaser.cli.refusal import lost, refusal, unreachable
from chaser.cli.service import Service

Result = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of output; `skipped` counts the bytes that the stream `gap` stands for."""

    stream: str
    data: str
    skipped: int = 0


Show = Callable[[Piece], None]

# the service sends a comment line every 15 s, so a minute of silence is a dead connection
_PATIENCE = httpx.Timeout(connect=10, read=60, write=60, pool=10)
_GRACE_SECONDS = 15
"""How long a cancelled run may take to tell its result; a second signal does not wait for it."""


@dataclass(frozen=True, slots=True)
class Ended:
    result: Result


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A signal came, and the run was cancelled. The result is missing if it did not come in time."""

    signal: int
    result: Result | None


async def run(service: Service, body: Mapping[str, object], show: Show) -> Ended | Interrupted:
    """Raises `Failure` if the service refuses, cannot be reached, or is lost on the way."""
    # a proxy of the environment is for the way out, not for this machine
    async with httpx.AsyncClient(
        base_url=service.url, headers=service.headers, timeout=_PATIENCE, trust_env=not service.local
    ) as client:
        follower = _Follower(client, show)
        with interrupts() as interrupted:
            following = asyncio.create_task(follower.follow(body))
            await asyncio.wait({following, interrupted}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                return Ended(following.result())
            return Interrupted(interrupted.result(), await follower.stop(following))


class _Follower:
    def __init__(self, client: httpx.AsyncClient, show: Show) -> None:
        self._client = client
        self._show = show
        self._job: str | None = None

    async def follow(self, body: Mapping[str, object]) -> Result:
        headers = {"Accept": "text/event-stream"}
        try:
            async with self._client.stream("POST", "/v1/exec", json=body, headers=headers) as response:
                if response.status_code != 200:
                    raise refusal(response.status_code, await response.aread())
                self._job = response.headers.get("X-Chaser-Job")
                async for event in events(response.aiter_bytes()):
                    result = self._take(event)
                    if result is not None:
                        return result
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise unreachable(str(self._client.base_url)) from None
        except httpx.TransportError:
            raise lost(self._job) from None
        raise lost(self._job)

    def _take(self, event: Event) -> Result | None:
        match event.name, document.parse(event.data):
            case "started", {"id": str(job)}:
                self._job = job
            case "output", {"stream": str(stream), "data": str(data), **more}:
                self._show(Piece(stream, data, document.count(more.get("skipped"))))
            case "result", result:
                return result
            case "error", problem:
                raise refusal(200, json.dumps(problem).encode())
            case _:
                pass  # events of a later version
        return None

    async def stop(self, following: asyncio.Task[Result]) -> Result | None:
        """Cancel the run and wait for its result, for a while. Closing the connection cancels it as well."""
        if self._job is not None:
            await self._cancel(self._job)
            await asyncio.wait({following}, timeout=_GRACE_SECONDS)
        following.cancel()
        try:
            return await following
        except (asyncio.CancelledError, Failure):
            return None

    async def _cancel(self, job: str) -> None:
        # if this does not arrive, the connection that is closed next says the same
        with suppress(httpx.TransportError):
            await self._client.post(f"/v1/jobs/{job}/cancel")
