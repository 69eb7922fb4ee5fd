"""The machine's wall clock jumps an hour while jobs run and wait: what is measured in durations does not notice.

The program is the real one, under libfaketime, with the monotonic clock left alone.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.service import Service, installation
from tests.acceptance.waiting import until
from tests.chaos.form import LONG

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]

JUMPS = [pytest.param(3600, id="forward"), pytest.param(-3600, id="back")]
A_WHILE = 15.0
"""Seconds in which every loop of the service (heartbeat, reaper) has looked at the clock."""
LONG_WAIT = 4 * 3_600_000
"""A `queue_timeout_ms`: how long a job may wait is a moment on the wall clock, once it is written."""
UNTIL_TOLD = "until [ -e /tmp/go ]; do sleep 0.1; done"

Jump = Callable[[int], None]


@pytest.fixture(scope="session")
def libfaketime() -> Path:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    assert found, "There is no libfaketime: run `make setup`."
    return found[0]


@pytest.fixture
def offset(tmp_path: Path) -> Path:
    file = tmp_path / "offset"
    file.write_text("+0")
    return file


@pytest.fixture
def service(small_image: str, tmp_path: Path, libfaketime: Path, offset: Path) -> Iterator[Service]:
    settings = {
        "CHASER_LIMITS__MAX_RUNNING": "2",
        "LD_PRELOAD": str(libfaketime),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_RESET": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    with installation(tmp_path, settings) as service:
        yield service
        service.expect_nothing_left()
        assert "Taking over" not in service.log
        assert '"level": "error"' not in service.log


@pytest.fixture
def jump(service: Service, offset: Path) -> Jump:
    """Set the service's wall clock so many seconds off the machine's."""

    def to(seconds: int) -> None:
        # whole at every moment: it is read at each look at the clock
        draft = offset.with_suffix(".new")
        draft.write_text(f"{seconds:+d}")
        draft.replace(offset)

    return to


def a_while_passes() -> None:
    end = time.monotonic() + A_WHILE
    until(lambda: time.monotonic() > end, "a while to pass")


def tell_to_end(service: Service, job: str) -> None:
    session = service.job(job)["session_id"]
    service.docker("exec", f"chaser-{session.removeprefix('sbx_')}", "touch", "/tmp/go")


@LONG
@pytest.mark.parametrize("seconds", JUMPS)
def test_the_jump_is_seen(service: Service, jump: Jump, seconds: int) -> None:
    """Else the others would show nothing."""
    before = service.run("true")
    jump(seconds)
    after = service.run("true")
    passed = datetime.fromisoformat(after["created_at"]) - datetime.fromisoformat(before["created_at"])
    assert timedelta(seconds=seconds) <= passed < timedelta(seconds=seconds + 60)


@pytest.mark.parametrize("seconds", JUMPS)
def test_what_runs_keeps_its_deadline_and_its_worker(service: Service, jump: Jump, seconds: int) -> None:
    job = service.begin(f"echo begun; {UNTIL_TOLD}; echo told", timeout_ms=120_000)
    jump(seconds)
    a_while_passes()
    assert service.job(job)["status"] == "running"
    tell_to_end(service, job)
    row = service.ended(job)
    assert (row["status"], row["attempt"]) == ("succeeded", 1)
    assert service.output(job) == b"begun\ntold\n"
    assert [event["to_status"] for event in service.events(job)] == [
        "queued",
        "starting",
        "running",
        "succeeded",
    ]


@LONG
@pytest.mark.parametrize("seconds", JUMPS)
def test_a_deadline_passes_after_as_long_as_it_would_have(service: Service, jump: Jump, seconds: int) -> None:
    job = service.begin("while :; do sleep 1; done", timeout_ms=8_000)
    began = time.monotonic()
    jump(seconds)
    row = service.ended(job)
    assert row["reason"] == "run_timeout"
    assert time.monotonic() - began > 6


@pytest.mark.parametrize("seconds", JUMPS)
def test_what_waits_for_a_slot_or_its_workspace_runs(service: Service, jump: Jump, seconds: int) -> None:
    holding = [service.begin(UNTIL_TOLD, workspace=f"w{number}") for number in range(2)]
    waiting = [
        service.queue("sandbox.exec", {"command": "echo ran", "workspace": "w0"}, queue_timeout_ms=LONG_WAIT),
        service.queue("sandbox.exec", {"command": "echo ran"}, queue_timeout_ms=LONG_WAIT),
    ]
    jump(seconds)
    waiting.append(service.queue("sandbox.exec", {"command": "echo ran"}))
    for job in holding:
        tell_to_end(service, job)
    for job in waiting:
        assert service.ended(job)["result"]["output"] == "ran\n"


@pytest.mark.parametrize("seconds", JUMPS)
def test_a_pause_before_a_next_run_lasts_no_longer(service: Service, jump: Jump, seconds: int) -> None:
    command = "[ -e tried ] || { touch tried; exit 1; }"
    retry = {"on": ["nonzero_exit"], "max": 1, "backoff_ms": 10_000, "backoff_max_ms": 10_000}
    job = service.queue(
        "sandbox.exec",
        {"command": command, "workspace": "kept"},
        retry=retry,
        queue_timeout_ms=LONG_WAIT,
    )
    until(lambda: service.job(job)["attempt"] == 1 and service.job(job)["status"] == "queued", "its pause")
    jump(seconds)
    assert service.ended(job)["status"] == "succeeded"


@LONG
def test_what_is_to_run_at_a_moment_runs_when_the_clock_says_so(service: Service, jump: Jump) -> None:
    moment = datetime.now().astimezone() + timedelta(minutes=30)
    job = service.queue(
        "sandbox.exec", {"command": "echo ran"}, run_at=moment.isoformat(), queue_timeout_ms=LONG_WAIT
    )
    assert service.job(job)["waiting"]["because"] == "scheduled"
    jump(3600)
    assert service.ended(job)["result"]["output"] == "ran\n"


@LONG
def test_a_client_that_follows_is_not_taken_for_gone(service: Service, jump: Jump) -> None:
    job = service.queue("sandbox.exec", {"command": UNTIL_TOLD}, leash_ms=60_000)
    service.job_when(job, "running")
    jump(3600)
    end = time.monotonic() + A_WHILE
    until(lambda: service.job(job)["finished_at"] or time.monotonic() > end, "a while to pass")
    assert service.job(job)["status"] == "running"
    tell_to_end(service, job)
    assert service.ended(job)["status"] == "succeeded"
