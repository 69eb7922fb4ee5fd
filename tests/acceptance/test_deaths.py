"""A runner that dies while it has a job: why is known here within seconds, while GitHub still shows the job as running."""

import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.acceptance.engine import own_engine
from tests.acceptance.github import GitHub, fleet, github_elsewhere
from tests.acceptance.machine import build_image
from tests.acceptance.service import Json, Service, installation, marker
from tests.acceptance.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.network_rules]

RUNNER = "chaser-runner-simulated:latest"
SECONDS = 10.0
"""Within which each cause is known. GitHub takes ten minutes."""
NEVER = {"patience": {"lease": 3600}}
"""How long GitHub misses a runner before it ends its job: longer than any of these tests."""
SETTINGS = {
    "CHASER_PROFILES__SHORT__IMAGE": "chaser-small:latest",
    "CHASER_PROFILES__SHORT__RUNNER_IMAGE": RUNNER,
    "CHASER_PROFILES__SHORT__NETWORK": "internet",
    "CHASER_PROFILES__SHORT__RUNNER_TIMEOUT_MS": "4000",
    "CHASER_PROFILES__SHORT__LIMITS__MEMORY": "256m",
    "CHASER_PROFILES__LITTLE__IMAGE": "chaser-small:latest",
    "CHASER_PROFILES__LITTLE__RUNNER_IMAGE": RUNNER,
    "CHASER_PROFILES__LITTLE__NETWORK": "internet",
    "CHASER_PROFILES__LITTLE__LIMITS__MEMORY": "64m",
    "CHASER_PROFILES__LITTLE__LIMITS__DISK": "16m",
}


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory) -> Generator[GitHub]:
    build_image("runner-simulated")
    with github_elsewhere(tmp_path_factory.mktemp("github"), "--account", "octocat") as github:
        github.order("settings", NEVER)
        yield github


@pytest.fixture(scope="module")
def shared_service(
    small_image: str, github: GitHub, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Service]:
    with fleet(tmp_path_factory.mktemp("service"), github, SETTINGS) as service:
        yield service


def begun(github: GitHub, label: str, script: str) -> int:
    """A workflow job that runs."""
    steps = [{"name": "step", "run": script}]
    (job_id,) = github.run("octocat/example", {"labels": [label], "steps": steps})
    github.job_when(job_id, "in_progress")
    return job_id


def story_when(service: Service, job_id: int, look: Callable[[Json], bool], patience: float) -> Json:
    def read() -> Json | None:
        story: Json = service.http.get(f"/v1/github/jobs/{job_id}").json()
        return story if look(story) else None

    return until(read, f"the story of {job_id} to go on", patience)


def death(service: Service, job_id: int, within: float = SECONDS) -> Json:
    """The story, once it knows of the runner's end."""
    return story_when(service, job_id, lambda story: story["runner_end"] is not None, within)


def test_a_kill_from_outside_is_told_by_its_signal(github: GitHub, service: Service) -> None:
    job_id = begun(github, "chaser", "sleep 300")
    for container in service.containers(running=True):
        service.docker("kill", container)

    story = death(service, job_id)

    assert (story["state"], story["runner_end"]["reason"]) == ("running", "runner_killed")
    assert github.job(job_id)["status"] == "in_progress"
    assert "SIGKILL ended the runner" in story["why"]
    assert "there no more (runner_killed)" in story["why"]
    assert service.job(story["job_id"])["reason"] == "runner_killed"
    ends = 'chaser_job_ends_total{kind="github.runner",status="failed",reason="runner_killed"} 1'
    assert ends in service.http.get("/metrics").text.splitlines()


def test_a_time_limit_is_told_as_one(github: GitHub, service: Service) -> None:
    job_id = begun(github, "chaser-short", "trap '' INT TERM; while :; do sleep 1; done")

    # its time, and the time that the runner is given to tell GitHub of the end
    story = death(service, job_id, within=4 + 35 + SECONDS)

    assert story["runner_end"]["reason"] == "run_timeout"


def test_a_disk_limit_is_told_as_one(github: GitHub, service: Service) -> None:
    job_id = begun(github, "chaser-little", "head -c 64m /dev/zero >/tmp/much; sleep 300")

    story = death(service, job_id, within=35 + 2 * SECONDS)

    assert story["runner_end"]["reason"] == "disk_full"
    assert "disk limit" in story["runner_end"]["message"]


def test_want_of_memory_is_told_whatever_the_kernel_killed(github: GitHub, service: Service) -> None:
    """A step alone, whose failure the runner tells GitHub as status 137; or the runner with it."""
    eat = "sleep 1; x=$(head -c 256m /dev/zero | tr '\\0' x); echo ${#x}"
    job_id = begun(github, "chaser-little", eat)

    story = death(service, job_id)

    end = story["runner_end"]
    assert (end["status"], end["reason"]) in {("succeeded", None), ("failed", "out_of_memory")}
    assert "memory limit" in end["message"]
    assert "memory limit" in story["why"]


def test_a_job_that_was_served_has_every_moment_of_its_way(github: GitHub, service: Service) -> None:
    (job_id,) = github.run("octocat/example", {"labels": ["chaser"]})
    github.ended(job_id)

    def whole(story: Json) -> bool:
        return story["state"] == "done" and story["runner_end"] is not None

    timeline = story_when(service, job_id, whole, 60)["timeline"]

    assert [name for name, at in timeline.items() if at is None] == []
    ours = [
        "delivered",
        "stored",
        "planned",
        "started",
        "prepared",
        "minted",
        "handed_over",
        "online",
        "gone",
    ]
    assert [timeline[name] for name in ours] == sorted(timeline[name] for name in ours)
    found = service.http.get("/v1/github/latency").json()["whole"]
    assert {each["span"] for each in found["spans"]} == {
        *("delivery", "storing", "admission", "queue", "sandbox", "registration", "runner", "assignment"),
        *("run", "wait"),
    }


def test_a_lost_engine_is_told_as_soon_as_it_is_back(
    small_image: str, github: GitHub, tmp_path: Path
) -> None:
    """Its runner has no network here and never comes online; what it would do there does not matter."""
    with own_engine(tmp_path, marker()) as engine:
        engine.load(RUNNER)
        place = tmp_path / "service"
        place.mkdir()
        settings = {**github.settings, "CHASER_PROFILES__DEFAULT__NETWORK": "none"}
        with installation(place, settings, engine.docker) as service:
            github.deliver_to(service.port)
            (job_id,) = github.run("octocat/example", {"labels": ["chaser"]})
            (job,) = until(service.jobs, "the runner to be owed")
            service.job_when(job["id"], "running")
            engine.kill()
            engine.start()
            back = time.monotonic()
            ended = service.ended(job["id"])

            assert time.monotonic() - back < SECONDS
            assert ended["reason"] == "host_lost"
            assert "went away under the runner" in ended["message"]
            github.cancel(job_id)
