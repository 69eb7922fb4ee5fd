"""One authenticated call of a route."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from chaser.api.context import Api
from chaser.keys import ApiKey


@dataclass(frozen=True, slots=True)
class Call:
    """What a guarded route is given. The key is valid and has the route's scope."""

    api: Api
    key: ApiKey
    request: Request


Guarded = Callable[[Call], Awaitable[Response]]
Open = Callable[[Api], Awaitable[Response]]


def shown(model: BaseModel, status: int = 200) -> Response:
    """A model as the answer."""
    return Response(
        model.model_dump_json(), status, media_type="application/json", headers={"Cache-Control": "no-store"}
    )
