"""The runner's far side, in place of the Actions service: a simulated runner says that it is there, takes a job, ends.

Ours alone, and only for runners that can reach the simulator; the real one is not documented.
"""

import hmac

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chaser.simulator.world import Runner, World


class FarSide:
    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        return [
            Route("/_runner/{runner_id:int}/online", self.online, methods=["POST"]),
            Route("/_runner/{runner_id:int}/job", self.job, methods=["POST"]),
            Route("/_runner/{runner_id:int}/complete", self.complete, methods=["POST"]),
        ]

    async def online(self, request: Request) -> Response:
        runner = self._runner(request)
        if runner is None:
            return _gone()
        runner.status = "online"
        return Response(status_code=204)

    async def job(self, request: Request) -> Response:
        """The job that the runner is given, at once; 204: none is waiting."""
        runner = self._runner(request)
        if runner is None:
            return _gone()
        job = self._world.assign(runner)
        return Response(status_code=204) if job is None else JSONResponse({"id": job.id, "name": job.name})

    async def complete(self, request: Request) -> Response:
        """The job has ended, and with it the registration: these runners serve one job."""
        runner = self._runner(request)
        if runner is None:
            return _gone()
        del self._world.runners[runner.id]
        return Response(status_code=204)

    def _runner(self, request: Request) -> Runner | None:
        runner = self._world.runners.get(int(request.path_params["runner_id"]))
        given = request.query_params.get("token", "")
        known = runner is not None and hmac.compare_digest(runner.token.encode(), given.encode())
        return runner if known else None


def _gone() -> Response:
    return JSONResponse({"message": "no such runner, or not its token"}, 404)
