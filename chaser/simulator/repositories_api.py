"""The endpoints of repositories, called with an installation's token.

https://docs.github.com/en/rest/apps/installations#list-repositories-accessible-to-the-app-installation
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaser.simulator import bodies
from chaser.simulator.access import refusal
from chaser.simulator.answers import bad_credentials, ok, paged
from chaser.simulator.credentials import given_token
from chaser.simulator.world import World


class RepositoriesApi:
    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        return [
            Route("/installation/repositories", self.list, methods=["GET"]),
            Route("/repos/{owner}/{repo}", self.get, methods=["GET"]),
        ]

    async def list(self, request: Request) -> Response:
        """Of an installation for all of them: those that jobs have named."""
        owner = self._world.token_owner(given_token(request.headers.get("authorization", "")))
        if owner is None:
            return bad_credentials()
        named = {job.repository for job in self._world.jobs.values() if owner.covers(job.repository)}
        found = sorted(named if owner.repositories is None else owner.repositories)
        return paged(request, "repositories", [self._body(name) for name in found])

    async def get(self, request: Request) -> Response:
        name = f"{request.path_params['owner']}/{request.path_params['repo']}"
        return refusal(self._world, request, "metadata") or ok(self._body(name))

    def _body(self, name: str) -> dict[str, object]:
        kind = self._world.kind(name.partition("/")[0])
        return bodies.repository(name, kind, private=name.lower() not in self._world.public)
