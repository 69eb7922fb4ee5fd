"""The endpoints that the App calls as itself, with its JWT.

https://docs.github.com/en/rest/apps/apps
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaser.simulator.answers import bad_credentials, error, not_found, ok, token_body
from chaser.simulator.credentials import app_fault, installation_token
from chaser.simulator.world import Installation, World

EVENTS = ("workflow_job",)


class AppApi:
    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        return [
            Route("/app", self.app, methods=["GET"]),
            Route("/app/installations/{installation_id:int}/access_tokens", self.token, methods=["POST"]),
            Route("/repos/{owner}/{repo}/installation", self.installation, methods=["GET"]),
        ]

    async def app(self, request: Request) -> Response:
        if fault := self._fault(request):
            return fault
        installation = next(iter(self._world.installations.values()), None)
        permissions = dict(installation.permissions) if installation else {}
        body = {"id": self._world.app_id, "slug": "chaser-simulated", "name": "Chaser (simulated)"}
        return ok({**body, "permissions": permissions, "events": list(EVENTS)})

    async def token(self, request: Request) -> Response:
        if fault := self._fault(request):
            return fault
        installation = self._world.installations.get(int(request.path_params["installation_id"]))
        if installation is None:
            return not_found()
        if installation.suspended:
            return error(403, "This installation has been suspended")
        return ok(token_body(installation_token(self._world, installation), installation), 201)

    async def installation(self, request: Request) -> Response:
        if fault := self._fault(request):
            return fault
        found = self._world.installation_of(f"{request.path_params['owner']}/{request.path_params['repo']}")
        return ok(self._installation_body(found)) if found else not_found()

    def _installation_body(self, found: Installation) -> dict[str, object]:
        return {
            "id": found.id,
            "account": {"login": found.account},
            "app_id": self._world.app_id,
            "permissions": dict(found.permissions),
            "events": list(EVENTS),
            "suspended_at": "2026-01-01T00:00:00Z" if found.suspended else None,
        }

    def _fault(self, request: Request) -> Response | None:
        given = request.headers.get("authorization")
        if given is None:
            return bad_credentials()
        message = app_fault(self._world, given)
        return error(404 if message == "Integration not found" else 401, message) if message else None
