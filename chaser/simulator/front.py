"""What every call to the API passes: it is noted, may meet a fault, counts against a limit, and may be answered with 304.

https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests
"""

import asyncio
import hashlib
import re
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chaser.simulator.addresses import moved
from chaser.simulator.answers import error, too_many
from chaser.simulator.credentials import given_token
from chaser.simulator.faults import Fault
from chaser.simulator.limits import Budget, Excess, Limit, resource_of
from chaser.simulator.world import Call, World

ENTERPRISE = "/api/v3"
"""Where an Enterprise Server has its API: the same one. https://docs.github.com/en/enterprise-server/rest"""
_ELSEWHERE = ("/_sim/", "/_runner/", "/_logs/", "/settings/", "/organizations/", "/apps/")
"""Not GitHub's API, but ours or its pages: without faults and limits."""
_RUN_PAGES = re.compile(r"/[^/]+/[^/]+/actions/runs/")
_FREE = "/rate_limit"


@dataclass(slots=True)
class _Answer:
    """An answer that is looked at before it goes out."""

    status: int = 0
    headers: MutableHeaders = field(default_factory=MutableHeaders)
    body: bytes = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = MutableHeaders(raw=list(message["headers"]))
        else:
            self.body += message.get("body", b"")

    def move(self, address: str | None, base: str) -> None:
        body = moved(self.body, address, base)
        if body != self.body:
            self.body, self.headers["content-length"] = body, str(len(body))


class Front:
    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_elsewhere(scope["path"]):
            return await self._app(scope, receive, send)
        base = ENTERPRISE if scope["path"].startswith(f"{ENTERPRISE}/") else ""
        path = scope["path"].removeprefix(base)
        # The routes begin where the base ends, and addresses in answers have it.
        inner = {**scope, "root_path": base}
        by_name = scope["query_string"].startswith(b"name=") or b"&name=" in scope["query_string"]
        call = Call(f"{scope['method']} {path}{'?name' if by_name else ''}", scope.get("client"), base=base)
        self._world.calls.append(call)
        answer = _Answer()
        fault = self._world.fault_for(scope["method"], path)
        with self._world.limits.at_once(self._caller(scope)):
            await self._answer(inner, _noting(call, receive), answer, fault)
            if fault is not None:
                await asyncio.sleep(fault.delay)
                if fault.status == 0:
                    return await _silence(receive)
            answer.move(self._world.address, base)
            return await _put(answer, send)

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer, fault: Fault | None) -> None:
        """The fault's answer, or the true one."""
        if fault is None or fault.status is None or fault.after_effect:
            await self._true(scope, receive, answer)
        if fault is not None and fault.status:
            answer.body = b""
            response = JSONResponse(dict(fault.body), fault.status, dict(fault.headers))
            await response(scope, receive, answer.send)

    async def _true(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        caller, limits = self._caller(scope), self._world.limits
        method, path = scope["method"], scope["path"].removeprefix(scope["root_path"])
        budget = limits.of(caller, resource_of(method, path))
        if path == _FREE:
            await self._app(scope, receive, answer.send)
        elif (excess := limits.excess(caller, method, path)) is not None:
            await _refusal(excess, caller)(scope, receive, answer.send)
        else:
            budget.used += 1
            await self._app(scope, receive, answer.send)
            budget.used -= _conditional(scope, answer)
        _sign(answer, budget)

    def _caller(self, scope: Scope) -> object:
        token = given_token(Headers(scope=scope).get("authorization", ""))
        owner = self._world.token_owner(token)
        return None if owner is None else owner.id


def _is_elsewhere(path: str) -> bool:
    return path.startswith(_ELSEWHERE) or _RUN_PAGES.match(path) is not None


def _refusal(excess: Excess, caller: object) -> Response:
    if excess.limit is Limit.PRIMARY:
        return error(403, f"API rate limit exceeded for installation ID {caller}.")
    return too_many(excess.seconds)


def _conditional(scope: Scope, answer: _Answer) -> bool:
    """Give the answer its tag, and leave its body away if the caller has it already: this costs nothing."""
    if scope["method"] != "GET" or answer.status != 200:
        return False
    tag = f'W/"{hashlib.sha256(answer.body).hexdigest()}"'
    answer.headers["etag"] = tag
    if Headers(scope=scope).get("if-none-match") != tag:
        return False
    answer.status, answer.body = 304, b""
    for name in ("content-length", "content-type"):
        del answer.headers[name]
    return True


def _sign(answer: _Answer, budget: Budget) -> None:
    answer.headers.update({**budget.headers(), "x-github-media-type": "github.v3; format=json"})


async def _put(answer: _Answer, send: Send) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers.raw})
    await send({"type": "http.response.body", "body": answer.body})


async def _silence(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _noting(call: Call, receive: Receive) -> Receive:
    async def noting() -> Message:
        message = await receive()
        call.body += message.get("body", b"")
        return message

    return noting
