"""Calls over HTTP to one GitHub, with githubkit. Nothing is retried: whether a call may be repeated is its caller's to know."""

import asyncio
import contextvars
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar

import httpx
from githubkit import AppAuthStrategy, GitHub, UnauthAuthStrategy
from githubkit.cache import MemCacheStrategy
from githubkit.config import Config, get_config
from pydantic import BaseModel, ValidationError

from chaser import __version__
from chaser.github.failures import unanswered

API_URL = "https://api.github.com"
API_VERSION = "2022-11-28"
"""The oldest that GitHub serves, since a GitHub Enterprise Server knows no newer one than its own release."""
TIMEOUT = 15.0
"""Seconds for each step of a call."""

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Their names are found whatever their case."""


class Wire:
    """Open it with `async with`, so that connections are kept."""

    def __init__(
        self,
        strategy: AppAuthStrategy | UnauthAuthStrategy,
        api_url: str = API_URL,
        *,
        api_version: str = API_VERSION,
        timeout: float = TIMEOUT,
    ) -> None:
        # githubkit keeps its open connections in a context variable, where only the task that opened them sees them;
        # this context is where they are opened, used and closed, whichever task calls.
        self._context = contextvars.copy_context()
        self._headers = {"X-GitHub-Api-Version": api_version}
        self._github = GitHub(strategy, config=_config(api_url, timeout))

    async def __aenter__(self) -> Self:
        await self._here(self._github.__aenter__())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._here(self._github.__aexit__(kind, error, trace))

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Answer:
        """Raises githubkit's errors, and ValueError where a header of a rate limit is no number."""
        work = self._github.arequest(  # pyright: ignore[reportUnknownMemberType] # a bare `dict` in its signature
            method, path, headers={**self._headers, **(headers or {})}, params=params, json=body
        )
        response = await self._here(work)
        return Answer(response.status_code, response.content, response.headers)

    async def _here(self, work: Coroutine[object, object, T]) -> T:
        return await asyncio.get_running_loop().create_task(work, context=self._context)


def read(model: type[M], answer: Answer, doing: str) -> M:
    """GitHub's answer as `model`; what is none (a proxy's page) counts as no answer."""
    try:
        return model.model_validate_json(answer.content)
    except ValidationError as error:
        raise unanswered(doing, "its answer is not what GitHub documents") from error


def _config(api_url: str, timeout: float) -> Config:
    return get_config(
        base_url=api_url,
        user_agent=f"chaser/{__version__}",
        timeout=httpx.Timeout(timeout),
        cache_strategy=MemCacheStrategy(),  # the default one is shared by every App in the process
        http_cache=False,
        auto_retry=False,
    )
