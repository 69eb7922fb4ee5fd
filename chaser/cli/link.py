"""The service, reached through its restarts: what is lost on the way is asked for again, for ten minutes."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import httpx

from chaser.cli import output
from chaser.cli.failure import Failure
from chaser.cli.http import Document, answered, patience
from chaser.cli.refusal import lost, refusal, unreachable
from chaser.cli.service import Service

T = TypeVar("T")

PATIENCE = timedelta(minutes=10)
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 3.0
_AWAY = frozenset({502, 503, 504})
"""What a service that starts or stops answers, or a proxy in its place."""


@dataclass
class Away(Exception):
    """The service answered that it cannot answer now."""

    response: httpx.Response


class Link:
    def __init__(self, client: httpx.AsyncClient, service: Service, span: timedelta = PATIENCE) -> None:
        self._client = client
        self._service = service
        self._span = span.total_seconds()
        self.job: str | None = None
        """What it is all about, for the person who reads of a failure."""
        self._heard = False
        self._lost_at: float | None = None
        self._failures = 0

    async def persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The attempt's outcome, made again while the service is away. Attempts must bear being repeated.

        Raises `Failure` if the service stays away, and at once if it has not been there at all.
        """
        while True:
            try:
                return await attempt()
            except (httpx.TransportError, Away) as error:
                await self._bear(error)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        content: AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        silence: float | None = None,
    ) -> AsyncGenerator[httpx.Response]:
        """An answer that is a success; `silence` is how many seconds may pass without a byte of it."""
        async with self._client.stream(
            method,
            path,
            params=dict(query or {}),
            content=content,
            headers=dict(headers or {}),
            timeout=patience(silence),
        ) as response:
            if response.status_code in _AWAY or (response.status_code == 500 and method == "GET"):
                await response.aread()
                raise Away(response)
            self.heard()
            if not response.is_success:
                raise refusal(response.status_code, await response.aread())
            yield response

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Document:
        """One document, asked for until it comes."""

        async def ask() -> Document:
            response = await self._client.request(method, path, params=dict(query or {}), json=body)
            if response.status_code in _AWAY or (response.status_code == 500 and method == "GET"):
                raise Away(response)
            self.heard()
            return answered(response)

        return await self.persist(ask)

    def heard(self) -> None:
        """The service is there."""
        if self._failures > 1:
            output.note("The service answers again.")
        self._heard, self._lost_at, self._failures = True, None, 0

    async def _bear(self, error: httpx.TransportError | Away) -> None:
        """Wait before the next attempt, longer each time. Tells of it once, when the second attempt has failed too."""
        if not self._heard and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            raise unreachable(self._service.url) from None
        now = time.monotonic()
        self._lost_at = now if self._lost_at is None else self._lost_at
        if now - self._lost_at >= self._span:
            raise self._given_up(error) from None
        self._heard = True  # whoever cuts a connection was there
        self._failures += 1
        if self._failures == 2:
            how = f"answers {error.response.status_code}" if isinstance(error, Away) else "does not answer"
            output.note(f"The service at {self._service.url} {how}; trying again for ten minutes.")
        pause = min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2 ** min(self._failures, 10))
        # not all who wait at once, when it comes back
        await asyncio.sleep(pause * (0.5 + secrets.randbelow(501) / 1000))

    def _given_up(self, error: httpx.TransportError | Away) -> Failure:
        if isinstance(error, Away):
            return refusal(error.response.status_code, error.response.content)
        return lost(self.job)


@asynccontextmanager
async def link(service: Service) -> AsyncGenerator[Link]:
    # a proxy of the environment is for the way out, not for this machine
    async with httpx.AsyncClient(
        base_url=service.url, headers=service.headers, timeout=patience(), trust_env=not service.local
    ) as client:
        yield Link(client, service)
