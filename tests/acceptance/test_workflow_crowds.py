"""Many workflow jobs at once: each is run once, on no more runners than are allowed, whoever's runner it is given."""

from collections.abc import Generator

import pytest

from tests.acceptance.github import GitHub, fleet
from tests.acceptance.machine import most_at_once
from tests.acceptance.reckoning import Reckoning
from tests.acceptance.service import Service

pytestmark = [pytest.mark.docker, pytest.mark.network_rules]

CAP = 6
PROFILES = ("default", "small", "large")
REPOSITORIES = ("octo-org/web", "octo-org/app", "octo-org/tool", "hubbers/site", "hubbers/docs")


@pytest.fixture(scope="module")
def shared_service(
    small_image: str, github: GitHub, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Service]:
    settings = {
        "CHASER_LIMITS__MAX_RUNNING": str(CAP),
        "CHASER_PROFILES__SMALL__LIMITS__MEMORY": "128m",
        "CHASER_PROFILES__LARGE__LIMITS__MEMORY": "512m",
    }
    with fleet(tmp_path_factory.mktemp("service"), github, settings) as service:
        yield service


def test_thirty_jobs_of_five_repositories_and_three_profiles_run_once_each_on_six_runners_at_most(
    github: GitHub, service: Service
) -> None:
    reckoning = Reckoning(github, service)
    with service.docker.lives(service.instance) as lives:
        asked = {
            job_id: profile
            for repository in REPOSITORIES
            for profile in PROFILES
            for job_id in github.run(repository, *[_asking_for(profile)] * 2)
        }
        ended = reckoning.settle(*asked)
    assert [job["conclusion"] for job in ended] == ["success"] * 30
    assert most_at_once(lives) == CAP
    for job_id, profile in asked.items():
        assert f"Profile: {profile}" in github.log(job_id)


def test_a_matrix_is_run_whole_though_its_runners_get_each_others_jobs(
    github: GitHub, service: Service
) -> None:
    reckoning = Reckoning(github, service)
    github.order("settings", {"newest_first": True})
    ended = reckoning.settle(*github.run("octocat/example", *[_asking_for("default")] * 4))
    github.order("settings", {"newest_first": False})
    assert [job["conclusion"] for job in ended] == ["success"] * 4
    assert len(reckoning.logs) == 4


def _asking_for(profile: str) -> dict[str, object]:
    label = "chaser" if profile == "default" else f"chaser-{profile}"
    return {"labels": ["self-hosted", label], "steps": [{"name": "work", "run": "sleep 0.5"}]}
