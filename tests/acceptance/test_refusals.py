"""Refusals that people see where they look for them: in the job's log at GitHub."""

from collections.abc import Generator
from pathlib import Path

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
    switched = settings(CHASER_GITHUB__REFUSAL_RUNNERS="true")
    with fleet(tmp_path_factory.mktemp("service"), github, switched) as service:
        yield service


@pytest.mark.parametrize(
    ("repository", "label", "reason"),
    [
        (PRIVATE, "chaser-lagre", "The label 'chaser-lagre' is not understood."),
        (PRIVATE, "chaser-own", "add 'octocat/private' to profiles.own.repositories"),
    ],
)
def test_a_refused_job_fails_at_once_and_says_why_and_runs_no_step(
    github: GitHub, service: Service, repository: str, label: str, reason: str
) -> None:
    (job_id,) = github.run(repository, {**STEALING, "labels": [label]})
    job = github.ended(job_id)
    assert (job["conclusion"], [step["conclusion"] for step in job["steps"]]) == ("failure", [None, None])
    assert reason in github.annotation(job_id)
    assert reason in " ".join(github.log(job_id).split()), "in the log of its set-up too"
    assert (demand(service, job_id)["decision"], demand(service, job_id)["state"]) == ("refused", "done")
    assert "STOLEN" not in logs(service)


def test_a_job_that_the_rules_refuse_fails_at_once_too(github: GitHub, service: Service) -> None:
    (job_id,) = github.run(PUBLIC, STEALING, origin={**FORK, "actor": "mallory"})
    assert github.ended(job_id)["conclusion"] == "failure"
    assert "The rule 1 of github.rules refuses that." in github.annotation(job_id)
    assert "STOLEN" not in logs(service)


def test_a_job_that_may_run_and_gets_the_runner_of_a_refusal_runs(github: GitHub, service: Service) -> None:
    """GitHub gives the refusal's runner the newer job, and the refused one gets the other's."""
    github.order("settings", {"newest_first": True})
    (refused,) = github.run(PUBLIC, STEALING, origin={**FORK, "actor": "mallory"})
    (trusted,) = github.run(PUBLIC, CHASER)
    assert github.ended(trusted)["conclusion"] == "success"
    assert github.ended(refused)["conclusion"] == "failure"
    github.order("settings", {"newest_first": False})
    assert "STOLEN" not in logs(service)


def test_what_was_refused_runs_after_a_start_with_settings_that_allow_it(
    github: GitHub, service: Service, tmp_path: Path
) -> None:
    """Without being queued anew; and what is held and may run now too."""
    github.order("settings", {"public": [PUBLIC]})
    with fleet(tmp_path, github, {"CHASER_GITHUB__PUBLIC_REPOSITORIES": "nobody/nothing"}) as before:
        (job_id,) = github.run(PUBLIC, CHASER)
        assert "github.public_repositories" in demand_when(before, job_id, "refused")["why"]
    with fleet(tmp_path, github, settings()) as after:
        assert github.ended(job_id)["conclusion"] == "success"
        assert demand(after, job_id)["clearance"] == "passed"
    github.deliver_to(service.port)
