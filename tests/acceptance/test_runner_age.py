"""An image whose runner GitHub gives no jobs any more: none is started, and it is said in time and in words."""

import json
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.acceptance.github import GitHub, github_elsewhere
from tests.acceptance.machine import Docker, build_image
from tests.acceptance.service import PROGRAM, Service, installation
from tests.acceptance.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.network_rules]

OLD, IMAGE = "2.320.0", "chaser-runner-of-the-past:test"
PAST = "2026-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def old_image() -> Generator[str]:
    build_image("runner-simulated")
    recipe = f"FROM chaser-runner-simulated:latest\nLABEL chaser.runner.version={OLD}\n"
    docker = Docker()
    docker("build", "--quiet", "--tag", IMAGE, "-", stdin=recipe.encode())
    yield IMAGE
    docker("image", "rm", IMAGE)


@pytest.fixture
def github(tmp_path: Path) -> Generator[GitHub]:
    with github_elsewhere(tmp_path, "--organization", "octo-org") as github:
        yield github


def status(service: Service) -> list[dict[str, str]]:
    done = subprocess.run(
        [PROGRAM, "github", "status", "--json"], env=dict(service.environ), capture_output=True, check=False
    )
    return [each for each in json.loads(done.stdout)["checks"] if each["check"] == "runner version"]


def told(service: Service, job_id: int) -> str:
    return service.http.get(f"/v1/github/jobs/{job_id}/why").json().get("why", "")


def test_a_runner_out_of_service_is_not_registered_its_job_waits_and_says_why(
    github: GitHub, small_image: str, old_image: str, tmp_path: Path
) -> None:
    github.order("settings", {"deprecations": {OLD: [PAST, PAST]}})
    settings = {**github.settings, "CHASER_PROFILES__DEFAULT__RUNNER_IMAGE": old_image}
    with installation(tmp_path, settings) as service:
        github.deliver_to(service.port)
        (job_id,) = github.run("octo-org/example", {"labels": ["chaser"]})
        until(
            lambda: (why := told(service, job_id)) and OLD in why and "make image-runner" in why, "its words"
        )
        (waiting,) = service.jobs()
        assert (waiting["status"], waiting["waiting"]["because"]) == ("queued", "backoff")
        assert not any("generate-jitconfig" in call for call in github.calls)
        (found,) = status(service)
        assert (found["state"], OLD in found["message"]) == ("failed", True)
        github.order(f"runs/{github.job(job_id)['run_id']}/cancel")
        until(lambda: service.jobs()[0]["status"] == "cancelled", "the cancel to arrive")
