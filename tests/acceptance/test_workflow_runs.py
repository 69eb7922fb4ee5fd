"""Runs that people hold up, let go, and run again: each of their jobs is run once for each time that it was asked for."""

from collections.abc import Generator

import pytest

from tests.acceptance.github import GitHub, fleet
from tests.acceptance.reckoning import Reckoning
from tests.acceptance.service import Service
from tests.acceptance.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.network_rules]

REPOSITORY = "octo-org/example"
CHASER = {"labels": ["chaser"]}
FAILING = {"labels": ["chaser"], "steps": [{"name": "fail", "run": "exit 3"}]}
GATED = {"labels": ["chaser-single"], "environment": "production"}
HOLDING = {"labels": ["chaser-single"], "steps": [{"name": "hold", "run": "sleep 300"}]}
"""Keeps the profile's only runner busy until it is cancelled."""


@pytest.fixture(scope="module")
def shared_service(
    small_image: str, github: GitHub, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Service]:
    settings = {"CHASER_PROFILES__SINGLE__MAX_RUNNING": "1"}
    with fleet(tmp_path_factory.mktemp("service"), github, settings) as service:
        yield service


def state(service: Service, workflow_job_id: int) -> str:
    return service.http.get(f"/v1/github/jobs/{workflow_job_id}").json()["state"]


def test_a_job_that_waits_for_an_approval_has_a_runner_planned_before_and_after_and_none_meanwhile(
    github: GitHub, service: Service
) -> None:
    reckoning = Reckoning(github, service)
    (holding,) = github.run(REPOSITORY, HOLDING)
    github.job_when(holding, "in_progress")
    github.order("mishaps", {"kind": "hold", "action": "waiting"})
    (gated,) = github.run(REPOSITORY, GATED)
    run_id = github.job(gated)["run_id"]
    assert state(service, gated) == "planned"
    github.order("release")
    assert github.job(gated)["status"] == "waiting"
    assert state(service, gated) == "waiting"
    first = service.ended(service.jobs()[0]["id"])
    assert (first["reason"], first["attempt"]) == ("cancelled_by_github", 0)
    github.order(f"runs/{run_id}/approve")
    assert github.job(gated)["status"] == "queued"
    assert state(service, gated) == "planned"
    github.cancel(holding)
    _, job = reckoning.settle(holding, gated)
    assert job["conclusion"] == "success"


def test_a_job_that_is_held_back_while_its_runner_starts_is_run_on_a_later_one(
    github: GitHub, service: Service
) -> None:
    reckoning = Reckoning(github, service)
    github.order("mishaps", {"kind": "hold", "action": "waiting"})
    (gated,) = github.run(REPOSITORY, GATED)
    until(lambda: github.state["runners"], "a runner to be registered for it")
    github.order("release")
    service.ended(service.jobs()[0]["id"])
    until(lambda: not github.state["runners"], "it to be called off")
    github.order(f"runs/{github.job(gated)['run_id']}/approve")
    # Three for the runner that was called off: registered, found by its name, removed.
    (job,) = reckoning.settle(gated, calls=4)
    assert job["conclusion"] == "success"
    assert len(reckoning.logs) == 2


def test_a_run_is_run_again_first_what_failed_and_then_all_of_it(github: GitHub, service: Service) -> None:
    reckoning = Reckoning(github, service)
    good, bad = github.run(REPOSITORY, CHASER, FAILING)
    run_id = github.job(good)["run_id"]
    reckoning.settle(good, bad)
    failed = github.rerun(run_id, only_failed=True)
    reckoning.settle(good, bad, *failed)
    every = github.rerun(run_id)
    ended = reckoning.settle(good, bad, *failed, *every)
    assert len({job["id"] for job in ended}) == 5
    assert [(job["run_attempt"], job["conclusion"]) for job in ended] == [
        (1, "success"),
        (1, "failure"),
        (2, "failure"),
        (3, "success"),
        (3, "failure"),
    ]
