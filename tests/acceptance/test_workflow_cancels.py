"""Workflow jobs that are cancelled, at GitHub and here, at each point of their way: nothing of them goes on, or is left."""

from collections.abc import Generator

import pytest

from tests.acceptance.github import GitHub, fleet
from tests.acceptance.reckoning import Reckoning
from tests.acceptance.service import Service
from tests.acceptance.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.network_rules]

REPOSITORY = "octocat/example"
PATIENT = {
    "labels": ["chaser-single"],
    "steps": [
        {"name": "wait", "run": "echo it has begun; sleep 300"},
        {"name": "tidy up", "run": "true", "always": True},
    ],
}
"""In a profile that runs one at a time."""


@pytest.fixture(scope="module")
def shared_service(
    small_image: str, github: GitHub, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Service]:
    settings = {"CHASER_PROFILES__SINGLE__MAX_RUNNING": "1"}
    with fleet(tmp_path_factory.mktemp("service"), github, settings) as service:
        yield service


@pytest.fixture
def reckoning(github: GitHub, service: Service) -> Reckoning:
    return Reckoning(github, service)


def begun(github: GitHub, reckoning: Reckoning) -> int:
    """A job whose first step is at work."""
    (job_id,) = github.run(REPOSITORY, PATIENT)
    until(lambda: any("it has begun" in log for log in reckoning.logs), "the job's step to begin")
    return job_id


def test_a_job_that_is_cancelled_in_the_queue_gets_no_runner_and_costs_no_call(
    github: GitHub, service: Service, reckoning: Reckoning
) -> None:
    before_it = begun(github, reckoning)
    calls = len(github.calls)
    (job_id,) = github.run(REPOSITORY, PATIENT)
    github.cancel(job_id)
    job = service.ended(service.jobs()[0]["id"])
    assert (job["status"], job["reason"], job["attempt"]) == ("cancelled", "cancelled_by_github", 0)
    assert len(github.calls) == calls
    github.cancel(before_it)
    reckoning.settle(before_it, unserved=[job_id])


def test_a_job_that_is_cancelled_while_its_runner_starts_leaves_no_registration(
    github: GitHub, service: Service, reckoning: Reckoning
) -> None:
    """GitHub has registered the runner, and has not said so yet, when the job is cancelled: the answer is waited for."""
    github.order("faults", {"path_ends": "/generate-jitconfig", "status": None, "delay": 1})
    (job_id,) = github.run(REPOSITORY, PATIENT)
    until(lambda: github.state["runners"], "the runner to be registered")
    assert service.jobs()[0]["status"] == "starting"
    github.cancel(job_id)
    reckoning.settle(unserved=[job_id])
    job = service.jobs()[0]
    assert (job["status"], job["reason"], job["attempt"]) == ("cancelled", "cancelled_by_github", 1)
    assert reckoning.logs == [""]


def test_a_job_that_is_cancelled_while_it_runs_ends_its_step_and_still_tidies_up(
    github: GitHub, service: Service, reckoning: Reckoning
) -> None:
    job_id = begun(github, reckoning)
    github.cancel(job_id)
    (job,) = reckoning.settle(job_id)
    assert job["conclusion"] == "cancelled"
    assert [step["conclusion"] for step in job["steps"]] == ["cancelled", "success"]
    assert service.jobs()[0]["status"] == "succeeded", "the runner has served it"


def test_a_job_whose_runner_is_cancelled_here_is_cancelled_at_github(
    github: GitHub, service: Service, reckoning: Reckoning
) -> None:
    job_id = begun(github, reckoning)
    service.cancel(service.jobs()[0]["id"])
    (job,) = reckoning.settle(job_id)
    assert job["conclusion"] == "cancelled"
