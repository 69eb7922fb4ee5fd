"""`POST /v1/exec` as a run that is followed: the request, its output as it comes, its result."""

import json
from collections.abc import Mapping
from contextlib import suppress

import httpx

from chaser.cli import document
from chaser.cli.attended import Result
from chaser.cli.events import Event, events
from chaser.cli.piece import Piece, Show
from chaser.cli.refusal import lost, refusal, unreachable

SILENCE_SECONDS = 60
"""The service sends a comment line every 15 s, so a minute of silence is a dead connection."""


class ExecRun:
    def __init__(self, client: httpx.AsyncClient, body: Mapping[str, object], show: Show) -> None:
        self._client = client
        self._body = body
        self._show = show
        self._job: str | None = None

    async def follow(self) -> Result:
        """Raises `Failure` if the service refuses, cannot be reached, or is lost on the way."""
        headers = {"Accept": "text/event-stream"}
        try:
            async with self._client.stream("POST", "/v1/exec", json=self._body, headers=headers) as response:
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

    async def cancel(self) -> bool:
        if self._job is None:
            return False
        # if this does not arrive, the connection that is closed next says the same
        with suppress(httpx.TransportError):
            await self._client.post(f"/v1/jobs/{self._job}/cancel")
        return True
