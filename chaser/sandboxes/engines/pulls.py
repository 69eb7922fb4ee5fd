"""Pulls through the engine's API (https://docs.docker.com/reference/api/engine/, ImageCreate).

Spoken with httpx and not with the SDK: the SDK's blocking call cannot be ended before the engine has begun to answer,
and a registry that stands still keeps the engine from that for as long as it likes.
"""

import base64
import json
from collections.abc import AsyncGenerator

import httpx
from pydantic import BaseModel, Field, ValidationError

from chaser.errors import Refused, Unavailable
from chaser.sandboxes.engines import probe
from chaser.sandboxes.engines.calls import unavailable
from chaser.sandboxes.engines.http import ANSWER_DEADLINE, UNIX, engine_client
from chaser.sandboxes.engines.verdict import Failure, of_status, unexplained, wrong_platform
from chaser.sandboxes.reference import HUB, Reference
from chaser.sandboxes.registry import Login

MOST_WORDS = 300

_HUB_ADDRESS = "https://index.docker.io/v1/"


class _Detail(BaseModel):
    current: int | None = None


class _Event(BaseModel):
    """One line of a pull's progress. `error` is its failure, and then its last line."""

    id: str = ""
    status: str = ""
    detail: _Detail = Field(default=_Detail(), alias="progressDetail")
    error: str | None = None


class _Platform(BaseModel):
    architecture: str = ""
    os: str = ""


class _Offer(BaseModel):
    platforms: list[_Platform] | None = Field(default=None, alias="Platforms")


class _Version(BaseModel):
    architecture: str = Field(alias="Arch")
    os: str = Field(alias="Os")


class _Words(BaseModel):
    message: str = ""


class Pulls:
    """One engine's way to registries. `host` is `unix://…` or `tcp://…`."""

    def __init__(self, host: str) -> None:
        # A registry is asked directly only from the machine on which the engine runs.
        self._beside_engine = host.startswith(UNIX)
        self._engine = engine_client(host)

    async def close(self) -> None:
        await self._engine.aclose()

    async def pull(self, reference: Reference, login: Login | None) -> AsyncGenerator[None]:
        meter = _Meter()
        words: str | None = None
        request = self._engine.build_request(
            "POST",
            "/images/create",
            params={"fromImage": reference.name, "tag": reference.selector},
            headers=_authority(reference.registry, login),
            timeout=httpx.Timeout(ANSWER_DEADLINE, read=None),
        )
        try:
            response = await self._engine.send(request, stream=True)
            try:
                if response.is_error:
                    words = _message(await response.aread())
                else:
                    async for event in _events(response):
                        words = event.error or words
                        if meter.moved(event):
                            yield
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise unavailable(error) from error
        if words is not None:
            raise await self._cause(Failure(reference, login is not None, _quoted(words)), login)

    async def tag(self, source: Reference, target: Reference) -> None:
        params = {"repo": target.name, "tag": target.selector}
        await self._answer("POST", f"/images/{source.full}/tag", params=params)

    async def _cause(self, failure: Failure, login: Login | None) -> Refused | Unavailable:
        """Ask the registry through the engine, and itself where the engine's answer is ambiguous."""
        path = f"/distribution/{failure.reference.full}/json"
        try:
            response = await self._engine.get(path, headers=_authority(failure.reference.registry, login))
        except httpx.ReadTimeout:
            return unexplained(failure)
        except httpx.HTTPError as error:
            return unavailable(error)
        if response.is_success:
            return await self._refused_although_there(failure, _Offer.model_validate_json(response.content))
        if response.is_server_error and self._beside_engine:
            # Engine 20.10 answers a missing login, a refused connection and a registry's fault with 500 alike.
            return await probe.ask(failure)
        return of_status(failure, response.status_code)

    async def _refused_although_there(self, failure: Failure, offer: _Offer) -> Refused | Unavailable:
        version = _Version.model_validate_json((await self._answer("GET", "/version")).content)
        offered = {(each.os, each.architecture) for each in offer.platforms or () if each.architecture}
        if not offered or (version.os, version.architecture) in offered:
            return unexplained(failure)
        names = [f"{system}/{architecture}" for system, architecture in offered]
        return wrong_platform(failure, f"{version.os}/{version.architecture}", names)

    async def _answer(self, method: str, path: str, params: dict[str, str] | None = None) -> httpx.Response:
        try:
            return (await self._engine.request(method, path, params=params)).raise_for_status()
        except httpx.HTTPError as error:
            raise unavailable(error) from error


class _Meter:
    """Tells progress from repetition: the engine's retries also print, while nothing moves."""

    def __init__(self) -> None:
        self._highest: dict[tuple[str, str], int] = {}
        self._layers: set[str] = set()

    def moved(self, event: _Event) -> bool:
        """Whether a layer is new, or has come further than ever in what is being done to it."""
        new = event.id not in self._layers
        self._layers.add(event.id)
        current = event.detail.current
        if current is None:
            return new
        doing = (event.id, event.status)
        further = current > self._highest.get(doing, 0)
        if further:
            self._highest[doing] = current
        return new or further


async def _events(response: httpx.Response) -> AsyncGenerator[_Event]:
    # Split at b"\n" alone: text from a registry may hold what `str.splitlines` takes for a line's end.
    rest = b""
    async for data in response.aiter_bytes():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if line.strip():
                yield _Event.model_validate_json(line)


def _authority(host: str, login: Login | None) -> dict[str, str]:
    """The header in which the engine takes a login, for this call only."""
    if login is None:
        return {}
    fields = {"serveraddress": _HUB_ADDRESS if host == HUB else host}
    if login.identity:
        fields["identitytoken"] = login.identity.reveal()
    else:
        fields |= {"username": login.username, "password": login.password.reveal()}
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()}


def _message(body: bytes) -> str:
    try:
        return _Words.model_validate_json(body).message
    except ValidationError:
        return ""


def _quoted(words: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in words)
    return f"The engine says: {printable[:MOST_WORDS]}" if printable else "The engine gives no cause."
