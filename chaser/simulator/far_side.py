"""The runner's far side, in place of the Actions service: a simulated runner says that it is there, takes a job, ends.

Ours alone, and only for runners that can reach the simulator; the real one is not documented. Answers are a job's lines
(`message`), or `cancel`, or nothing.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from chaser.simulator.message import lines
from chaser.simulator.payload import Job
from chaser.simulator.workflows import Workflows
from chaser.simulator.world import Runner, World

_SETUP = TypeAdapter(list[dict[Literal["group", "detail"], str]])
"""https://github.com/actions/runner/blob/main/src/Runner.Worker/JobExtension.cs"""
_NEVER = "9999-01-01T00:00:00Z"
_CONCLUSIONS = {"success", "failure", "cancelled", "skipped"}


class FarSide:
    def __init__(self, world: World, workflows: Workflows) -> None:
        self._world = world
        self._workflows = workflows

    def routes(self) -> list[Route]:
        base = "/_runner/{runner_id:int}"
        acts = {
            "online": self.online,
            "message": self.message,
            "log": self.log,
            "step": self.step,
            "complete": self.complete,
            "offline": self.offline,
        }
        return [Route(f"{base}/{name}", self._known(act), methods=["POST"]) for name, act in acts.items()]

    async def online(self, request: Request, runner: Runner) -> Response:
        if self._world.closed:
            return PlainTextResponse("come back later\n", 503)
        version = request.query_params.get("version", "")
        ends, _ = self._world.deprecations.get(version, (_NEVER, _NEVER))
        if datetime.fromisoformat(ends) <= datetime.now(UTC):
            return PlainTextResponse(f"version {version} is no longer served\n", 403)
        self._workflows.online(runner)
        return Response(status_code=204)

    async def message(self, request: Request, runner: Runner) -> Response:
        """A job at most once, and its cancel as often as it is asked for."""
        before = runner.job
        told = await _while_connected(request, self._workflows.message(runner))
        if told is not None:
            return PlainTextResponse(lines(told) if before is None else "cancel\n")
        known = runner.id in self._world.runners or runner.id in self._world.forgotten
        return Response(status_code=204) if known else _gone()

    async def log(self, request: Request, runner: Runner) -> Response:
        """What the first step, "Set up job", shows of the runner's file `.setup_info`: groups of lines."""
        try:
            groups = _SETUP.validate_json(await request.body())
        except ValidationError:
            return Response(status_code=400)
        if runner.job is not None:
            self._world.logs[runner.job] = "".join(
                f"##[group]{each['group']}\n{each['detail']}\n##[endgroup]\n" for each in groups
            )
        return Response(status_code=204)

    async def step(self, request: Request, runner: Runner) -> Response:
        place, conclusion = request.query_params.get("number", ""), _conclusion(request)
        if not place.isdecimal() or conclusion is None:
            return Response(status_code=400)
        self._workflows.report(runner, int(place), conclusion)
        return Response(status_code=204)

    async def complete(self, request: Request, runner: Runner) -> Response:
        conclusion = _conclusion(request)
        if conclusion is None:
            return Response(status_code=400)
        words = (await request.body()).decode(errors="replace")
        if runner.job is not None and words:
            self._world.annotations[runner.job] = words
        self._workflows.finish(runner, conclusion)
        return Response(status_code=204)

    async def offline(self, request: Request, runner: Runner) -> Response:
        self._workflows.offline(runner)
        return Response(status_code=204)

    def _known(
        self, act: Callable[[Request, Runner], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def acting(request: Request) -> Response:
            number = int(request.path_params["runner_id"])
            runner = self._world.runners.get(number) or self._world.forgotten.get(number)
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if runner is None or not hmac.compare_digest(runner.token.encode(), given.encode()):
                return _gone()
            return await act(request, runner)

        return acting


async def _while_connected(request: Request, work: Coroutine[object, object, Job | None]) -> Job | None:
    """Who has hung up is told nothing: a runner that was killed takes no job."""
    asked, gone = asyncio.create_task(work), asyncio.create_task(_hung_up(request))
    await asyncio.wait({asked, gone}, return_when=asyncio.FIRST_COMPLETED)
    for task in (asked, gone):
        task.cancel()
    told, _ = await asyncio.gather(asked, gone, return_exceptions=True)
    if isinstance(told, Exception):
        raise told
    return told if isinstance(told, Job) else None


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _conclusion(request: Request) -> str | None:
    given = request.query_params.get("conclusion")
    return given if given in _CONCLUSIONS else None


def _gone() -> Response:
    return PlainTextResponse("no such runner, or not its token\n", 404)
