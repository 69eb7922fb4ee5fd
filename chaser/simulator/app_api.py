"""The endpoints that the App calls as itself, with its JWT.

https://docs.github.com/en/rest/apps/apps
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaser.simulator.access import app_refusal
from chaser.simulator.answers import (
    app_body,
    error,
    installation_body,
    no_content,
    not_found,
    ok,
    paged_list,
    suspended,
    token_body,
)
from chaser.simulator.credentials import installation_token
from chaser.simulator.installing import Installing
from chaser.simulator.reading import read_object, table, texts
from chaser.simulator.world import Installation, World


class AppApi:
    def __init__(self, world: World, installing: Installing) -> None:
        self._world = world
        self._installing = installing

    def routes(self) -> list[Route]:
        one = "/app/installations/{installation_id:int}"
        return [
            Route("/app", self.app, methods=["GET"]),
            Route("/app/installations", self.installations, methods=["GET"]),
            Route(one, self._of(self.get), methods=["GET"]),
            Route(one, self._of(self.delete), methods=["DELETE"]),
            Route(f"{one}/suspended", self._of(self.suspend), methods=["PUT"]),
            Route(f"{one}/suspended", self._of(self.unsuspend), methods=["DELETE"]),
            Route(f"{one}/access_tokens", self._of(self.token), methods=["POST"]),
            Route("/repos/{owner}/{repo}/installation", self.of_repository, methods=["GET"]),
            Route("/orgs/{owner}/installation", self.of_organization, methods=["GET"]),
            Route("/users/{owner}/installation", self.of_user, methods=["GET"]),
        ]

    async def app(self, request: Request) -> Response:
        return app_refusal(self._world, request) or ok(app_body(self._world))

    async def installations(self, request: Request) -> Response:
        found = [installation_body(self._world, one) for one in self._world.installations.values()]
        return app_refusal(self._world, request) or paged_list(request, found)

    async def get(self, request: Request, found: Installation) -> Response:
        return ok(installation_body(self._world, found))

    async def delete(self, request: Request, found: Installation) -> Response:
        self._installing.delete(found)
        return no_content()

    async def suspend(self, request: Request, found: Installation) -> Response:
        self._installing.suspend(found, suspended=True)
        return no_content()

    async def unsuspend(self, request: Request, found: Installation) -> Response:
        self._installing.suspend(found, suspended=False)
        return no_content()

    async def token(self, request: Request, found: Installation) -> Response:
        if found.suspended:
            return suspended()
        body = await read_object(request)
        if isinstance(body, str):
            return error(400, body)
        permissions = table(body.get("permissions", dict(found.permissions)))
        names = texts(body.get("repositories", []))
        if permissions is None or names is None:
            return error(422, "Invalid request.")
        repositories = frozenset(f"{found.account}/{name}" for name in names) or None
        if not _granted(found, permissions):
            return error(422, "The permissions requested are not granted to this installation.")
        if repositories is not None and not all(found.covers(name) for name in repositories):
            return error(
                422,
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            )
        text = installation_token(self._world, found)
        if "permissions" in body or repositories is not None:
            self._world.narrowed[text] = (permissions, repositories)
        return ok(token_body(text, permissions, repositories or found.repositories), 201)

    async def of_repository(self, request: Request) -> Response:
        name = f"{request.path_params['owner']}/{request.path_params['repo']}"
        return self._lookup(request, self._world.installation_of(name))

    async def of_organization(self, request: Request) -> Response:
        owner = request.path_params["owner"]
        return self._lookup(request, self._world.installation_for(owner, "Organization"))

    async def of_user(self, request: Request) -> Response:
        return self._lookup(request, self._world.installation_for(request.path_params["owner"], "User"))

    def _lookup(self, request: Request, found: Installation | None) -> Response:
        answer = not_found() if found is None else ok(installation_body(self._world, found))
        return app_refusal(self._world, request) or answer

    def _of(
        self, act: Callable[[Request, Installation], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def acting(request: Request) -> Response:
            if (refused := app_refusal(self._world, request)) is not None:
                return refused
            found = self._world.installations.get(int(request.path_params["installation_id"]))
            return not_found() if found is None else await act(request, found)

        return acting


def _granted(installation: Installation, permissions: dict[str, str] | object) -> bool:
    levels = {"read": 1, "write": 2}
    asked = table(permissions) or {}
    return all(
        levels.get(level, 3) <= levels.get(installation.permissions.get(name, ""), 0)
        for name, level in asked.items()
    )
