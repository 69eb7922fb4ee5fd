"""GitHub's answers: the bodies and headers that its REST documentation gives."""

import time
from collections.abc import Mapping

from starlette.responses import JSONResponse, Response

from chaser.simulator.world import Installation, Runner

_DOCS = "https://docs.github.com/rest"
_LIMIT = 5000


def ok(body: Mapping[str, object], status: int = 200) -> Response:
    return JSONResponse(body, status, rate_limit())


def no_content() -> Response:
    return Response(status_code=204, headers=rate_limit())


def error(status: int, message: str) -> Response:
    body = {"message": message, "documentation_url": _DOCS, "status": str(status)}
    return JSONResponse(body, status, rate_limit())


def bad_credentials() -> Response:
    return error(401, "Bad credentials")


def not_found() -> Response:
    """Also what GitHub says of what the caller may not see."""
    return error(404, "Not Found")


def no_permission() -> Response:
    return error(403, "Resource not accessible by integration")


def rate_limit() -> dict[str, str]:
    """https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api"""
    return {
        "x-ratelimit-limit": str(_LIMIT),
        "x-ratelimit-remaining": str(_LIMIT - 1),
        "x-ratelimit-used": "1",
        "x-ratelimit-reset": str(int(time.time()) + 3600),
        "x-ratelimit-resource": "core",
        "x-github-media-type": "github.v3; format=json",
    }


def runner_body(runner: Runner) -> dict[str, object]:
    return {
        "id": runner.id,
        "runner_group_id": 1,
        "name": runner.name,
        "os": "unknown" if runner.status == "offline" else "linux",
        "status": runner.status,
        "busy": runner.busy,
        "labels": [{"id": 0, "name": label, "type": "read-only"} for label in runner.labels],
        "ephemeral": True,
    }


def token_body(token: str, installation: Installation) -> dict[str, object]:
    return {
        "token": token,
        "expires_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600)),
        "permissions": dict(installation.permissions),
        "repository_selection": "all" if installation.repositories is None else "selected",
    }
