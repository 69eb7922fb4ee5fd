"""The endpoints of self-hosted runners, of a repository or an organization, called with an installation's token.

https://docs.github.com/en/rest/actions/self-hosted-runners
"""

import json
from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaser.simulator import jit
from chaser.simulator.answers import (
    bad_credentials,
    error,
    no_content,
    no_permission,
    not_found,
    ok,
    runner_body,
)
from chaser.simulator.credentials import caller
from chaser.simulator.world import Installation, Runner, World

_NAME_LENGTH = 64
_MOST_LABELS = 100
_LABEL_LENGTH = 256


class RunnersApi:
    def __init__(self, world: World, far_side: str | None) -> None:
        """`far_side` is the simulator's address as its runners see it; none: they cannot reach it."""
        self._world = world
        self._far_side = far_side

    def routes(self) -> list[Route]:
        return [
            route
            for base in ("/repos/{owner}/{repo}/actions/runners", "/orgs/{owner}/actions/runners")
            for route in (
                Route(f"{base}/generate-jitconfig", self.generate, methods=["POST"]),
                Route(base, self.list, methods=["GET"]),
                Route(f"{base}/{{runner_id:int}}", self.get, methods=["GET"]),
                Route(f"{base}/{{runner_id:int}}", self.delete, methods=["DELETE"]),
            )
        ]

    async def generate(self, request: Request) -> Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        read = _jit_request(await request.body())
        if isinstance(read, str):
            return error(422, f"Invalid request.\n\n{read}")
        name, labels, group = read
        if group != 1:
            return error(404, "Not Found")
        runner = self._world.register(_scope(request), name, labels)
        if runner is None:
            return error(409, f"Already exists - A runner with the name *{name}* already exists.")
        blob = jit.encode(runner, "https://github.com", self._far_side)
        return ok({"runner": runner_body(runner), "encoded_jit_config": blob}, 201)

    async def list(self, request: Request) -> Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        name = request.query_params.get("name")
        found = [
            runner
            for runner in self._world.runners.values()
            if runner.scope == _scope(request) and name in {None, runner.name}
        ]
        shown = found[: _per_page(request)]
        return ok({"total_count": len(found), "runners": [runner_body(runner) for runner in shown]})

    async def get(self, request: Request) -> Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        runner = self._runner(request)
        return not_found() if runner is None else ok(runner_body(runner))

    async def delete(self, request: Request) -> Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        runner = self._runner(request)
        if runner is None:
            return not_found()
        if runner.busy:
            return error(422, f'Bad request - Runner "{runner.name}" is still running a job"')
        del self._world.runners[runner.id]
        return no_content()

    def _refusal(self, request: Request) -> Response | None:
        """GitHub's order: who are you, may you see this, may you do this."""
        installation = caller(self._world, request.headers.get("authorization", ""))
        if installation is None:
            return bad_credentials()
        if installation.suspended:
            return error(403, "This installation has been suspended")
        if not _sees(installation, request):
            return not_found()
        needed = "administration" if "repo" in request.path_params else "organization_self_hosted_runners"
        granted = installation.permissions.get(needed)
        enough = {"read", "write"} if request.method == "GET" else {"write"}
        return None if granted in enough else no_permission()

    def _runner(self, request: Request) -> Runner | None:
        runner = self._world.runners.get(int(request.path_params["runner_id"]))
        return runner if runner is not None and runner.scope == _scope(request) else None


def _sees(installation: Installation, request: Request) -> bool:
    owner, repo = request.path_params["owner"], request.path_params.get("repo")
    return (
        installation.account.lower() == owner.lower()
        if repo is None
        else installation.covers(f"{owner}/{repo}")
    )


def _scope(request: Request) -> str:
    owner, repo = request.path_params["owner"], request.path_params.get("repo")
    return f"orgs/{owner}" if repo is None else f"repos/{owner}/{repo}"


def _per_page(request: Request) -> int:
    given = request.query_params.get("per_page", "30")
    return min(int(given), 100) if given.isdigit() else 30


def _jit_request(body: bytes) -> tuple[str, tuple[str, ...], int] | str:
    """Name, labels and group; or what is wrong."""
    try:
        read: object = json.loads(body)
    except ValueError:
        return "Problems parsing JSON"
    if not isinstance(read, dict):
        return "Body should be a JSON object"
    given = cast("dict[str, object]", read)
    for key in ("name", "runner_group_id", "labels"):
        if key not in given:
            return f"object is missing required key: {key}"
    name, group, labels = given["name"], given["runner_group_id"], given["labels"]
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_LENGTH:
        return f"name must be 1 to {_NAME_LENGTH} characters"
    if not isinstance(group, int) or isinstance(group, bool):
        return "runner_group_id is not an integer"
    if (texts := _labels(labels)) is None:
        return f"labels must be 1 to {_MOST_LABELS} strings of at most {_LABEL_LENGTH} characters"
    return name, texts, group


def _labels(given: object) -> tuple[str, ...] | None:
    """As GitHub keeps them: in lower case."""
    if not isinstance(given, list):
        return None
    labels = cast("list[object]", given)
    texts = [label.lower() for label in labels if isinstance(label, str) and 0 < len(label) <= _LABEL_LENGTH]
    return tuple(texts) if 0 < len(texts) == len(labels) <= _MOST_LABELS else None
