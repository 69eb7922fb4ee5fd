"""GitHub's answers: the bodies that its REST documentation gives. Headers are added where all answers go out."""

import time
from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from chaser.simulator import bodies
from chaser.simulator.world import Group, Installation, Runner, World

_DOCS = "https://docs.github.com/rest"
_MOST_PER_PAGE = 100


def ok(body: Mapping[str, object] | Sequence[object], status: int = 200) -> Response:
    return JSONResponse(body, status)


def no_content() -> Response:
    return Response(status_code=204)


def error(status: int, message: str) -> Response:
    body = {"message": message, "documentation_url": _DOCS, "status": str(status)}
    return JSONResponse(body, status)


def too_many(seconds: int) -> Response:
    """https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#rate-limit-errors"""
    page = f"{_DOCS}/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"
    message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    return JSONResponse({"message": message, "documentation_url": page}, 403, {"retry-after": str(seconds)})


def bad_credentials() -> Response:
    return error(401, "Bad credentials")


def not_found() -> Response:
    """Also what GitHub says of what the caller may not see."""
    return error(404, "Not Found")


def no_permission() -> Response:
    return error(403, "Resource not accessible by integration")


def suspended() -> Response:
    return error(403, "This installation has been suspended")


def paged(request: Request, key: str, items: Sequence[object]) -> Response:
    """One page of a list, and in a header where the next one is.

    https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
    """
    shown = _page(request, items)
    return _linked(request, ok({"total_count": len(items), key: shown}), items)


def paged_list(request: Request, items: Sequence[object]) -> Response:
    """As `paged`, where GitHub's answer is a bare list."""
    return _linked(request, ok(_page(request, items)), items)


def _page(request: Request, items: Sequence[object]) -> Sequence[object]:
    size, page = _place(request)
    return items[(page - 1) * size : page * size]


def _linked(request: Request, answer: Response, items: Sequence[object]) -> Response:
    size, page = _place(request)
    if page * size < len(items):
        link = request.url.include_query_params(page=page + 1)
        answer.headers["link"] = f'<{link}>; rel="next"'
    return answer


def _place(request: Request) -> tuple[int, int]:
    """How many there are to a page, and which one is asked for."""
    return min(_positive(request, "per_page", 30), _MOST_PER_PAGE), _positive(request, "page", 1)


def _positive(request: Request, name: str, default: int) -> int:
    given = request.query_params.get(name, "")
    return max(int(given), 1) if given.isdecimal() else default


def runner_body(runner: Runner) -> dict[str, object]:
    return {
        "id": runner.id,
        "runner_group_id": runner.group,
        "name": runner.name,
        "os": "unknown" if runner.status == "offline" else "linux",
        "status": runner.status,
        "busy": runner.busy,
        "labels": [{"id": 0, "name": label, "type": "read-only"} for label in runner.labels],
        "ephemeral": True,
    }


def group_body(group: Group, organization: str) -> dict[str, object]:
    url = f"{bodies.API}/orgs/{organization}/actions/runner-groups/{group.id}"
    return {
        "id": group.id,
        "name": group.name,
        "visibility": "all" if group.repositories is None else "selected",
        "default": group.id == 1,
        "runners_url": f"{url}/runners",
        **({} if group.repositories is None else {"selected_repositories_url": f"{url}/repositories"}),
        "inherited": False,
        "allows_public_repositories": group.public,
        "restricted_to_workflows": False,
        "selected_workflows": [],
        "workflow_restrictions_read_only": False,
    }


def repository_body(world: World, name: str) -> dict[str, object]:
    """A repository is there as soon as it is named."""
    kind = world.kind(name.partition("/")[0])
    return bodies.repository(name, kind, private=name.lower() not in world.public)


def token_body(
    token: str, permissions: Mapping[str, str], repositories: frozenset[str] | None
) -> dict[str, object]:
    return {
        "token": token,
        "expires_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600)),
        "permissions": dict(permissions),
        "repository_selection": "all" if repositories is None else "selected",
    }


def installation_body(world: World, found: Installation) -> dict[str, object]:
    kind = world.kind(found.account)
    api = f"{bodies.API}/app/installations/{found.id}"
    owner = f"organizations/{found.account}/" if kind == "Organization" else ""
    return {
        "id": found.id,
        "client_id": "Iv1.simulated",
        "account": bodies.account(found.account, kind),
        "repository_selection": "all" if found.repositories is None else "selected",
        "access_tokens_url": f"{api}/access_tokens",
        "repositories_url": f"{bodies.API}/installation/repositories",
        "html_url": f"{bodies.WEB}/{owner}settings/installations/{found.id}",
        "app_id": world.app_id,
        "app_slug": world.app.slug,
        "target_id": bodies.number(found.account),
        "target_type": kind,
        "permissions": dict(found.permissions),
        "events": list(world.app.events),
        "created_at": bodies.AT,
        "updated_at": bodies.AT,
        "single_file_name": None,
        "has_multiple_single_files": False,
        "single_file_paths": [],
        "suspended_by": bodies.account(found.account, kind) if found.suspended else None,
        "suspended_at": bodies.AT if found.suspended else None,
    }


def app_body(world: World) -> dict[str, object]:
    app = world.app
    return {
        "id": world.app_id,
        "slug": app.slug,
        "node_id": "A_kwDOAAAAAA",
        "client_id": "Iv1.simulated",
        "owner": bodies.account(app.owner, world.kind(app.owner)),
        "name": app.name,
        "description": None,
        "external_url": "https://chaser.example.com",
        "html_url": f"{bodies.WEB}/apps/{app.slug}",
        "created_at": bodies.AT,
        "updated_at": bodies.AT,
        "permissions": dict(_asked(world)),
        "events": list(app.events),
        "installations_count": len(world.installations),
    }


def _asked(world: World) -> Mapping[str, str]:
    if world.app.permissions is not None:
        return world.app.permissions
    installed = list(world.installations.values())
    return installed[0].permissions if installed else {}
