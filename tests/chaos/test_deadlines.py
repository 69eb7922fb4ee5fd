"""A deadline holds although nobody was there when it passed."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.machine import processes_with
from tests.acceptance.service import Service, installation, marker
from tests.acceptance.waiting import until
from tests.chaos.audit import expect_no_leftovers

pytestmark = [pytest.mark.docker, pytest.mark.slow]

PROMISED = 10.0
"""Within so many seconds of a service's start no sandbox is beyond its deadline."""


@pytest.fixture
def service(small_image: str, tmp_path: Path) -> Iterator[Service]:
    with installation(tmp_path, {}) as service:
        yield service


def a_deadline_passes(began: float, seconds: float) -> None:
    until(lambda: time.monotonic() > began + seconds, "the deadline to pass")


def test_what_ran_beyond_its_deadline_meanwhile_is_ended_soon_after_the_start(service: Service) -> None:
    word = marker()
    job = service.begin(f"echo printed; sleep 1000; : {word}", timeout_ms=5_000)
    began = time.monotonic()
    until(lambda: service.output(job), "its output to be stored")
    service.kill()
    a_deadline_passes(began, 6)
    assert processes_with(word), "nothing ends it while no service runs"
    started = time.monotonic()
    service.start()
    row = service.ended(job)
    until(lambda: not processes_with(word), "nothing of it to be left")
    assert time.monotonic() - started < PROMISED
    assert (row["status"], row["reason"]) == ("failed", "run_timeout")
    assert row["result"]["exit_code"] is None
    assert service.output(job) == b"printed\n"
    expect_no_leftovers(service)


def test_what_is_left_of_a_deadline_is_left_to_the_one_who_takes_over(service: Service) -> None:
    """It neither begins anew nor is cut short."""
    job = service.begin("while :; do sleep 1; done", timeout_ms=15_000)
    began = time.monotonic()
    service.kill()
    a_deadline_passes(began, 5)
    service.start()
    assert service.job(job)["status"] == "running"
    row = service.ended(job)
    assert row["reason"] == "run_timeout"
    assert 12 < time.monotonic() - began < 25
    expect_no_leftovers(service)


def test_a_steps_own_deadline_holds_and_the_steps_after_it_run(service: Service) -> None:
    """The service is killed while the first step runs; its time is over before the next service is there."""
    word = marker()
    steps = [
        {
            "name": "first",
            "command": f"echo one; sleep 1000; : {word}",
            "timeout_ms": 5_000,
            "continue_on_error": True,
        },
        {"name": "second", "command": "echo two"},
    ]
    job = service.queue("pipeline.run", {"steps": steps})
    service.job_when(job, "running")
    began = time.monotonic()
    until(lambda: service.output(job), "the first step's output")
    service.kill()
    a_deadline_passes(began, 6)
    assert processes_with(word)
    started = time.monotonic()
    service.start()
    row = service.ended(job)
    assert time.monotonic() - started < PROMISED
    told = [(step["status"], step["reason"]) for step in row["result"]["steps"]]
    assert told == [("failed", "run_timeout"), ("succeeded", None)]
    assert service.output(job) == b"one\ntwo\n"
    assert processes_with(word) == []
    expect_no_leftovers(service)


def test_a_cancel_that_was_asked_for_holds_through_a_power_cut(service: Service) -> None:
    """Asked for, committed, and the process killed before it could act: the next one does."""
    word = marker()
    job = service.begin(f"trap '' TERM; while :; do sleep 1; done; : {word}")
    assert service.http.post(f"/v1/jobs/{job}/cancel").status_code == 202
    service.kill()
    service.start()
    row = service.ended(job)
    assert (row["status"], row["reason"]) == ("cancelled", "cancelled_by_user")
    until(lambda: not processes_with(word), "nothing of it to be left")
    expect_no_leftovers(service)
