"""Deliveries that do not arrive lose no job: the real program, the simulated GitHub's weather, and a runner that works."""

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.acceptance.github import SECRET, GitHub, fleet
from tests.acceptance.reckoning import Reckoning
from tests.acceptance.service import Service, free_port
from tests.acceptance.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.network_rules]

CHASER: Mapping[str, object] = {"labels": ["chaser"]}
SELDOM = {"POLL_MS": "3600000", "REDELIVER_MS": "3600000", "SWEEP_MS": "3600000"}


@contextmanager
def looking(place: Path, github: GitHub, **often: str) -> Generator[Service]:
    """A service that takes few looks at GitHub but those that are named."""
    settings = {f"CHASER_GITHUB__{name}": value for name, value in {**SELDOM, **often}.items()}
    with fleet(place, github, settings) as service:
        yield service
        service.expect_nothing_left()


def told(service: Service, job_id: int) -> Mapping[str, object]:
    """What is known of it, once its end is."""

    def found() -> Mapping[str, object] | None:
        answer = service.http.get(f"/v1/github/jobs/{job_id}")
        return answer.json() if answer.status_code == 200 and answer.json()["state"] == "done" else None

    return until(found, f"the end of {job_id} to be known")


def settled(service: Service) -> None:
    """The looks of the start are over: what comes now, they have not seen."""
    path = "/v1/github/installations"
    until(lambda: len(service.http.get(path).json()["data"]) == 3, "the installations to be known")
    until(
        lambda: (
            'chaser_github_looks_total{look="everything"} 3' in service.http.get("/metrics").text
            and 'chaser_github_looks_total{look="deliveries"} 1' in service.http.get("/metrics").text
        ),
        "everything to be looked at",
    )


def test_a_delivery_that_failed_is_made_again(small_image: str, github: GitHub, tmp_path: Path) -> None:
    """P1"""
    with looking(tmp_path, github, REDELIVER_MS="1000") as service:
        reckoning = Reckoning(github, service)
        for action in ("queued", "in_progress", "completed"):
            github.order("mishaps", {"kind": "lose", "action": action})
        (job_id,) = github.run("octo-org/example", CHASER)
        assert told(service, job_id)["learned"] == "redelivery"
        reckoning.settle(job_id)


def test_a_job_of_which_nothing_is_ever_told_is_run_and_booked(
    small_image: str, github: GitHub, tmp_path: Path
) -> None:
    """P1, where GitHub does not even list a delivery."""
    with looking(tmp_path, github, POLL_MS="1000", GRACE_MS="1000", SWEEP_MS="1000") as service:
        reckoning = Reckoning(github, service)
        for _ in range(6):
            github.order("mishaps", {"kind": "vanish"})
        jobs = github.run("octo-org/example", CHASER, CHASER)
        assert {told(service, job_id)["learned"] for job_id in jobs} == {"poll"}
        reckoning.settle(*jobs)


def test_what_came_while_the_service_was_down_is_found_at_its_start(
    small_image: str, github: GitHub, tmp_path: Path
) -> None:
    with looking(tmp_path, github, GRACE_MS="1000") as service:
        settled(service)
        service.kill()
        github.order("mishaps", {"kind": "vanish", "action": "queued"})
        (job_id,) = github.run("hubbers/new-one", CHASER)
        until(lambda: github.job(job_id)["status"] == "queued", "the job to be queued")
        old = time.monotonic() + 2  # before that, it is left to its delivery
        until(lambda: time.monotonic() > old, "its delivery to be overdue")
        service.start()
        reckoning = Reckoning(github, service)
        assert told(service, job_id)["learned"] == "start_up"
        reckoning.settle(job_id)


def test_without_an_open_port_jobs_run_all_the_same(small_image: str, github: GitHub, tmp_path: Path) -> None:
    with looking(tmp_path, github, INTAKE="deliveries", INTAKE_MS="500") as service:
        nowhere = f"http://{github.here}:{free_port()}/webhooks/github"
        github.order("settings", {"hook": {"url": nowhere, "secret": SECRET}})
        reckoning = Reckoning(github, service)
        jobs = github.run("octocat/example", CHASER, CHASER)
        assert {told(service, job_id)["learned"] for job_id in jobs} == {"webhook"}
        reckoning.settle(*jobs)
        assert httpx.post(f"{service.base_url}/webhooks/github").status_code == 404
