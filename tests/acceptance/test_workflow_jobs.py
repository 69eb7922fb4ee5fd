"""Workflow jobs, from the simulated GitHub's first delivery to its last: each runs exactly once, and leaves nothing."""

from collections.abc import Generator, Mapping
from pathlib import Path

import pytest

from tests.acceptance.github import GitHub, github_elsewhere
from tests.acceptance.machine import build_image
from tests.acceptance.service import Service, installation
from tests.acceptance.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.network_rules]

REPOSITORY = "octocat/example"
CHASER: Mapping[str, object] = {"labels": ["chaser"]}
PATIENT: Mapping[str, object] = {
    "labels": ["chaser"],
    "steps": [
        {"name": "wait", "run": "sleep 300"},
        {"name": "tidy up", "run": "true", "always": True},
    ],
}


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory) -> Generator[GitHub]:
    build_image("runner-simulated")
    words = ("--account", "octocat", "--organization", "octo-org")
    with github_elsewhere(tmp_path_factory.mktemp("github"), *words) as github:
        yield github


@pytest.fixture(scope="module")
def shared_service(
    small_image: str, github: GitHub, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Service]:
    with installation(tmp_path_factory.mktemp("service"), github.settings) as service:
        github.deliver_to(service.port)
        yield service


def nothing_is_left(github: GitHub, service: Service) -> None:
    until(lambda: not github.state["runners"], "no registration to be left")
    until(lambda: all(job["finished_at"] for job in service.jobs()), "every job of ours to end")


@pytest.mark.parametrize("repository", [REPOSITORY, "octo-org/example"])
def test_a_job_is_run_on_a_runner_of_its_own_and_github_knows_it(
    github: GitHub, service: Service, repository: str
) -> None:
    step = {"name": "look", "run": 'echo "this is $RUNNER_NAME"'}
    (job_id,) = github.run(repository, {**CHASER, "steps": [step]})
    job = github.ended(job_id)
    assert (job["conclusion"], [step["conclusion"] for step in job["steps"]]) == ("success", ["success"])
    assert job["runner_name"].startswith("chaser-")
    assert "##[group]" in github.log(job_id)
    assert "default" in github.log(job_id), "the profile"
    nothing_is_left(github, service)
    logs = [service.output(each["id"]).decode() for each in service.jobs()]
    assert sum(f"this is {job['runner_name']}" in log for log in logs) == 1


def test_a_matrix_is_run_whole_though_its_runners_get_each_others_jobs(
    github: GitHub, service: Service
) -> None:
    github.order("settings", {"newest_first": True})
    before, calls = len(service.jobs()), len(github.state["calls"])
    ended = [github.ended(job_id) for job_id in github.run(REPOSITORY, *[CHASER] * 4)]
    assert [job["conclusion"] for job in ended] == ["success"] * 4
    assert len({job["runner_name"] for job in ended}) == 4
    nothing_is_left(github, service)
    assert len(service.jobs()) == before + 4
    assert len(github.state["calls"]) - calls <= 4 * 2, "at most two for each job, the token is there already"


def test_a_doubled_and_disordered_delivery_still_makes_one_runner(github: GitHub, service: Service) -> None:
    before = len(service.jobs())
    github.order("mishaps", {"kind": "double", "action": "queued"})
    github.order("mishaps", {"kind": "hold", "action": "in_progress"})
    (job_id,) = github.run(REPOSITORY, CHASER)
    assert github.ended(job_id)["conclusion"] == "success"
    nothing_is_left(github, service)
    assert len(service.jobs()) == before + 1


def test_a_mint_whose_answer_is_lost_leaves_no_registration(github: GitHub, service: Service) -> None:
    """It has happened, so it is found by its name and undone, and the next attempt mints anew."""
    github.order("faults", {"path_ends": "/generate-jitconfig", "status": 502, "after_effect": True})
    (job_id,) = github.run(REPOSITORY, CHASER)
    assert github.ended(job_id)["conclusion"] == "success"
    nothing_is_left(github, service)


def test_a_job_that_fails_has_been_served_all_the_same(github: GitHub, service: Service) -> None:
    (job_id,) = github.run(REPOSITORY, {**CHASER, "steps": [{"name": "fail", "run": "exit 3"}]})
    assert github.ended(job_id)["conclusion"] == "failure"
    nothing_is_left(github, service)
    assert service.jobs()[0]["status"] == "succeeded"


def test_a_job_that_is_cancelled_at_github_is_ended_by_its_runner(github: GitHub, service: Service) -> None:
    (job_id,) = github.run(REPOSITORY, PATIENT)
    running = until(lambda: _running(github, job_id), "the job to run")
    github.order(f"runs/{running['run_id']}/cancel")
    job = github.ended(job_id)
    wait, tidy_up = (step["conclusion"] for step in job["steps"])
    assert (job["conclusion"], tidy_up) == ("cancelled", "success")
    # skipped: the cancel came before it had begun
    assert wait in {"cancelled", "skipped"}
    nothing_is_left(github, service)


def test_a_job_that_is_cancelled_before_a_runner_has_it_ends_here_too(
    github: GitHub, service: Service
) -> None:
    """In the queue or while its runner starts: whichever it has come to by then."""
    (job_id,) = github.run(REPOSITORY, PATIENT)
    github.order(f"runs/{github.job(job_id)['run_id']}/cancel")
    assert github.ended(job_id)["conclusion"] == "cancelled"
    nothing_is_left(github, service)
    assert (service.jobs()[0]["status"], service.jobs()[0]["reason"]) == ("cancelled", "cancelled_by_github")


def test_a_job_whose_runner_is_cancelled_here_is_cancelled_at_github(
    github: GitHub, service: Service
) -> None:
    (job_id,) = github.run(REPOSITORY, PATIENT)
    until(lambda: _running(github, job_id), "the job to run")
    service.cancel(service.jobs()[0]["id"])
    assert github.ended(job_id)["conclusion"] == "cancelled"
    nothing_is_left(github, service)


def test_a_runner_that_is_killed_fails_its_job_when_github_hears_of_it_no_more(
    github: GitHub, service: Service
) -> None:
    github.order("settings", {"patience": {"lease": 3}})
    (job_id,) = github.run(REPOSITORY, PATIENT)
    until(lambda: _running(github, job_id), "the job to run")
    for container in service.containers(running=True):
        service.docker("kill", container)
    assert github.job(job_id)["status"] == "in_progress"
    assert github.ended(job_id)["conclusion"] == "failure"
    nothing_is_left(github, service)
    github.order("settings", {"patience": {}})


def test_an_enterprise_server_is_served_by_its_base_address(
    github: GitHub, service: Service, tmp_path: Path
) -> None:
    settings = {**github.settings, "CHASER_GITHUB__API_URL": f"{github.url}/api/v3"}
    with installation(tmp_path, settings) as other:
        github.deliver_to(other.port)
        before = len(github.state["calls"])
        (job_id,) = github.run("octo-org/example", CHASER)
        assert github.ended(job_id)["conclusion"] == "success"
        nothing_is_left(github, other)
        assert all(call.startswith("/api/v3|") for call in github.state["calls"][before:])
    github.deliver_to(service.port)


def _running(github: GitHub, job_id: int) -> Mapping[str, object] | None:
    job = github.job(job_id)
    return job if job["status"] == "in_progress" else None
