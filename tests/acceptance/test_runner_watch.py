"""Runners looked after from outside, with real containers: whatever becomes of one, its job is served, and nothing is left.

The times are a hundredth of the usual ones.
"""

from collections.abc import Generator, Mapping
from typing import Any

import pytest

from tests.acceptance.github import GitHub, fleet
from tests.acceptance.service import Service
from tests.acceptance.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.network_rules]

REPOSITORY = "octocat/example"
CHASER: Mapping[str, object] = {"labels": ["chaser"]}
HELD: Mapping[str, object] = {"labels": ["chaser"], "environment": "production"}
IMPATIENT = {
    "CHASER_GITHUB__RUNNER_ONLINE_MS": "4000",
    "CHASER_GITHUB__RUNNER_JOB_MS": "12000",
    "CHASER_GITHUB__RUNNER_END_MS": "1000",
    "CHASER_GITHUB__RUNNER_SIGHT_MS": "1500",
    "CHASER_GITHUB__RUNNER_LISTS_MS": "500",
}


@pytest.fixture(scope="module")
def shared_service(
    small_image: str, github: GitHub, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Service]:
    with fleet(tmp_path_factory.mktemp("service"), github, IMPATIENT) as service:
        yield service


@pytest.fixture(autouse=True)
def calm(github: GitHub) -> Generator[None]:
    """As the world is usually."""
    yield
    github.order("settings", {"closed": False, "lag": 0, "patience": {}})


def demand(service: Service, job_id: int) -> Mapping[str, Any]:
    answer = service.http.get(f"/v1/github/jobs/{job_id}")
    return answer.json() if answer.status_code == 200 else {"state": None}


def demand_when(service: Service, job_id: int, state: str) -> Mapping[str, Any]:
    def look() -> Mapping[str, Any] | None:
        found = demand(service, job_id)
        return found if found["state"] == state else None

    return until(look, f"the demand of {job_id} to be {state}")


def idle(github: GitHub, service: Service) -> tuple[int, str, int]:
    """A job that GitHub holds back without having told, the job of its runner here, and the runner's id there."""
    github.order("mishaps", {"kind": "vanish", "action": "waiting"})
    (job_id,) = github.run(REPOSITORY, HELD)
    mine = demand_when(service, job_id, "online")["job_id"]
    (runner,) = github.state["runners"]
    return job_id, mine, runner["id"]


def approve(github: GitHub, job_id: int) -> None:
    github.order(f"runs/{github.job(job_id)['run_id']}/approve")


def served(github: GitHub, service: Service, job_id: int, *, runners: int) -> None:
    """It was run once, by the last of so many runners, and nothing is left."""
    assert github.ended(job_id)["conclusion"] == "success"
    done = demand_when(service, job_id, "done")
    assert done["runners"] == runners
    nothing_is_left(github, service)


def nothing_is_left(github: GitHub, service: Service) -> None:
    until(lambda: not github.state["runners"], "no registration to be left")
    until(lambda: all(job["finished_at"] for job in service.jobs()), "every job of ours to end")
    service.expect_nothing_left()
    shown = service.http.get("/metrics").text
    for ghosts in ("chaser_ghost_sandboxes", "chaser_ghost_registrations"):
        assert f"\n{ghosts} 0\n" in shown


def test_a_runner_that_does_not_come_online_in_time_is_replaced(github: GitHub, service: Service) -> None:
    """A sandbox that was started is no job that was served: https://github.com/github-aws-runners/terraform-aws-github-runner/issues/3535"""
    github.order("settings", {"closed": True})
    (job_id,) = github.run(REPOSITORY, CHASER)
    first = until(lambda: demand(service, job_id).get("job_id"), "a runner to be planned")
    assert service.ended(first)["reason"] == "runner_not_online"
    until(lambda: demand(service, job_id)["runners"] == 2, "another one to be planned")
    assert "did not listen for jobs in time" in demand(service, job_id)["why"]
    github.order("settings", {"closed": False})
    github.ended(job_id)
    assert demand_when(service, job_id, "done")["runners"] >= 2
    nothing_is_left(github, service)


def test_a_runner_that_listens_on_without_a_registration_is_ended_and_replaced(
    github: GitHub, service: Service
) -> None:
    """https://github.com/actions/runner/issues/4617"""
    job_id, mine, runner = idle(github, service)
    github.order(f"runners/{runner}/forget")
    approve(github, job_id)
    assert service.ended(mine)["reason"] == "runner_unknown"
    served(github, service, job_id, runners=2)


def test_a_runner_that_github_hears_no_more_is_ended_and_replaced(github: GitHub, service: Service) -> None:
    """https://github.com/actions/runner/issues/4076"""
    job_id, mine, runner = idle(github, service)
    github.order(f"runners/{runner}/mute")
    approve(github, job_id)
    assert service.ended(mine)["reason"] == "runner_offline"
    served(github, service, job_id, runners=2)


def test_a_runner_that_is_given_no_job_goes_and_github_is_asked_whether_one_is_needed(
    github: GitHub, service: Service
) -> None:
    job_id, mine, _ = idle(github, service)
    assert service.ended(mine)["reason"] == "runner_without_job"
    demand_when(service, job_id, "waiting")
    nothing_is_left(github, service)
    approve(github, job_id)
    served(github, service, job_id, runners=2)


def test_a_runner_that_dies_before_its_job_is_given_to_it_is_replaced(
    github: GitHub, service: Service
) -> None:
    """Nothing of the workflow has run: so this is run again, once."""
    github.order("settings", {"closed": True})
    (job_id,) = github.run(REPOSITORY, CHASER)
    (container,) = until(lambda: service.containers(running=True), "the runner to be started")
    until(lambda: demand(service, job_id)["state"] == "starting", "it to be registered")
    until(lambda: github.state["runners"], "it to be registered")
    until(lambda: service.job(str(demand(service, job_id)["job_id"]))["status"] == "running", "it to run")
    service.docker("kill", container)
    github.order("settings", {"closed": False})
    served(github, service, job_id, runners=2)
    (first, *_) = [job for job in service.jobs() if job["input"]["workflow_job_id"] == job_id][::-1]
    assert (first["status"], first["reason"]) == ("failed", "runner_killed")


def test_a_launch_that_github_refuses_is_made_again(github: GitHub, service: Service) -> None:
    github.order("faults", {"path_ends": "/generate-jitconfig", "status": 403, "body": {"message": "No."}})
    (job_id,) = github.run(REPOSITORY, CHASER)
    served(github, service, job_id, runners=2)


def test_a_runner_that_goes_on_after_its_job_has_ended_is_ended(github: GitHub, service: Service) -> None:
    (job_id,) = github.run(REPOSITORY, {**CHASER, "steps": [{"name": "wait", "run": "sleep 300"}]})
    github.job_when(job_id, "in_progress")
    mine = demand_when(service, job_id, "running")["job_id"]
    github.order(f"runs/{github.job(job_id)['run_id']}/force-cancel")
    assert service.ended(mine)["reason"] == "runner_idle"
    assert demand_when(service, job_id, "done")["conclusion"] == "cancelled"
    nothing_is_left(github, service)


def test_a_runner_in_the_midst_of_a_job_is_left_to_it_though_github_shows_it_as_idle_or_not_at_all(
    github: GitHub, service: Service
) -> None:
    """And has not told that it has the job. https://github.com/github-aws-runners/terraform-aws-github-runner/issues/5085"""
    github.order("settings", {"lag": 3600})
    github.order("mishaps", {"kind": "vanish", "action": "in_progress"})
    step = {"name": "work", "run": "sleep 15; echo it is done"}
    before = len(github.state["calls"])
    (job_id,) = github.run(REPOSITORY, {**CHASER, "steps": [step]})
    until(lambda: _deletions(github, before), "GitHub to be asked to delete the runner")
    assert github.job(job_id)["status"] == "in_progress"
    served(github, service, job_id, runners=1)


def test_a_registration_whose_mint_was_not_answered_and_that_lists_do_not_show_yet_is_swept(
    github: GitHub, service: Service
) -> None:
    """https://github.com/actions/runner/issues/1364"""
    github.order("settings", {"lag": 3})
    github.order("faults", {"path_ends": "/generate-jitconfig", "status": 502, "after_effect": True})
    (job_id,) = github.run(REPOSITORY, CHASER)
    assert github.ended(job_id)["conclusion"] == "success"
    assert len(github.state["runners"]) == 1, "it is not shown yet"
    nothing_is_left(github, service)
    assert "\nchaser_registrations_swept_total 0\n" not in service.http.get("/metrics").text


def _deletions(github: GitHub, since: int) -> list[str]:
    return [call for call in github.state["calls"][since:] if "DELETE" in call]
