"""Workflow jobs, from the simulated GitHub's first delivery to its last: each runs exactly once, and leaves nothing."""

from collections.abc import Generator, Mapping
from pathlib import Path

import pytest

from tests.acceptance.github import GitHub, fleet
from tests.acceptance.reckoning import Reckoning
from tests.acceptance.service import Service
from tests.acceptance.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.network_rules]

REPOSITORY = "octocat/example"
CHASER: Mapping[str, object] = {"labels": ["chaser"]}
PATIENT: Mapping[str, object] = {"labels": ["chaser"], "steps": [{"name": "wait", "run": "sleep 300"}]}


@pytest.fixture(scope="module")
def shared_service(
    small_image: str, github: GitHub, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Service]:
    with fleet(tmp_path_factory.mktemp("service"), github) as service:
        yield service


@pytest.fixture
def reckoning(github: GitHub, service: Service) -> Reckoning:
    return Reckoning(github, service)


@pytest.mark.parametrize("repository", [REPOSITORY, "octo-org/example"])
def test_a_job_is_run_on_a_runner_of_its_own_and_github_knows_it(
    github: GitHub, service: Service, reckoning: Reckoning, repository: str
) -> None:
    step = {"name": "look", "run": 'echo "this is $RUNNER_NAME"'}
    (job,) = reckoning.settle(*github.run(repository, {**CHASER, "steps": [step]}))
    assert (job["conclusion"], [step["conclusion"] for step in job["steps"]]) == ("success", ["success"])
    assert job["runner_name"].startswith("chaser-")
    assert "##[group]" in github.log(job["id"])
    assert "default" in github.log(job["id"]), "the profile"
    (log,) = reckoning.logs
    assert f"this is {job['runner_name']}" in log
    assert service.jobs()[0]["status"] == "succeeded"


@pytest.mark.parametrize(
    ("account", "kind"), [("hubber", "User"), ("workshop", "Organization")], ids=["person", "organization"]
)
def test_an_app_without_the_organizations_permission_has_its_runners_at_the_repository(
    github: GitHub, service: Service, reckoning: Reckoning, account: str, kind: str
) -> None:
    permissions = {"actions": "read", "administration": "write", "metadata": "read"}
    made = github.order("installations", {"account": account, "kind": kind, "permissions": permissions})
    before = len(github.calls)
    repository = f"{account}/example"
    (job,) = reckoning.settle(*github.run(repository, CHASER))
    assert job["conclusion"] == "success"
    called = github.calls[before:]
    assert f"POST /repos/{repository}/actions/runners/generate-jitconfig" in called
    assert f"POST /app/installations/{made['id']}/access_tokens" in called
    assert not any("/orgs/" in call for call in called)


def test_an_enterprise_server_is_served_by_its_base_address(
    github: GitHub, service: Service, tmp_path: Path
) -> None:
    with fleet(tmp_path, github, {"CHASER_GITHUB__API_URL": f"{github.url}/api/v3"}) as other:
        reckoning = Reckoning(github, other)
        before = len(github.calls)
        (job,) = reckoning.settle(*github.run("octo-org/example", CHASER))
        assert job["conclusion"] == "success"
        assert all(call.startswith("/api/v3|") for call in github.calls[before:])
    github.deliver_to(service.port)


def test_a_job_that_fails_has_been_served_all_the_same(
    github: GitHub, service: Service, reckoning: Reckoning
) -> None:
    (job,) = reckoning.settle(
        *github.run(REPOSITORY, {**CHASER, "steps": [{"name": "fail", "run": "exit 3"}]})
    )
    assert job["conclusion"] == "failure"
    assert service.jobs()[0]["status"] == "succeeded"


def test_a_doubled_and_disordered_delivery_still_makes_one_runner(
    github: GitHub, reckoning: Reckoning
) -> None:
    github.order("mishaps", {"kind": "double", "action": "queued"})
    github.order("mishaps", {"kind": "hold", "action": "in_progress"})
    (job,) = reckoning.settle(*github.run(REPOSITORY, CHASER))
    assert job["conclusion"] == "success"
    assert len(reckoning.logs) == 1


def test_a_mint_whose_answer_is_lost_leaves_no_registration(github: GitHub, reckoning: Reckoning) -> None:
    """It has happened, so it is found by its name and undone, and the next attempt mints anew."""
    github.order("faults", {"path_ends": "/generate-jitconfig", "status": 502, "after_effect": True})
    (job,) = reckoning.settle(*github.run(REPOSITORY, CHASER), calls=5)
    assert job["conclusion"] == "success"


def test_a_runner_that_is_killed_fails_its_job_when_github_hears_of_it_no_more(
    github: GitHub, service: Service, reckoning: Reckoning
) -> None:
    github.order("settings", {"patience": {"lease": 3}})
    (job_id,) = github.run(REPOSITORY, PATIENT)
    until(lambda: any("Running job" in log for log in reckoning.logs), "the runner to say that it has it")
    for container in service.containers(running=True):
        service.docker("kill", container)
    until(lambda: service.jobs()[0]["finished_at"], "the service to know")
    assert github.job(job_id)["status"] == "in_progress"
    assert github.ended(job_id)["conclusion"] == "failure"
    github.order("settings", {"patience": {}})
    reckoning.settle(job_id)
