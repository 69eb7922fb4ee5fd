"""Reading the JSON object of a request, and its values, without trusting them."""

import json
from collections.abc import Mapping
from typing import TypeVar, cast

from starlette.requests import Request

T = TypeVar("T")


async def read_object(request: Request) -> Mapping[str, object] | str:
    """The object, empty where there is no body; or what is wrong."""
    body = await request.body()
    try:
        read: object = json.loads(body or b"{}")
    except ValueError:
        return "Problems parsing JSON"
    return cast("dict[str, object]", read) if isinstance(read, dict) else "Body should be a JSON object"


def texts(given: object) -> tuple[str, ...] | None:
    """A list of strings; none: it is something else."""
    if not isinstance(given, list):
        return None
    items = cast("list[object]", given)
    found = tuple(item for item in items if isinstance(item, str))
    return found if len(found) == len(items) else None


def table(given: object) -> Mapping[str, str] | None:
    """An object whose values are strings; none: it is something else."""
    if not isinstance(given, dict):
        return None
    items = cast("dict[str, object]", given)
    found = {key: value for key, value in items.items() if isinstance(value, str)}
    return found if len(found) == len(items) else None
