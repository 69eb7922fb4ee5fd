"""Errors as clients see them: one shape, a stable code, a message that says what to do, never a traceback."""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from chaser.api.middleware import headers_of
from chaser.api.schemas.problem import Details, Fault, Problem, ProblemAnswer
from chaser.errors import FieldFault, Refused, Rejected, Unavailable

MOST_FAULTS = 100
"""Faults that one answer lists; a body can hold more than anyone reads."""

_log = structlog.stdlib.get_logger("chaser.api")


def problem(
    status: int,
    code: str,
    message: str,
    *,
    details: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer in the contract's shape for errors."""
    body = ProblemAnswer(
        error=Problem(code=code, message=message, details=Details.model_validate(details or {}))
    )
    return Response(
        body.model_dump_json(exclude_none=True),
        status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def exception_handlers() -> Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]]:
    """What Starlette is to do with each exception that leaves a route."""
    return {
        Rejected: _rejected,
        Unavailable: _unavailable,
        Refused: _refused,
        HTTPException: _http,
        ClientDisconnect: _left,
        Exception: _defect,
    }


async def _rejected(request: Request, error: Exception) -> Response:
    assert isinstance(error, Rejected)
    details = dict(error.details)
    if error.fields:
        details["fields"] = [_fault(fault) for fault in error.fields[:MOST_FAULTS]]
    if len(error.fields) > MOST_FAULTS:
        details["fields_left_out"] = len(error.fields) - MOST_FAULTS
    headers = _retry_after(error.retry_after)
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="chaser"'
    return problem(error.status, error.code, error.message, details=details, headers=headers)


def _fault(fault: FieldFault) -> Fault:
    return Fault(pointer=fault.pointer, reason=fault.reason)


async def _unavailable(request: Request, error: Exception) -> Response:
    assert isinstance(error, Unavailable)
    details = {"job": error.job} if error.job else {}
    return problem(
        503,
        error.reason.value,
        error.message,
        details=details,
        headers={"Retry-After": "5", **_retry_after(error.retry_after)},
    )


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return problem(422, error.reason.value, error.message)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {
        404: ("not_found", "There is nothing at this path; GET /openapi.json lists what there is."),
        405: (
            "method_not_allowed",
            "This path does not know the method; the header Allow names those it knows.",
        ),
    }
    code, message = codes.get(error.status_code, ("http_error", error.detail))
    return problem(error.status_code, code, message, headers=error.headers)


async def _left(request: Request, error: Exception) -> Response:
    # nobody reads this; without it a client that leaves while it sends its body would be logged as a defect
    return problem(400, "client_gone", "The connection was closed before the body was whole.")


async def _defect(request: Request, error: Exception) -> Response:
    headers = headers_of(request)
    request_id = headers.get("X-Request-Id", "")
    _log.error("A request met a defect.", action="defect", request_id=request_id, exc_info=error)
    message = (
        f"Chaser has a defect here. Please report it with the request id {request_id} and the service's log."
    )
    return problem(500, "internal_error", message, headers=headers)


def _retry_after(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(max(1, math.ceil(seconds)))}
