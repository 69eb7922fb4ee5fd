"""The simulated GitHub as an application: `github(world)`.

Written against GitHub's REST documentation, apart from the fleet: it imports nothing of it.
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chaser.simulator.answers import not_found
from chaser.simulator.app_api import AppApi
from chaser.simulator.far_side import FarSide
from chaser.simulator.runners_api import RunnersApi
from chaser.simulator.world import Call, Fault, World


def github(world: World, far_side: str | None = None) -> ASGIApp:
    """`far_side` is this application's address as runners in sandboxes see it; none: they cannot reach it."""
    routes = [*AppApi(world).routes(), *RunnersApi(world, far_side).routes(), *FarSide(world).routes()]
    return _Faults(Starlette(routes=routes, exception_handlers={404: _unknown}), world)


async def _unknown(request: Request, error: Exception) -> Response:
    return not_found()


class _Faults:
    """Notes each call, and answers in the application's place where the world holds a fault for it."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        call = Call(f"{scope['method']} {scope['path']}", scope.get("client"))
        self._world.calls.append(call)
        fault = self._world.fault_for(scope["path"])
        if fault is None:
            return await self._app(scope, _noting(call, receive), send)
        if fault.after_effect:
            await self._app(scope, _noting(call, receive), _nowhere)
        return await self._answer(fault, scope, receive, send)

    async def _answer(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.status == 0:
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await JSONResponse(dict(fault.body), fault.status, dict(fault.headers))(scope, receive, send)


def _noting(call: Call, receive: Receive) -> Receive:
    async def noting() -> Message:
        message = await receive()
        call.body += message.get("body", b"")
        return message

    return noting


async def _nowhere(message: Message) -> None:
    """An answer that gets lost."""
