"""`GET /rate_limit`, which itself costs nothing. https://docs.github.com/en/rest/rate-limit/rate-limit"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaser.simulator.answers import ok
from chaser.simulator.credentials import given_token
from chaser.simulator.limits import Resource
from chaser.simulator.world import World


class LimitsApi:
    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        return [Route("/rate_limit", self.get, methods=["GET"])]

    async def get(self, request: Request) -> Response:
        owner = self._world.token_owner(given_token(request.headers.get("authorization", "")))
        caller = None if owner is None else owner.id
        told = {each.value: self._world.limits.of(caller, each).body() for each in Resource}
        core = told[Resource.CORE.value]
        return ok({"resources": {**told, "search": core}, "rate": core})
