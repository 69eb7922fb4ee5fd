"""The operations as Starlette's routes: who asks, how often, what they may; then the operation itself."""

from collections.abc import Mapping, Sequence

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaser.api.auth import authenticate, require_scope
from chaser.api.call import Call
from chaser.api.context import Api
from chaser.api.middleware import add_header
from chaser.api.operation import Keyed, Operation, Public
from chaser.api.operations import OPERATIONS
from chaser.api.rate import Rate
from chaser.api.reference import Reference
from chaser.errors import Rejected


class AnyPath(Convertor[str]):
    """The rest of a path, whatever is in it: files may have names with line breaks, which Starlette's own leaves out."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("path", AnyPath())


def routes(api: Api) -> list[Route]:
    """One route a path, so that a wrong method is answered with all that the path knows."""
    rate = Rate(api.rules.rate, api.clock)
    by_path: dict[str, list[Operation]] = {}
    for operation in (*OPERATIONS, *Reference(OPERATIONS).operations):
        by_path.setdefault(operation.path, []).append(operation)
    return [_route(api, rate, path, operations) for path, operations in by_path.items()]


def _route(api: Api, rate: Rate, path: str, operations: Sequence[Operation]) -> Route:
    by_method: Mapping[str, Operation] = {operation.method: operation for operation in operations}

    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        match by_method[method].serve:
            case Public(act=act):
                return await act(api)
            case Keyed() as keyed:
                return await keyed.act(await _admitted(api, rate, keyed, request))

    return Route(path, endpoint, methods=list(by_method), name=operations[0].name)


async def _admitted(api: Api, rate: Rate, keyed: Keyed, request: Request) -> Call:
    key = await authenticate(api, request)
    allowance = rate.spend(key.id)
    for name, value in allowance.headers.items():
        add_header(request, name, value)
    if not allowance.allowed:
        message = f"The key may call {api.rules.rate}; wait as long as Retry-After says."
        raise Rejected(429, "rate_limited", message, retry_after=allowance.reset)
    require_scope(key, keyed.scope)
    return Call(api, key, request)
