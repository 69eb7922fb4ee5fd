"""Reading the orders of whoever plays with the simulator, and answering them: JSON, in which nothing may be misspelt."""

import json
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

T = TypeVar("T")


class Malformed(Exception):
    """A body that is none of ours."""


async def read_order(kind: type[T], request: Request) -> T:
    body, adapter = await request.body(), TypeAdapter(kind)
    try:
        found = adapter.validate_json(body)
    except ValidationError as error:
        raise Malformed(str(error)) from error
    if unknown := _unknown(json.loads(body), json.loads(adapter.dump_json(found))):
        raise Malformed(f"no such keys: {', '.join(sorted(unknown))}")
    return found


def _unknown(given: object, read: object) -> set[str]:
    """Keys that reading has left out, at any depth: a misspelt one must not be taken for a default."""
    if isinstance(given, dict) and isinstance(read, dict):
        asked, known = cast("dict[str, object]", given), cast("dict[str, object]", read)
        found = set(asked) - set(known)
        return found.union(*(_unknown(asked[key], known[key]) for key in set(asked) & set(known)))
    if isinstance(given, list) and isinstance(read, list):
        pairs = zip(cast("list[object]", given), cast("list[object]", read), strict=False)
        return set[str]().union(*(_unknown(one, other) for one, other in pairs))
    return set()


def answering(act: Callable[[Request], Awaitable[object]]) -> Callable[[Request], Awaitable[Response]]:
    async def acting(request: Request) -> Response:
        try:
            made = await act(request)
        except Malformed as error:
            return JSONResponse({"message": str(error)}, 422)
        return JSONResponse({"message": "no such thing"}, 404) if made is None else JSONResponse(made)

    return acting
