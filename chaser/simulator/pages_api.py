"""Where the addresses for people lead that GitHub tells: the pages of the App, of its installations, of runs and jobs."""

import html

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaser.simulator.page import page
from chaser.simulator.payload import Job
from chaser.simulator.workflows import Workflows
from chaser.simulator.world import World


class PagesApi:
    def __init__(self, world: World, workflows: Workflows) -> None:
        self._world = world
        self._workflows = workflows

    def routes(self) -> list[Route]:
        run = "/{owner}/{repo}/actions/runs/{run_id:int}"
        settings = ("/settings", "/organizations/{owner}/settings")
        return [
            *(Route(f"{base}/apps/{{slug}}", self.app, methods=["GET"]) for base in ("", *settings)),
            *(
                Route(f"{base}/installations/{{installation_id:int}}", self.installation, methods=["GET"])
                for base in settings
            ),
            Route(run, self.run, methods=["GET"]),
            Route(f"{run}/job/{{job_id:int}}", self.job, methods=["GET"]),
        ]

    async def app(self, request: Request) -> Response:
        app = self._world.app
        if request.path_params["slug"] != app.slug:
            return _nothing()
        link = f'<p><a href="/apps/{html.escape(app.slug)}/installations/new">Install</a></p>'
        return page(html.escape(app.name), link)

    async def installation(self, request: Request) -> Response:
        found = self._world.installations.get(int(request.path_params["installation_id"]))
        if found is None:
            return _nothing()
        repositories = "all" if found.repositories is None else ", ".join(sorted(found.repositories))
        state = "suspended" if found.suspended else "installed"
        return page(
            f"{html.escape(self._world.app.name)}, {state} for {html.escape(found.account)}",
            f"<p>Repositories: {html.escape(repositories)}</p>",
        )

    async def run(self, request: Request) -> Response:
        jobs = self._jobs(request)
        return page(f"Run {jobs[0].run_id}", "".join(map(_line, jobs))) if jobs else _nothing()

    async def job(self, request: Request) -> Response:
        wanted = request.path_params["job_id"]
        found = next((job for job in self._jobs(request) if job.id == wanted), None)
        if found is None:
            return _nothing()
        log = html.escape(self._world.logs.get(found.id, ""))
        return page(html.escape(found.name), f"{_line(found)}<pre>{log}</pre>")

    def _jobs(self, request: Request) -> list[Job]:
        name = f"{request.path_params['owner']}/{request.path_params['repo']}".lower()
        found = self._workflows.of_run(request.path_params["run_id"])
        return [job for job in found if job.repository.lower() == name]


def _line(job: Job) -> str:
    return f"<p>{html.escape(job.name)}, attempt {job.attempt}: {job.conclusion or job.status}</p>"


def _nothing() -> Response:
    return page("404", "<p>This is not the web page you are looking for.</p>", 404)
