"""The endpoints of repositories, called with an installation's token.

https://docs.github.com/en/rest/apps/installations#list-repositories-accessible-to-the-app-installation
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaser.simulator.access import refusal
from chaser.simulator.answers import bad_credentials, ok, paged, repository_body
from chaser.simulator.credentials import given_token
from chaser.simulator.origin import Origin, pull_request
from chaser.simulator.world import World


class RepositoriesApi:
    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        return [
            Route("/installation/repositories", self.list, methods=["GET"]),
            Route("/repos/{owner}/{repo}", self.get, methods=["GET"]),
            Route("/repos/{owner}/{repo}/pulls", self.pulls, methods=["GET"]),
        ]

    async def list(self, request: Request) -> Response:
        """Of an installation for all of them: those that jobs have named."""
        owner = self._world.token_owner(given_token(request.headers.get("authorization", "")))
        if owner is None:
            return bad_credentials()
        named = {job.repository for job in self._world.jobs.values() if owner.covers(job.repository)}
        found = sorted(named if owner.repositories is None else owner.repositories)
        return paged(request, "repositories", [repository_body(self._world, name) for name in found])

    async def get(self, request: Request) -> Response:
        name = f"{request.path_params['owner']}/{request.path_params['repo']}"
        return refusal(self._world, request, "metadata") or ok(repository_body(self._world, name))

    async def pulls(self, request: Request) -> Response:
        """Those that runs are of. Of a public repository everyone may see them, without the permission.

        https://docs.github.com/en/rest/pulls/pulls#list-pull-requests
        """
        name = f"{request.path_params['owner']}/{request.path_params['repo']}"
        public = name.lower() in self._world.public
        if (no := refusal(self._world, request, "metadata" if public else "pull_requests")) is not None:
            return no
        ids = dict.fromkeys(
            job.run_id for job in self._world.jobs.values() if job.repository.lower() == name.lower()
        )
        origins = [(number, self._world.origins[run_id]) for number, run_id in enumerate(ids, start=1)]
        found = [
            pull_request(name, number, origin, private=not public)
            for number, origin in origins
            if origin.of_pull_request and request.query_params.get("head") in {None, _head(name, origin)}
        ]
        return ok(found)


def _head(name: str, origin: Origin) -> str:
    """As the parameter names it."""
    return f"{origin.of(name).partition('/')[0]}:{origin.branch}"
