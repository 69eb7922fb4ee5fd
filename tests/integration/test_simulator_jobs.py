"""The life of workflow jobs in the simulated GitHub: what is sent, what the API says, what runners are told."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import datetime

import httpx
import pytest
from githubkit_schemas.v2026_03_10 import models  # pyright: ignore[reportMissingTypeStubs] # typed, but unmarked
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaser.simulator.app import GitHub, assemble
from chaser.simulator.credentials import installation_token
from chaser.simulator.origin import Origin
from chaser.simulator.payload import Blank, Job, Step, workflow_job
from chaser.simulator.serving import serving
from chaser.simulator.workflows import Plan
from chaser.simulator.world import Group, Hook, Patience, Runner
from tests.simulated import ORGANIZATION, PERSONAL, new_world, until

REPOSITORY = "octocat/example"
ACTIONS = f"/repos/{REPOSITORY}/actions"
CHASER = Plan(("chaser",))


@dataclass
class Side:
    """The simulated GitHub, and whoever receives its deliveries."""

    github: GitHub
    http: httpx.AsyncClient
    received: list[tuple[str, dict[str, object]]] = field(default_factory=list[tuple[str, dict[str, object]]])

    async def told(self) -> list[str]:
        """The actions of the workflow_job deliveries so far, in order."""
        await self.github.post.settled()
        return [str(body["action"]) for event, body in self.received if event == "workflow_job"]

    def runner(self, name: str, *labels: str, scope: str = f"repos/{REPOSITORY}") -> Runner:
        made = self.github.world.register(scope, name, labels or ("chaser",))
        assert made is not None
        return made

    async def far(self, runner: Runner, act: str, token: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or runner.token}"}
        return await self.http.post(f"/_runner/{runner.id}/{act}", headers=headers)

    async def take(self, runner: Runner) -> str:
        assert (await self.far(runner, "online")).status_code == 204
        return (await self.far(runner, "message")).text

    async def get(self, path: str) -> httpx.Response:
        token = installation_token(self.github.world, self.github.world.installations[PERSONAL])
        return await self.http.get(path, headers={"Authorization": f"token {token}"})

    async def post(self, path: str) -> httpx.Response:
        world = self.github.world
        world.installations[PERSONAL].permissions = {"actions": "write", "administration": "write"}
        token = installation_token(world, world.installations[PERSONAL])
        return await self.http.post(path, headers={"Authorization": f"token {token}"})


@pytest.fixture
async def side() -> AsyncGenerator[Side]:
    received: list[tuple[str, dict[str, object]]] = []

    async def receive(request: Request) -> Response:
        received.append((request.headers["x-github-event"], await request.json()))
        return Response(status_code=202)

    github = assemble(new_world())
    async with serving(Starlette(routes=[Route("/", receive, methods=["POST"])])) as url:
        github.world.hook = Hook(f"{url}/", "secret")
        transport = httpx.ASGITransport(github.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://simulated") as http:
            yield Side(github, http, received)
            await github.post.settled()
            github.workflows.close()


async def test_a_job_is_queued_then_in_progress_then_completed(side: Side) -> None:
    (job,) = side.github.workflows.start(REPOSITORY, [CHASER])
    runner = side.runner("one")
    assert (await side.take(runner)).startswith(f"job {job.id} ")
    assert side.github.world.runners[runner.id].busy
    await side.far(runner, "step?number=1&conclusion=success")
    assert (await side.far(runner, "complete?conclusion=success")).status_code == 204
    assert await side.told() == ["queued", "in_progress", "completed"]
    queued, running, ended = (body for _, body in side.received)
    models.WebhookWorkflowJobQueued.model_validate(queued)
    taken = models.WebhookWorkflowJobInProgress.model_validate(running).workflow_job
    assert (taken.runner_id, taken.runner_name, taken.runner_group_id) == (runner.id, "one", 1)
    done = models.WebhookWorkflowJobCompleted.model_validate(ended).workflow_job
    assert (done.conclusion, [step.conclusion for step in done.steps]) == ("success", ["success"])
    assert side.github.world.runners == {}, "a registration is good for one job"
    assert (await side.far(runner, "message")).status_code == 404


async def test_a_runner_without_its_token_is_nobody(side: Side) -> None:
    runner = side.runner("one")
    assert (await side.far(runner, "online", token="wrong")).status_code == 404
    assert runner.status == "offline"


async def test_a_runner_that_waits_is_told_when_there_is_a_job(side: Side) -> None:
    runner = side.runner("one")
    asked = asyncio.create_task(side.take(runner))
    await until(lambda: runner.status == "online")
    (job,) = side.github.workflows.start(REPOSITORY, [CHASER])
    assert (await asked).startswith(f"job {job.id} ")


async def test_two_runners_of_the_same_labels_may_get_each_others_jobs(side: Side) -> None:
    first, second = side.github.workflows.start(REPOSITORY, [CHASER, CHASER])
    for_first, for_second = side.runner("for-first"), side.runner("for-second")
    assert (await side.take(for_second)).startswith(f"job {first.id} ")
    assert (await side.take(for_first)).startswith(f"job {second.id} ")


async def test_a_job_that_no_runner_fits_stays_queued(side: Side) -> None:
    (job,) = side.github.workflows.start(REPOSITORY, [Plan(("chaser", "gpu"))])
    side.github.world.patience = Patience(poll=0)
    assert await side.take(side.runner("one")) == ""
    assert side.github.world.jobs[job.id].status == "queued"


async def test_an_organizations_group_decides_which_repositories_it_serves(side: Side) -> None:
    side.github.world.groups["octo-org"] = {3: Group(3, "few", frozenset({"octo-org/one"}))}
    runner = side.github.world.register("orgs/octo-org", "one", ("chaser",), 3)
    assert runner is not None
    side.github.workflows.start("octo-org/two", [CHASER])
    (job,) = side.github.workflows.start("octo-org/one", [CHASER])
    assert (await side.take(runner)).startswith(f"job {job.id} ")
    await side.told()
    body = side.received[-1][1]
    assert models.WebhookWorkflowJobInProgress.model_validate(body).workflow_job.runner_group_name == "few"
    assert models.WebhookWorkflowJobInProgress.model_validate(body).organization


@pytest.mark.parametrize("blank", [None, 0, ""])
async def test_a_job_cancelled_in_the_queue_is_completed_without_a_runner(side: Side, blank: Blank) -> None:
    side.github.world.blank = blank
    (job,) = side.github.workflows.start(REPOSITORY, [CHASER])
    side.github.workflows.cancel(job.run_id)
    assert await side.told() == ["queued", "completed"]
    told = side.received[-1][1]["workflow_job"]
    assert isinstance(told, dict)
    assert (told["conclusion"], told["runner_id"], told["runner_name"]) == ("cancelled", blank, blank)


async def test_a_running_jobs_cancel_is_told_to_its_runner_which_ends_it(side: Side) -> None:
    (job,) = side.github.workflows.start(REPOSITORY, [CHASER])
    runner = side.runner("one")
    await side.take(runner)
    asked = asyncio.create_task(side.far(runner, "message"))
    await asyncio.sleep(0)
    assert (await side.post(f"{ACTIONS}/runs/{job.run_id}/cancel")).status_code == 202
    assert (await asked).text == "cancel\n"
    assert side.github.world.jobs[job.id].status == "in_progress"
    await side.far(runner, "complete?conclusion=cancelled")
    assert side.github.world.jobs[job.id].conclusion == "cancelled"
    assert (await side.post(f"{ACTIONS}/runs/{job.run_id}/cancel")).status_code == 409


async def test_a_cancel_that_the_runner_does_not_obey_is_carried_out(side: Side) -> None:
    side.github.world.patience = Patience(cancel=0.01)
    (job,) = side.github.workflows.start(REPOSITORY, [CHASER])
    await side.take(side.runner("one"))
    side.github.workflows.cancel(job.run_id)
    await until(lambda: side.github.world.jobs[job.id].status == "completed")
    assert side.github.world.runners == {}


async def test_a_job_waits_for_the_approval_of_its_environment(side: Side) -> None:
    (job,) = side.github.workflows.start(REPOSITORY, [Plan(("chaser",), environment="production")])
    side.github.world.patience = Patience(poll=0)
    runner = side.runner("one")
    assert await side.take(runner) == ""
    assert side.github.world.jobs[job.id].status == "waiting"
    side.github.workflows.approve(job.run_id)
    assert (await side.far(runner, "message")).text.startswith(f"job {job.id} ")
    assert await side.told() == ["queued", "waiting", "queued", "in_progress"]
    models.WebhookWorkflowJobWaiting.model_validate(side.received[1][1])
    times: list[datetime] = []
    for _, body in side.received[:3]:
        deployment = models.WebhookWorkflowJobQueued.model_validate({**body, "action": "queued"}).deployment
        assert isinstance(deployment, models.Deployment)
        times.append(deployment.updated_at)
    assert times == sorted(times), "what orders them, when their order is lost"


async def test_a_rerun_has_new_jobs_of_the_next_attempt(side: Side) -> None:
    good, bad = side.github.workflows.start(REPOSITORY, [CHASER, CHASER])
    for name, conclusion in (("one", "success"), ("two", "failure")):
        runner = side.runner(name)
        await side.take(runner)
        assert (await side.post(f"{ACTIONS}/runs/{good.run_id}/rerun")).status_code == 403
        await side.far(runner, f"complete?conclusion={conclusion}")
    assert (await side.post(f"{ACTIONS}/runs/{good.run_id}/rerun-failed-jobs")).status_code == 201
    (again,) = side.github.workflows.latest(good.run_id)
    assert again.id not in {good.id, bad.id}
    assert (again.attempt, again.status) == (2, "queued")
    listed = (await side.get(f"{ACTIONS}/runs/{good.run_id}/jobs?filter=all")).json()
    assert [job["run_attempt"] for job in listed["jobs"]] == [1, 1, 2]
    side.github.workflows.cancel(good.run_id)
    assert (await side.post(f"{ACTIONS}/runs/{good.run_id}/rerun")).status_code == 201
    assert [job.attempt for job in side.github.workflows.latest(good.run_id)] == [3, 3], "all of the run's"
    assert (await side.get(f"{ACTIONS}/runs/{good.run_id}")).json()["run_attempt"] == 3


async def test_a_runner_that_is_heard_of_no_more_loses_its_job_when_the_lease_is_over(side: Side) -> None:
    side.github.world.patience = Patience(lease=0.02)
    (job,) = side.github.workflows.start(REPOSITORY, [CHASER])
    await side.take(side.runner("one"))
    await until(lambda: side.github.world.jobs[job.id].conclusion == "failure")
    assert await side.told() == ["queued", "in_progress", "completed"]
    assert side.github.world.runners == {}


async def test_a_job_that_is_not_picked_up_waits_again_and_its_runner_is_gone(side: Side) -> None:
    side.github.world.patience = Patience(pick_up=0.01)
    runner = side.runner("one")
    await side.far(runner, "online")
    (job,) = side.github.workflows.start(REPOSITORY, [CHASER])
    assert runner.busy
    await until(lambda: not side.github.world.runners)
    assert side.github.world.jobs[job.id].status == "queued"
    assert (await side.take(side.runner("two"))).startswith(f"job {job.id} ")


async def test_a_runner_that_does_not_ask_is_offline_and_keeps_its_registration(side: Side) -> None:
    side.github.world.patience = Patience(session=0.01)
    runner = side.runner("one")
    await side.far(runner, "online")
    await until(lambda: runner.status == "offline")
    assert side.github.world.runners == {runner.id: runner}
    (job,) = side.github.workflows.start(REPOSITORY, [CHASER])
    side.github.world.patience = Patience()
    assert (await side.far(runner, "message")).text.startswith(f"job {job.id} "), "it is back"


async def test_a_runner_whose_registration_is_forgotten_listens_on_and_is_told_nothing(side: Side) -> None:
    side.github.world.patience = Patience(poll=0.05)
    runner = side.runner("one")
    await side.far(runner, "online")
    assert (await side.http.post(f"/_sim/runners/{runner.id}/forget")).is_success

    assert (await side.get(f"/repos/{REPOSITORY}/actions/runners/{runner.id}")).status_code == 404
    side.github.workflows.start(REPOSITORY, [CHASER])
    assert (await side.far(runner, "message")).status_code == 204


async def test_a_runner_that_github_does_not_hear_is_offline_whatever_it_says(side: Side) -> None:
    side.github.world.patience = Patience(poll=0.05)
    runner = side.runner("one")
    await side.far(runner, "online")
    assert (await side.http.post(f"/_sim/runners/{runner.id}/mute")).is_success
    side.github.workflows.start(REPOSITORY, [CHASER])

    assert (await side.far(runner, "message")).status_code == 204
    (shown,) = (await side.get(f"/repos/{REPOSITORY}/actions/runners")).json()["runners"]
    assert (shown["status"], shown["busy"]) == ("offline", False)


async def test_a_far_side_that_is_closed_lets_no_runner_begin(side: Side) -> None:
    runner = side.runner("one")
    await side.http.post("/_sim/settings", json={"closed": True})
    assert (await side.far(runner, "online")).status_code == 503
    await side.http.post("/_sim/settings", json={"closed": False})
    assert (await side.far(runner, "online")).status_code == 204


async def test_lists_that_lag_do_not_show_a_new_runner_nor_that_one_has_begun(side: Side) -> None:
    """What is asked of it by its id is true all the same."""
    runners, runner = f"/repos/{REPOSITORY}/actions/runners", side.runner("one")
    await side.http.post("/_sim/settings", json={"lag": 3600})
    assert (await side.get(runners)).json()["runners"] == []
    assert (await side.get(f"{runners}/{runner.id}")).status_code == 200

    side.github.workflows.start(REPOSITORY, [CHASER])
    await side.far(runner, "message")
    runner.since -= 3600
    (shown,) = (await side.get(runners)).json()["runners"]
    assert shown["busy"] is False
    assert (await side.get(f"{runners}/{runner.id}")).json()["busy"] is True
    await side.http.post("/_sim/settings", json={"lag": 0})
    (shown,) = (await side.get(runners)).json()["runners"]
    assert shown["busy"] is True


async def test_who_hangs_up_is_given_no_job(side: Side) -> None:
    github = assemble(new_world())
    runner = github.world.register(f"repos/{REPOSITORY}", "one", ("chaser",))
    assert runner is not None
    headers = {"Authorization": f"Bearer {runner.token}"}
    async with serving(github.app, ending=github.workflows.close) as url, httpx.AsyncClient() as http:
        await http.post(f"{url}/_runner/{runner.id}/online", headers=headers)
        with pytest.raises(httpx.ReadTimeout):
            await http.post(f"{url}/_runner/{runner.id}/message", headers=headers, timeout=0.05)
        await asyncio.sleep(0.05)
        (job,) = github.workflows.start(REPOSITORY, [CHASER])
        await asyncio.sleep(0.05)
        assert github.world.jobs[job.id].status == "queued"


async def test_the_api_tells_of_jobs_and_runs_as_github_documents(side: Side) -> None:
    (job,) = side.github.workflows.start(REPOSITORY, [Plan(("chaser",), steps=(Step("a", "true"),))])
    told = await side.get(f"{ACTIONS}/jobs/{job.id}")
    found = models.Job.model_validate_json(told.content)
    assert (found.id, found.status, found.labels, found.runner_id) == (job.id, "queued", ["chaser"], None)
    listed = await side.get(f"{ACTIONS}/runs?status=queued")
    runs = models.ReposOwnerRepoActionsRunsGetResponse200.model_validate_json(listed.content)
    assert [run.id for run in runs.workflow_runs] == [job.run_id]
    assert (await side.get(f"{ACTIONS}/runs?status=completed")).json()["total_count"] == 0
    models.WorkflowRun.model_validate_json((await side.get(f"{ACTIONS}/runs/{job.run_id}")).content)
    jobs = await side.get(f"{ACTIONS}/runs/{job.run_id}/attempts/1/jobs")
    page = models.ReposOwnerRepoActionsRunsRunIdJobsGetResponse200.model_validate_json(jobs.content)
    assert [one.id for one in page.jobs] == [job.id]
    for path in ("jobs/9", "runs/9", "runs/9/jobs"):
        assert (await side.get(f"{ACTIONS}/{path}")).status_code == 404
    side.github.world.installations[PERSONAL].permissions = {"metadata": "read"}
    assert (await side.get(f"{ACTIONS}/jobs/{job.id}")).status_code == 403


async def test_a_run_says_what_started_it_and_from_where(side: Side) -> None:
    fork = Origin("pull_request", "stranger/example", actor="stranger", branch="patch-1")
    (job,) = side.github.workflows.start(REPOSITORY, [CHASER], fork)
    told = await side.get(f"{ACTIONS}/runs/{job.run_id}/attempts/1")
    run = models.WorkflowRun.model_validate_json(told.content)
    assert (run.event, run.head_branch, run.path) == ("pull_request", "patch-1", ".github/workflows/ci.yml")
    assert run.head_repository is not None
    assert (run.head_repository.full_name, run.pull_requests) == ("stranger/example", [])
    assert isinstance(run.actor, models.SimpleUser)
    assert run.actor.login == "stranger"
    assert (await side.get(f"{ACTIONS}/runs/{job.run_id}/attempts/2")).status_code == 404
    side.github.world.origins[job.run_id] = Origin("pull_request", gone=True)
    assert (await side.get(f"{ACTIONS}/runs/{job.run_id}")).json()["head_repository"] is None


async def test_pull_requests_are_listed_by_their_head_and_those_of_public_repositories_to_all(
    side: Side,
) -> None:
    pulls = f"/repos/{REPOSITORY}/pulls"
    fork = Origin(
        "pull_request", "stranger/example", actor="stranger", branch="patch-1", association="CONTRIBUTOR"
    )
    side.github.workflows.start(REPOSITORY, [CHASER], fork)
    side.github.workflows.start(REPOSITORY, [CHASER])
    assert (await side.get(pulls)).status_code == 403
    side.github.world.public.add(REPOSITORY)
    (found,) = (await side.get(f"{pulls}?head=stranger:patch-1")).json()
    pull = models.PullRequestSimple.model_validate(found)
    assert (pull.author_association, pull.head.ref) == ("CONTRIBUTOR", "patch-1")
    assert (await side.get(f"{pulls}?head=octocat:patch-1")).json() == []


async def test_what_the_runner_says_of_its_set_up_is_in_the_jobs_log(side: Side) -> None:
    (job,) = side.github.workflows.start(REPOSITORY, [CHASER])
    runner = side.runner("one")
    await side.take(runner)
    url, headers = f"/_runner/{runner.id}/log", {"Authorization": f"Bearer {runner.token}"}
    said = [{"group": "Chaser", "detail": "profile: default"}]
    assert (await side.get(f"{ACTIONS}/jobs/{job.id}/logs")).status_code == 404
    assert (await side.http.post(url, json="nonsense", headers=headers)).status_code == 400
    assert (await side.http.post(url, json=said, headers=headers)).status_code == 204
    sent_on = await side.get(f"/api/v3{ACTIONS}/jobs/{job.id}/logs")
    assert sent_on.status_code == 302
    log = (await side.http.get(sent_on.headers["location"])).text
    assert log == "##[group]Chaser\nprofile: default\n##[endgroup]\n"


async def test_jobs_of_a_repository_without_the_app_are_told_to_nobody(side: Side) -> None:
    side.github.workflows.start("strangers/example", [CHASER])
    side.github.workflows.start("octo-org/example", [CHASER])
    assert await side.told() == ["queued"]
    assert side.received[0][1]["installation"] == {"id": ORGANIZATION, "node_id": "MDIzOkludGVncmF0aW9u"}


async def test_an_app_that_has_not_subscribed_or_is_suspended_is_told_nothing(side: Side) -> None:
    side.github.world.app.events = ()
    side.github.workflows.start(REPOSITORY, [CHASER])
    side.github.world.app.events = ("workflow_job",)
    side.github.world.installations[PERSONAL].suspended = True
    side.github.workflows.start(REPOSITORY, [CHASER])
    assert await side.told() == []


async def test_the_repositories_of_an_installation_are_listed(side: Side) -> None:
    side.github.world.public.add("octocat/open")
    for name in (REPOSITORY, "octocat/open", "octo-org/example"):
        side.github.workflows.start(name, [CHASER])
    listed = await side.get("/installation/repositories")
    page = models.InstallationRepositoriesGetResponse200.model_validate_json(listed.content)
    assert [(one.full_name, one.private) for one in page.repositories] == [
        (REPOSITORY, True),
        ("octocat/open", False),
    ]
    one = models.Repository.model_validate_json((await side.get("/repos/octocat/open")).content)
    assert (one.visibility, one.owner and one.owner.login) == ("public", "octocat")
    assert (await side.get("/repos/octo-org/example")).status_code == 404
    assert (await side.http.get("/installation/repositories")).status_code == 401


def test_a_queued_event_may_have_another_status_than_its_action() -> None:
    payload = workflow_job("queued", Job(("chaser",), status="waiting"))
    told = payload["workflow_job"]
    assert isinstance(told, dict)
    assert (payload["action"], told["status"]) == ("queued", "waiting")
