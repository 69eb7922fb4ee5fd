"""The endpoints of self-hosted runners, of a repository or an organization, called with an installation's token.

https://docs.github.com/en/rest/actions/self-hosted-runners
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaser.simulator import bodies, jit
from chaser.simulator.access import refusal
from chaser.simulator.answers import (
    error,
    group_body,
    no_content,
    not_found,
    ok,
    paged,
    repository_body,
    runner_body,
)
from chaser.simulator.reading import read_object, texts
from chaser.simulator.workflows import Workflows
from chaser.simulator.world import Group, Runner, World

_NAME_LENGTH = 64
_MOST_LABELS = 100
_LABEL_LENGTH = 256

Act = Callable[[Request], Awaitable[Response]]


class RunnersApi:
    def __init__(self, world: World, workflows: Workflows, far_side: str | None) -> None:
        """`far_side` is the simulator's address as its runners see it; none: they cannot reach it."""
        self._world = world
        self._workflows = workflows
        self._far_side = far_side

    def routes(self) -> list[Route]:
        groups = "/orgs/{owner}/actions/runner-groups"
        return [
            *(
                route
                for base in ("/repos/{owner}/{repo}/actions/runners", "/orgs/{owner}/actions/runners")
                for route in (
                    Route(f"{base}/generate-jitconfig", self._may(self.generate), methods=["POST"]),
                    Route(f"{base}/deprecations/{{version}}", self._may(self.deprecation), methods=["GET"]),
                    Route(base, self._may(self.list), methods=["GET"]),
                    Route(f"{base}/{{runner_id:int}}", self._may(self.get), methods=["GET"]),
                    Route(f"{base}/{{runner_id:int}}", self._may(self.delete), methods=["DELETE"]),
                )
            ),
            Route(groups, self._may(self.groups), methods=["GET"]),
            Route(f"{groups}/{{group_id:int}}", self._may(self.group), methods=["GET"]),
            Route(
                f"{groups}/{{group_id:int}}/repositories", self._may(self.group_repositories), methods=["GET"]
            ),
        ]

    async def generate(self, request: Request) -> Response:
        body = await read_object(request)
        if isinstance(body, str):
            return error(400, body)
        read = _jit_request(body)
        if isinstance(read, str):
            return error(422, f"Invalid request.\n\n{read}")
        name, labels, number = read
        group = self._groups(request).get(number)
        if group is None:
            return not_found()
        if group.hosted:
            return error(403, f"Runner group {number} can not be administered by this endpoint")
        if self._full(_scope(request), number):
            limit = self._world.group_size
            return error(422, f"Runner group {number} has reached max limit of {limit} runners")
        runner = self._world.register(_scope(request), name, labels, number)
        if runner is None:
            return error(409, f"Already exists - A runner with the name *{name}* already exists.")
        self._workflows.registered(runner)
        host = self._world.address or bodies.WEB
        blob = jit.encode(runner, host, self._far_side, self._workflows.likely(runner))
        return ok({"runner": runner_body(runner), "encoded_jit_config": blob}, 201)

    async def list(self, request: Request) -> Response:
        name = request.query_params.get("name")
        found = [
            {**runner_body(runner), "busy": self._world.seems_busy(runner)}
            for runner in self._world.runners.values()
            if runner.scope == _scope(request) and name in {None, runner.name} and self._world.shows(runner)
        ]
        return paged(request, "runners", found)

    async def get(self, request: Request) -> Response:
        runner = self._runner(request)
        return not_found() if runner is None else ok(runner_body(runner))

    async def delete(self, request: Request) -> Response:
        runner = self._runner(request)
        if runner is None:
            return not_found()
        if runner.busy:
            return error(422, f'Bad request - Runner "{runner.name}" is still running a job"')
        self._workflows.remove(runner)
        return no_content()

    async def deprecation(self, request: Request) -> Response:
        """https://github.blog/changelog/: when a version of the runner program is no longer served."""
        version = request.path_params["version"]
        if (found := self._world.deprecations.get(version)) is None:
            return not_found()
        runtime, registration = found
        return ok(
            {
                "runner_version": version,
                "runtime_deprecates_at": runtime,
                "registration_deprecates_at": registration,
            }
        )

    async def groups(self, request: Request) -> Response:
        owner = request.path_params["owner"]
        found = [group_body(group, owner) for group in self._groups(request).values()]
        return paged(request, "runner_groups", found)

    async def group(self, request: Request) -> Response:
        found = self._groups(request).get(int(request.path_params["group_id"]))
        return not_found() if found is None else ok(group_body(found, request.path_params["owner"]))

    async def group_repositories(self, request: Request) -> Response:
        """Those that were selected. Of a group for all of them nothing is documented: none was selected."""
        found = self._groups(request).get(int(request.path_params["group_id"]))
        if found is None:
            return not_found()
        names = sorted(found.repositories or ())
        return paged(request, "repositories", [repository_body(self._world, name) for name in names])

    def _may(self, act: Act) -> Act:
        async def acting(request: Request) -> Response:
            needed = "administration" if "repo" in request.path_params else "organization_self_hosted_runners"
            return refusal(self._world, request, needed) or await act(request)

        return acting

    def _groups(self, request: Request) -> Mapping[int, Group]:
        if "repo" in request.path_params:
            return {1: Group(1, "Default")}
        return self._world.groups_of(request.path_params["owner"])

    def _full(self, scope: str, group: int) -> bool:
        there = sum((one.scope, one.group) == (scope, group) for one in self._world.runners.values())
        return there >= self._world.group_size

    def _runner(self, request: Request) -> Runner | None:
        runner = self._world.runners.get(int(request.path_params["runner_id"]))
        return runner if runner is not None and runner.scope == _scope(request) else None


def _scope(request: Request) -> str:
    owner, repo = request.path_params["owner"], request.path_params.get("repo")
    return f"orgs/{owner}" if repo is None else f"repos/{owner}/{repo}"


def _jit_request(given: Mapping[str, object]) -> tuple[str, tuple[str, ...], int] | str:
    """Name, labels and group; or what is wrong."""
    for key in ("name", "runner_group_id", "labels"):
        if key not in given:
            return f"object is missing required key: {key}"
    name, group, labels = given["name"], given["runner_group_id"], texts(given["labels"])
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_LENGTH:
        return f"name must be 1 to {_NAME_LENGTH} characters"
    if not isinstance(group, int) or isinstance(group, bool):
        return "runner_group_id is not an integer"
    if labels is None or not 0 < len(labels) <= _MOST_LABELS:
        return f"labels must be 1 to {_MOST_LABELS} strings"
    if not all(0 < len(label) <= _LABEL_LENGTH for label in labels):
        return f"a label must be 1 to {_LABEL_LENGTH} characters"
    # GitHub keeps them in lower case.
    return name, tuple(label.lower() for label in labels), group
