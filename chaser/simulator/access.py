"""Who may do what, in GitHub's order: who are you, may you see this, may you do this."""

from starlette.requests import Request
from starlette.responses import Response

from chaser.simulator.answers import bad_credentials, error, no_permission, not_found, suspended
from chaser.simulator.credentials import app_fault, given_token
from chaser.simulator.world import Installation, World


def app_refusal(world: World, request: Request) -> Response | None:
    """Of a call that only the App itself may make."""
    given = request.headers.get("authorization")
    if given is None:
        return bad_credentials()
    message = app_fault(world, given)
    return error(404 if message == "Integration not found" else 401, message) if message else None


def refusal(world: World, request: Request, permission: str) -> Response | None:
    """Of a call with an installation's token."""
    token = given_token(request.headers.get("authorization", ""))
    installation = world.token_owner(token)
    if installation is None:
        return bad_credentials()
    if installation.suspended:
        return suspended()
    permissions, repositories = world.narrowed.get(token, (installation.permissions, None))
    if not _sees(world, installation, repositories, request):
        return not_found()
    enough = {"read", "write"} if request.method == "GET" else {"write"}
    return None if permissions.get(permission) in enough else no_permission()


def _sees(
    world: World, installation: Installation, repositories: frozenset[str] | None, request: Request
) -> bool:
    owner, repo = request.path_params["owner"], request.path_params.get("repo")
    if repo is None:
        own = installation.account.lower() == owner.lower()
        return own and world.kind(owner) == "Organization"
    name = f"{owner}/{repo}"
    return installation.covers(name) and (repositories is None or name in repositories)
