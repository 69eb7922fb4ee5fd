"""Calls to GitHub as an App and as its installations: credentials, tokens, errors. What to call is others' matter.

Each who calls has a line of its own, in which calls wait for their turn: see `chaser.github.budget`.

githubkit signs as the App (RS256, `iat` a minute back against skewed clocks, ten minutes long). Installation tokens
are kept here, not by githubkit: one call for all who wait, one refresh when GitHub no longer takes a token, and none
of the generated models, which cost 20 MB.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self

import jwt
from githubkit import AppAuthStrategy, UnauthAuthStrategy
from githubkit.exception import GitHubException, RequestFailed

from chaser.clock import Clock
from chaser.errors import ConfigError, Refused, Unavailable
from chaser.github.answers import InstallationAnswer, TokenAnswer
from chaser.github.budget import Call, Pace, Urgency
from chaser.github.caller import Caller
from chaser.github.failures import NotInstalled, failure, suspended
from chaser.github.pages import web_url
from chaser.github.wire import API_URL, API_VERSION, TIMEOUT, Answer, Wire, read
from chaser.runners.app import Credentials
from chaser.runners.budget import Spending
from chaser.secret import Secret

_TOKEN_SECONDS = 55 * 60
"""A token lives for an hour."""


@dataclass(frozen=True, slots=True)
class Token:
    """An installation's token, and what it allows: names of permissions to `read`, `write` or `admin`."""

    secret: Secret
    permissions: Mapping[str, str]
    stale_at: float
    """On the monotonic clock."""


@dataclass(slots=True)
class _Slot:
    """One installation's token. The lock makes those who come during a fetch wait for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    token: Token | None = None


class AppClient:
    """Open it with `async with`, so that connections are kept."""

    def __init__(
        self,
        credentials: Credentials,
        clock: Clock,
        *,
        api_url: str = API_URL,
        api_version: str = API_VERSION,
        timeout: float = TIMEOUT,
        pace: Pace = Pace(),  # noqa: B008 # a value
    ) -> None:
        """`timeout` is in seconds, for each step of a call. Raises `ConfigError` if the key is none."""
        check(credentials)
        self.clock = clock
        self.web_url = web_url(api_url)
        """Where people find this GitHub."""
        self._slots: dict[int, _Slot] = {}
        self._pace = pace
        self._itself = Caller(pace, clock)
        self._callers: dict[int, Caller] = {}
        """By installation."""
        strategy = AppAuthStrategy(credentials.app_id, credentials.private_key.reveal())
        self._app = Wire(strategy, api_url, api_version=api_version, timeout=timeout)
        self._installed = Wire(UnauthAuthStrategy(), api_url, api_version=api_version, timeout=timeout)

    async def __aenter__(self) -> Self:
        await self._app.__aenter__()
        await self._installed.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._installed.__aexit__(kind, error, trace)
        await self._app.__aexit__(kind, error, trace)

    def remaining(self, installation_id: int | None) -> float:
        """Of the installation's budget, or the App's own: `chaser.runners.budget.Budgets`."""
        caller = self._itself if installation_id is None else self._caller(installation_id)
        return caller.remaining

    def spendings(self) -> Sequence[Spending]:
        return [caller.spending(number) for number, caller in sorted(self._callers.items())]

    async def token(self, installation_id: int) -> Token:
        """The installation's token, at least five minutes of life left. Raises `NotInstalled` if there is none of this id."""
        slot = self._slots.setdefault(installation_id, _Slot())
        async with slot.lock:
            if slot.token is None or slot.token.stale_at <= self.clock.monotonic():
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
        urgency: Urgency = Urgency.SWEEP,
        etag: str | None = None,
    ) -> Answer:
        """Call as the installation. `doing` names the act in messages; answers of a `meaningful` status are returned.

        `etag`: of the answer that is known; if it still holds, the status is 304, and the call costs nothing.
        """
        caller, call = self._caller(installation_id), Call.of(urgency, method, path)
        for again in (True, False):
            token = await self.token(installation_id)
            headers = {"Authorization": f"token {token.secret.reveal()}", **_unless(etag)}
            send = partial(self._installed.send, method, path, headers=headers, params=params, body=body)
            try:
                return await caller.send(call, doing, send)
            except RequestFailed as error:
                if (answer := _meant(error, meaningful)) is not None:
                    return answer
                if error.response.status_code != 401 or not again:
                    raise failure(error, doing, token.permissions) from error
                # A token can be revoked before its time; and a 401 has had no effect, so this may be repeated.
                self._forget(installation_id, token)
            except (GitHubException, ValueError) as error:
                raise failure(error, doing) from error
        raise AssertionError("the second round returns or raises")

    async def call_as_app(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        meaningful: frozenset[int] = frozenset(),
        urgency: Urgency = Urgency.SWEEP,
        etag: str | None = None,
    ) -> Answer:
        """Call as the App itself."""
        send = partial(self._app.send, method, path, headers=_unless(etag), params=params, body=body)
        try:
            return await self._itself.send(Call.of(urgency, method, path), doing, send)
        except RequestFailed as error:
            if (answer := _meant(error, meaningful)) is not None:
                return answer
            raise failure(error, doing) from error
        except (GitHubException, ValueError) as error:
            raise failure(error, doing) from error

    async def _new_token(self, installation_id: int) -> Token:
        doing = "asking for the installation's token"
        path = f"/app/installations/{installation_id}/access_tokens"
        asked_at = self.clock.monotonic()
        # Whatever it is for, others may come to wait for it too, and a mint among them.
        call = Call.of(Urgency.MINT, "POST", path)
        try:
            answer = await self._itself.send(call, doing, partial(self._app.send, "POST", path))
        except RequestFailed as error:
            raise await self._no_token(error, installation_id, doing) from error
        except (GitHubException, ValueError) as error:
            raise failure(error, doing) from error
        granted = read(TokenAnswer, answer, doing)
        secret = Secret(granted.token.get_secret_value())
        return Token(secret, granted.permissions, stale_at=asked_at + _TOKEN_SECONDS)

    async def _no_token(
        self, error: RequestFailed, installation_id: int, doing: str
    ) -> Refused | Unavailable:
        """Why there is no token. GitHub answers 403 for a suspended installation; the installation itself says it surely."""
        status = error.response.status_code
        if status == 404:
            return NotInstalled(installation_id)
        if status == 403:
            asking = "looking at the installation"
            path = f"/app/installations/{installation_id}"
            answer = await self.call_as_app(
                "GET", path, doing=asking, meaningful=frozenset({403, 404}), urgency=Urgency.MINT
            )
            if answer.status == 200:
                found = read(InstallationAnswer, answer, asking)
                if found.suspended_at is not None:
                    return suspended(found, self.web_url)
        return failure(error, doing)

    def _caller(self, installation_id: int) -> Caller:
        return self._callers.setdefault(installation_id, Caller(self._pace, self.clock))

    def _forget(self, installation_id: int, token: Token) -> None:
        slot = self._slots[installation_id]
        if slot.token is token:
            slot.token = None


def _meant(error: RequestFailed, meaningful: frozenset[int]) -> Answer | None:
    """The answer, where its status means something to the caller."""
    response = error.response
    if response.status_code not in meaningful:
        return None
    return Answer(response.status_code, response.content, response.headers)


def _unless(etag: str | None) -> Mapping[str, str]:
    """https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests"""
    return {} if etag is None else {"If-None-Match": etag}


def check(credentials: Credentials) -> None:
    """Raises `ConfigError` if the key can sign nothing."""
    try:
        jwt.encode({}, credentials.private_key.reveal(), algorithm="RS256")
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        fault = "github.private_key: is no RSA private key in PEM form; take the file that GitHub gave for the App"
        raise ConfigError((fault,)) from error
