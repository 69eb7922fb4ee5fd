"""What becomes of runners that GitHub does not want, does not know, or does not give a job: with real containers."""

from collections.abc import Generator, Mapping

import pytest

from tests.acceptance.github import GitHub, github_elsewhere
from tests.acceptance.machine import build_image
from tests.acceptance.service import Service, installation
from tests.acceptance.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.network_rules]

REPOSITORY = "octocat/example"
CHASER: Mapping[str, object] = {"labels": ["chaser"]}
HELD: Mapping[str, object] = {"labels": ["chaser"], "environment": "production"}
ALONE = {"CHASER_LIMITS__MAX_RUNNING": "1"}


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory) -> Generator[GitHub]:
    build_image("runner-simulated")
    with github_elsewhere(tmp_path_factory.mktemp("github"), "--account", "octocat") as github:
        yield github


@pytest.fixture(scope="module")
def shared_service(
    small_image: str, github: GitHub, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Service]:
    with installation(tmp_path_factory.mktemp("service"), {**github.settings, **ALONE}) as service:
        github.deliver_to(service.port)
        yield service


def demand_when(service: Service, job_id: int, state: str) -> Mapping[str, object]:
    def look() -> Mapping[str, object] | None:
        answer = service.http.get(f"/v1/github/jobs/{job_id}")
        return answer.json() if answer.status_code == 200 and answer.json()["state"] == state else None

    return until(look, f"the demand of {job_id} to be {state}")


def deletions(github: GitHub, since: int) -> list[str]:
    return [call for call in github.calls[since:] if "DELETE" in call]


def test_a_runner_that_nobody_needs_any_more_loses_its_registration_and_then_its_sandbox(
    github: GitHub, service: Service
) -> None:
    """GitHub has not told yet that an approval is wanted, so that the runner is made and finds no job."""
    github.order("mishaps", {"kind": "hold", "action": "waiting"})
    before = len(github.calls)
    (job_id,) = github.run(REPOSITORY, HELD)
    job = demand_when(service, job_id, "online")
    assert len(service.containers(running=True)) == 1

    github.order("release")

    demand_when(service, job_id, "waiting")
    ended = service.ended(str(job["job_id"]))
    assert (ended["status"], ended["reason"]) == ("cancelled", "cancelled_by_github")
    service.expect_nothing_left()
    assert github.state["runners"] == []
    calls = [call for call in github.calls[before:] if "access_tokens" not in call]
    assert len(calls) == 2, "one to register, one to delete"

    github.order(f"runs/{github.job(job_id)['run_id']}/approve")
    assert github.ended(job_id)["conclusion"] == "success"


def test_a_runner_that_has_got_another_job_meanwhile_is_left_to_it(github: GitHub, service: Service) -> None:
    """That it was given one, GitHub has not told; that its own was cancelled, it has."""
    github.order("settings", {"newest_first": True})
    github.order("mishaps", {"kind": "vanish", "action": "in_progress"})
    before = len(github.calls)
    slow = {**CHASER, "steps": [{"name": "work", "run": "until [ -e /tmp/go ]; do sleep 0.1; done"}]}
    (first,) = github.run(REPOSITORY, CHASER)
    (second,) = github.run(REPOSITORY, slow)
    until(lambda: github.job(second)["status"] == "in_progress", "the newest job to be given the runner")

    github.order(f"runs/{github.job(first)['run_id']}/cancel")

    demand_when(service, first, "cancelled")
    until(lambda: deletions(github, before), "GitHub to be asked")
    (container,) = service.containers(running=True)
    service.docker("exec", container, "touch", "/tmp/go")
    assert github.ended(second)["conclusion"] == "success"
    demand_when(service, second, "done")
    until(lambda: all(job["finished_at"] for job in service.jobs()), "every job of ours to end")
    served = next(job for job in service.jobs() if job["status"] == "succeeded")
    assert served["reason"] is None
    github.order("settings", {"newest_first": False})
