"""Calls to GitHub as an App and as its installations: credentials, tokens, errors. What to call is others' matter.

githubkit signs as the App (RS256, `iat` a minute back against skewed clocks, ten minutes long). Installation tokens
are kept here, not by githubkit: one call for all who wait, one refresh when GitHub no longer takes a token, and none
of the generated models, which cost 20 MB. Nothing is retried: whether a call may be repeated is its caller's to know.
"""

import asyncio
import contextvars
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar

import httpx
import jwt
from githubkit import AppAuthStrategy, GitHub, UnauthAuthStrategy
from githubkit.cache import MemCacheStrategy
from githubkit.config import Config, get_config
from githubkit.exception import GitHubException, RateLimitExceeded, RequestFailed
from pydantic import BaseModel, ValidationError

from chaser import __version__
from chaser.clock import Clock
from chaser.errors import ConfigError
from chaser.github.answers import TokenAnswer
from chaser.github.failures import failure, unanswered
from chaser.secret import Secret

API_URL = "https://api.github.com"
API_VERSION = "2022-11-28"
"""The oldest that GitHub serves, since a GitHub Enterprise Server knows no newer one than its own release."""

_TOKEN_SECONDS = 55 * 60
"""A token lives for an hour."""

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class AppCredentials:
    """`app_id` is the App's id or its client id; `private_key` is a PEM."""

    app_id: str
    private_key: Secret


@dataclass(frozen=True, slots=True)
class Token:
    """An installation's token, and what it allows: names of permissions to `read`, `write` or `admin`."""

    secret: Secret
    permissions: Mapping[str, str]
    stale_at: float
    """On the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content: bytes = field(repr=False)


@dataclass(slots=True)
class _Slot:
    """One installation's token. The lock makes those who come during a fetch wait for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    token: Token | None = None


class AppClient:
    """Open it with `async with`, so that connections are kept."""

    def __init__(
        self,
        credentials: AppCredentials,
        clock: Clock,
        *,
        api_url: str = API_URL,
        api_version: str = API_VERSION,
        timeout: float = 15.0,
    ) -> None:
        """`timeout` is in seconds, for each step of a call. Raises `ConfigError` if the key is none."""
        _check(credentials)
        self._clock = clock
        self._headers = {"X-GitHub-Api-Version": api_version}
        self._slots: dict[int, _Slot] = {}
        # githubkit keeps its open connections in a context variable, where only the task that opened them sees them;
        # this context is where they are opened, used and closed, whichever task calls.
        self._context = contextvars.copy_context()
        strategy = AppAuthStrategy(credentials.app_id, credentials.private_key.reveal())
        config = _config(api_url, timeout)
        self._app = GitHub(strategy, config=config)
        self._installed = GitHub(UnauthAuthStrategy(), config=config)

    async def __aenter__(self) -> Self:
        await self._here(self._app.__aenter__())
        await self._here(self._installed.__aenter__())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._here(self._installed.__aexit__(kind, error, trace))
        await self._here(self._app.__aexit__(kind, error, trace))

    async def token(self, installation_id: int) -> Token:
        """The installation's token, at least five minutes of life left."""
        slot = self._slots.setdefault(installation_id, _Slot())
        async with slot.lock:
            if slot.token is None or slot.token.stale_at <= self._clock.monotonic():
                slot.token = await self._new_token(installation_id)
            return slot.token

    async def call(
        self,
        installation_id: int,
        method: str,
        path: str,
        *,
        doing: str,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        meaningful: frozenset[int] = frozenset(),
    ) -> Answer:
        """Call as the installation. `doing` names the act in messages; answers of a `meaningful` status are returned."""
        for again in (True, False):
            token = await self.token(installation_id)
            headers = {**self._headers, "Authorization": f"token {token.secret.reveal()}"}
            try:
                return await self._send(self._installed, method, path, headers, params, body)
            except RequestFailed as error:
                status = error.response.status_code
                if status in meaningful and not isinstance(error, RateLimitExceeded):
                    return Answer(status, error.response.content)
                if status != 401 or not again:
                    raise failure(error, doing) from error
                # A token can be revoked before its time; and a 401 has had no effect, so this may be repeated.
                self._forget(installation_id, token)
            except (GitHubException, ValueError) as error:
                raise failure(error, doing) from error
        raise AssertionError("the second round returns or raises")

    async def _new_token(self, installation_id: int) -> Token:
        doing = "asking for the installation's token"
        path = f"/app/installations/{installation_id}/access_tokens"
        asked_at = self._clock.monotonic()
        try:
            answer = await self._send(self._app, "POST", path, self._headers, None, None)
        except (GitHubException, ValueError) as error:
            raise failure(error, doing) from error
        granted = read(TokenAnswer, answer, doing)
        secret = Secret(granted.token.get_secret_value())
        return Token(secret, granted.permissions, stale_at=asked_at + _TOKEN_SECONDS)

    def _forget(self, installation_id: int, token: Token) -> None:
        slot = self._slots[installation_id]
        if slot.token is token:
            slot.token = None

    async def _send(
        self,
        github: GitHub[AppAuthStrategy] | GitHub[UnauthAuthStrategy],
        method: str,
        path: str,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None,
        body: Mapping[str, object] | None,
    ) -> Answer:
        work = github.arequest(method, path, headers=headers, params=params, json=body)  # pyright: ignore[reportUnknownMemberType] # a bare `dict` in its signature
        response = await self._here(work)
        return Answer(response.status_code, response.content)

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


def _check(credentials: AppCredentials) -> None:
    try:
        jwt.encode({}, credentials.private_key.reveal(), algorithm="RS256")
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        fault = "github.private_key: is no RSA private key in PEM form; take the file that GitHub gave for the App"
        raise ConfigError((fault,)) from error
