"""Strangers' code: what it takes to run here, and that GitHub's handing a refused job to a trusted runner is not enough."""

from collections.abc import Generator

import pytest

from tests.acceptance.github import GitHub, fleet
from tests.acceptance.service import Service
from tests.acceptance.strangers import (
    CHASER,
    FORK,
    PRIVATE,
    PUBLIC,
    STEALING,
    demand,
    demand_when,
    logs,
    settings,
)

pytestmark = [pytest.mark.docker, pytest.mark.network_rules]


@pytest.fixture(scope="module")
def shared_service(
    small_image: str, github: GitHub, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Service]:
    github.order("settings", {"public": [PUBLIC]})
    with fleet(tmp_path_factory.mktemp("service"), github, settings()) as service:
        yield service


def test_a_push_runs_and_a_forks_run_waits_until_somebody_approves_it(
    github: GitHub, service: Service
) -> None:
    (own,) = github.run(PUBLIC, CHASER)
    one, two = github.run(PUBLIC, CHASER, CHASER, origin=FORK)
    assert github.ended(own)["conclusion"] == "success"
    held = demand_when(service, one, "held")
    assert "stranger/public" in held["why"]
    assert demand_when(service, two, "held")["job_id"] is None

    assert service.http.post(f"/v1/github/jobs/{one}/approve").json()["state"] in {"planned", "starting"}

    assert [github.ended(job_id)["conclusion"] for job_id in (one, two)] == ["success"] * 2


def test_a_run_is_asked_about_once_for_all_of_its_jobs(github: GitHub, service: Service) -> None:
    before = len(github.state["calls"])
    jobs = github.run(PUBLIC, *[CHASER] * 3, origin={**FORK, "actor": "mallory"})
    for job_id in jobs:
        demand_when(service, job_id, "refused")
    asked = [call for call in github.state["calls"][before:] if "/actions/runs/" in call]
    assert len(asked) == 1
    github.cancel(jobs[0])


def test_a_contributor_runs_in_a_profile_of_its_own(github: GitHub, service: Service) -> None:
    (job_id,) = github.run(PUBLIC, CHASER, origin={**FORK, "association": "CONTRIBUTOR", "branch": "patch-2"})
    assert github.ended(job_id)["conclusion"] == "success"
    assert demand(service, job_id)["profile"] == "strangers"
    assert "Profile: strangers" in github.log(job_id)


def test_a_refused_job_that_github_hands_to_a_trusted_runner_runs_no_step(
    github: GitHub, service: Service
) -> None:
    """GitHub goes by the labels, and gives a runner the oldest job that fits it."""
    (refused,) = github.run(PUBLIC, STEALING, origin={**FORK, "actor": "mallory"})
    demand_when(service, refused, "refused")
    (trusted,) = github.run(PUBLIC, CHASER)

    job = github.ended(refused)

    assert job["runner_name"].startswith("chaser-")
    assert (job["conclusion"], [step["conclusion"] for step in job["steps"]]) == ("failure", [None, None])
    assert "The rule 1 of github.rules refuses that." in github.annotation(refused)
    assert github.ended(trusted)["conclusion"] == "success", "it has got another runner"
    assert "STOLEN" not in logs(service)


def test_a_job_that_may_run_may_have_another_ones_runner(github: GitHub, service: Service) -> None:
    github.order("settings", {"newest_first": True})
    jobs = [job_id for _ in range(3) for job_id in github.run(PUBLIC, CHASER)]
    ended = [github.ended(job_id) for job_id in jobs]
    github.order("settings", {"newest_first": False})
    assert [job["conclusion"] for job in ended] == ["success"] * 3


def test_a_job_of_a_repository_that_the_profile_is_not_for_is_refused(
    github: GitHub, service: Service
) -> None:
    (job_id,) = github.run(PRIVATE, {"labels": ["chaser-own"]})
    assert "profiles.own.repositories" in demand_when(service, job_id, "refused")["why"]
    github.cancel(job_id)


def test_the_hook_is_roots_and_its_answers_are_nobody_elses(github: GitHub, service: Service) -> None:
    look = (
        "set -x; ls -ld /chaser /chaser/job-started.sh; id -u;"
        " ! echo x 2>/dev/null >>/chaser/job-started.sh; ! mkdir /chaser/answers; ! mv /chaser /tmp/c;"
        " ! rm -f /chaser/job-started.sh"
    )
    (job_id,) = github.run(PUBLIC, {**CHASER, "steps": [{"name": "look", "run": look}]})
    assert github.ended(job_id)["conclusion"] == "success"
    log = logs(service)
    assert "drwxr-xr-x" in log
    assert "-r--r--r--    1 root     root" in log
