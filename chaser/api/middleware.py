"""Around every answer: its request id, its log line, the headers that the routes ask for; and forgiven paths."""

import logging
import re
from collections.abc import Mapping
from typing import Any, cast

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chaser.clock import Clock
from chaser.ids import new_id

REQUEST_ID = "X-Request-Id"
_WELL_FORMED = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_SLASHES = re.compile(r"/{2,}")
_STATE_KEY = "answer_headers"

_logger = logging.getLogger("chaser.api")
_log = structlog.stdlib.get_logger(_logger.name)


class RequestIdentity:
    """Names each request. Kept outside of all other middleware of ours, inside of Starlette's own for defects."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._identify(Headers(scope=scope))
        headers = _headers(scope)
        headers[REQUEST_ID] = request_id
        scope["path"] = _SLASHES.sub("/", scope["path"])
        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._answer(scope, receive, send, headers)
        finally:
            structlog.contextvars.reset_contextvars(**bound)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]) -> None:
        begun = self._clock.monotonic()
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_encoded(headers)]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            took = round((self._clock.monotonic() - begun) * 1000)
            # structlog finds out only once the line is half made, which under load shows
            if _logger.isEnabledFor(logging.INFO):
                _log.info(
                    "Answered a request.",
                    action="request",
                    method=scope["method"],
                    # as it was sent: percent-encoded, so that no path can write lines of its own
                    path=scope.get("raw_path", b"").decode("latin-1"),
                    status=status,
                    took_ms=took,
                )

    def _identify(self, headers: Headers) -> str:
        given = headers.get(REQUEST_ID, "")
        return given if _WELL_FORMED.fullmatch(given) else new_id("req", self._clock.now())


def add_header(request: Request, name: str, value: str) -> None:
    """Send this header with the request's answer, whatever that will be."""
    _headers(request.scope)[name] = value


def headers_of(request: Request) -> Mapping[str, str]:
    """What `add_header` has gathered, for an answer that is made outside of this middleware."""
    return _headers(request.scope)


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _headers(scope: Scope) -> dict[str, str]:
    # the scope's state is one object through all layers, even those outside of this one
    state = cast("dict[str, Any]", scope.setdefault("state", {}))
    return cast("dict[str, str]", state.setdefault(_STATE_KEY, {}))
