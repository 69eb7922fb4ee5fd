"""The endpoints of workflow runs and their jobs, called with an installation's token.

https://docs.github.com/en/rest/actions/workflow-jobs https://docs.github.com/en/rest/actions/workflow-runs
"""

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from chaser.simulator import bodies
from chaser.simulator.access import refusal
from chaser.simulator.answers import error, not_found, ok, paged
from chaser.simulator.origin import Origin
from chaser.simulator.payload import Job, job_body
from chaser.simulator.workflows import Workflows
from chaser.simulator.world import World

Act = Callable[[Request], Awaitable[Response]]


class JobsApi:
    def __init__(self, world: World, workflows: Workflows) -> None:
        self._world = world
        self._workflows = workflows

    def routes(self) -> list[Route]:
        actions = "/repos/{owner}/{repo}/actions"
        run = f"{actions}/runs/{{run_id:int}}"
        return [
            Route(f"{actions}/jobs/{{job_id:int}}", self._may(self.job), methods=["GET"]),
            Route(f"{actions}/jobs/{{job_id:int}}/logs", self._may(self.log), methods=["GET"]),
            Route("/_logs/{job_id:int}", self.text, methods=["GET"]),
            Route(f"{actions}/runs", self._may(self.runs), methods=["GET"]),
            Route(run, self._may(self.run), methods=["GET"]),
            Route(f"{run}/attempts/{{attempt:int}}", self._may(self.attempt), methods=["GET"]),
            Route(f"{run}/jobs", self._may(self.jobs), methods=["GET"]),
            Route(f"{run}/attempts/{{attempt:int}}/jobs", self._may(self.jobs), methods=["GET"]),
            Route(f"{run}/cancel", self._may(self.cancel), methods=["POST"]),
            Route(f"{run}/force-cancel", self._may(self.cancel), methods=["POST"]),
            Route(f"{run}/rerun", self._may(self.rerun), methods=["POST"]),
            Route(f"{run}/rerun-failed-jobs", self._may(self.rerun), methods=["POST"]),
        ]

    async def job(self, request: Request) -> Response:
        found = self._world.jobs.get(int(request.path_params["job_id"]))
        return not_found() if found is None or not _here(request, found) else ok(job_body(found))

    async def log(self, request: Request) -> Response:
        """GitHub sends the caller on, to an address that needs no credentials."""
        job_id = int(request.path_params["job_id"])
        found = self._world.jobs.get(job_id)
        if found is None or not _here(request, found) or job_id not in self._world.logs:
            return not_found()
        return RedirectResponse(str(request.base_url.replace(path=f"/_logs/{job_id}")), 302)

    async def text(self, request: Request) -> Response:
        return PlainTextResponse(self._world.logs.get(int(request.path_params["job_id"]), ""))

    async def runs(self, request: Request) -> Response:
        """Newest first. `status` may also name a conclusion."""
        ids = dict.fromkeys(job.run_id for job in self._world.jobs.values() if _here(request, job))
        states = [self._body(self._workflows.current(run_id)) for run_id in reversed(list(ids))]
        wanted = request.query_params.get("status")
        found = [one for one in states if wanted in {None, one["status"], one["conclusion"]}]
        return paged(request, "workflow_runs", found)

    async def run(self, request: Request) -> Response:
        found = self._run(request)
        return ok(self._body(self._workflows.current(found[0].run_id))) if found else not_found()

    async def attempt(self, request: Request) -> Response:
        found = [job for job in self._run(request) if job.attempt == request.path_params["attempt"]]
        return ok(self._body(found)) if found else not_found()

    async def jobs(self, request: Request) -> Response:
        """Of the latest attempt, unless another or all are asked for."""
        found = self._run(request)
        if not found:
            return not_found()
        attempt = request.path_params.get("attempt")
        if attempt is not None:
            found = [job for job in found if job.attempt == attempt]
        elif request.query_params.get("filter") != "all":
            found = self._workflows.latest(found[0].run_id)
        return paged(request, "jobs", [job_body(job) for job in found])

    async def cancel(self, request: Request) -> Response:
        found = self._run(request)
        if not found:
            return not_found()
        if all(job.status == "completed" for job in found):
            return error(409, "Cannot cancel a workflow run that is completed")
        self._workflows.cancel(found[0].run_id, force=request.url.path.endswith("/force-cancel"))
        return ok({}, 202)

    async def rerun(self, request: Request) -> Response:
        found = self._run(request)
        if not found:
            return not_found()
        if any(job.status != "completed" for job in found):
            return error(403, "This workflow is already running")
        failed = request.url.path.endswith("-failed-jobs")
        self._workflows.rerun(found[0].run_id, only_failed=failed)
        return ok({}, 201)

    def _body(self, jobs: Sequence[Job]) -> dict[str, object]:
        return _run_body(jobs, self._world.origins.get(jobs[0].run_id, Origin()))

    def _may(self, act: Act) -> Act:
        async def acting(request: Request) -> Response:
            return refusal(self._world, request, "actions") or await act(request)

        return acting

    def _run(self, request: Request) -> list[Job]:
        jobs = self._workflows.of_run(int(request.path_params["run_id"]))
        return [job for job in jobs if _here(request, job)]


def _here(request: Request, job: Job) -> bool:
    return job.repository.lower() == f"{request.path_params['owner']}/{request.path_params['repo']}".lower()


def _run_body(jobs: Sequence[Job], origin: Origin) -> dict[str, object]:
    """https://docs.github.com/en/rest/actions/workflow-runs#get-a-workflow-run"""
    job = jobs[0]
    api = f"{bodies.API}/repos/{job.repository}/actions/runs/{job.run_id}"
    status, conclusion = _run_state(jobs)
    at = job.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    repository = bodies.repository(job.repository, job.kind, private=job.private)
    head = bodies.repository(origin.of(job.repository), job.kind, private=job.private)
    links = {f"{name}_url": f"{api}/{name}" for name in ("jobs", "logs", "artifacts", "cancel", "rerun")}
    return {
        "id": job.run_id,
        "name": "CI",
        "node_id": "WFR_kwLOAAAAAA",
        "head_branch": origin.branch,
        "head_sha": "0" * 40,
        "path": origin.workflow,
        "run_number": 1,
        "run_attempt": max(each.attempt for each in jobs),
        "event": origin.event,
        "display_title": "Try it",
        "status": status,
        "conclusion": conclusion,
        "workflow_id": 1,
        "url": api,
        "html_url": f"{bodies.WEB}/{job.repository}/actions/runs/{job.run_id}",
        "pull_requests": [],
        "created_at": at,
        "updated_at": at,
        "run_started_at": at,
        "check_suite_id": 1,
        "check_suite_node_id": "CS_kwDOAAAAAA",
        "check_suite_url": f"{bodies.API}/repos/{job.repository}/check-suites/1",
        "workflow_url": f"{bodies.API}/repos/{job.repository}/actions/workflows/1",
        **links,
        "previous_attempt_url": None,
        "head_commit": None,
        "actor": bodies.account(origin.actor, "User"),
        "triggering_actor": bodies.account(origin.triggering_actor or origin.actor, "User"),
        "repository": repository,
        "head_repository": None if origin.gone else head,
    }


def _run_state(jobs: Sequence[Job]) -> tuple[str, str | None]:
    """A run is what its jobs are: completed when all are, else what the busiest of them does."""
    states = {job.status for job in jobs}
    if states == {"completed"}:
        ends = {job.conclusion for job in jobs}
        worst = ("failure", "cancelled", "success", "skipped")
        return "completed", next((end for end in worst if end in ends), "failure")
    if "in_progress" in states or {"completed", "queued"} <= states:
        return "in_progress", None
    return ("queued" if "queued" in states else "waiting"), None
