"""The Docker daemon ends and starts again under running jobs, with the service there to see it and without."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.machine import processes_with
from tests.acceptance.service import Service, installation, marker
from tests.acceptance.waiting import until
from tests.chaos.audit import expect_no_leftovers, lines
from tests.chaos.daemon import Daemon, own_daemon
from tests.chaos.form import LONG

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]

SERVICE_LIVES = [pytest.param(True, id="service-lives"), pytest.param(False, id="service-dies-too")]
HOW = ["KILL", pytest.param("TERM", marks=LONG)]
COUNT = 'i=0; until [ -e /tmp/go ]; do i=$((i+1)); echo "line $i"; sleep 0.05; done; echo end'
"""Prints numbered lines until it is told to end."""


@pytest.fixture(scope="module")
def forgetful(small_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """An engine whose containers end with its daemon."""
    with own_daemon(tmp_path_factory.mktemp("engine"), marker(), live_restore=False) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def keeping(small_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """An engine with live-restore."""
    with own_daemon(tmp_path_factory.mktemp("engine"), marker(), live_restore=True) as daemon:
        yield daemon


def restart(daemon: Daemon, service: Service, how: str, *, service_lives: bool) -> None:
    """The daemon ends and starts again; where the service does not live, it ends and starts in the meantime."""
    daemon.end_daemon(how)
    if not service_lives:
        service.kill()
        service.start(ready=False)
    daemon.start_daemon()
    until(lambda: service.http.get("/readyz").status_code == 200, "the service to be ready")


@pytest.mark.parametrize("service_lives", SERVICE_LIVES)
@pytest.mark.parametrize("how", HOW)
def test_what_ends_with_its_daemon_is_lost_or_run_again_as_asked_and_what_waited_runs(
    forgetful: Daemon, tmp_path: Path, how: str, service_lives: bool
) -> None:
    word = marker()
    with installation(tmp_path, {"CHASER_LIMITS__MAX_RUNNING": "2"}, forgetful.docker) as service:
        lost = service.begin(f"echo printed; while :; do sleep 1; done; : {word}")
        command = "echo run >> lines; cat lines; [ $(wc -l < lines) -gt 1 ] || sleep 1000"
        again = service.queue(
            "sandbox.exec",
            {"command": command, "workspace": "kept"},
            retry={"on": ["host_lost"], "max": 3, "backoff_ms": 100, "backoff_max_ms": 1000},
        )
        waiting = service.submit("echo after all")
        for job in (lost, again):
            until(lambda job=job: service.output(job), f"the output of {job}")
        restart(forgetful, service, how, service_lives=service_lives)
        row = service.ended(lost)
        assert (row["status"], row["reason"]) == ("failed", "host_lost")
        assert service.output(lost).startswith(b"printed\n")
        assert processes_with(word) == []
        assert service.ended(again)["status"] == "succeeded", service.events(again)
        assert service.output(again).startswith(b"run\n")
        assert service.output(again).endswith(b"run\nrun\n")
        assert lines(service, ["kept"]) == {"kept": ["run", "run"]}
        assert service.ended(waiting)["result"]["output"] == "after all\n"
        expect_no_leftovers(service)


@pytest.mark.parametrize("service_lives", SERVICE_LIVES)
@pytest.mark.parametrize("how", HOW)
def test_what_lives_on_without_its_daemon_ends_well_with_its_whole_log(
    keeping: Daemon, tmp_path: Path, how: str, service_lives: bool
) -> None:
    with installation(tmp_path, {}, keeping.docker) as service:
        job = service.begin(COUNT)
        until(lambda: service.output(job).count(b"\n") > 5, "some output")
        (container,) = service.containers(running=True)
        restart(keeping, service, how, service_lives=service_lives)
        before = service.output(job)
        until(lambda: len(service.output(job)) > len(before), "more output after the restart")
        keeping.docker("exec", container, "touch", "/tmp/go")
        row = service.ended(job)
        assert (row["status"], row["attempt"]) == ("succeeded", 1), row
        *counted, last = service.output(job).decode().splitlines()
        assert last == "end"
        assert [int(re.sub("line ", "", line)) for line in counted] == list(range(1, len(counted) + 1))
        assert service.run("echo next")["output"] == "next\n"
        expect_no_leftovers(service)


@LONG
@pytest.mark.parametrize("service_lives", SERVICE_LIVES)
def test_what_ends_while_its_daemon_is_down_is_told_to_be_lost_and_its_log_to_have_a_gap(
    keeping: Daemon, tmp_path: Path, service_lives: bool
) -> None:
    """Docker keeps nothing of what such a container printed last, and that is where its end was told."""
    word = marker()
    with installation(tmp_path, {}, keeping.docker) as service:
        job = service.begin(f"echo first; sleep 3; echo last; exit 9; : {word}")
        until(lambda: service.output(job), "its first output")
        keeping.end_daemon("KILL")
        until(lambda: not processes_with(word), "the command to end")
        if not service_lives:
            service.kill()
            service.start(ready=False)
        keeping.start_daemon()
        row = service.ended(job)
        assert (row["status"], row["reason"]) == ("failed", "host_lost")
        assert "status 9" in row["message"]
        assert service.output(job).startswith(b"first\n\n[chaser: ")
        assert [frame["stream"] for frame in service.frames(job)] == ["output", "gap"]
        expect_no_leftovers(service)


def test_a_deadline_that_passes_while_the_daemon_is_down_is_kept_when_it_is_back(
    keeping: Daemon, tmp_path: Path
) -> None:
    word = marker()
    with installation(tmp_path, {}, keeping.docker) as service:
        job = service.begin(f"echo printed; while :; do sleep 1; done; : {word}", timeout_ms=4000)
        until(lambda: service.output(job), "its output")
        keeping.end_daemon("KILL")
        service.kill()
        service.start(ready=False)
        assert processes_with(word)
        keeping.start_daemon()
        row = service.ended(job)
        assert (row["status"], row["reason"]) == ("failed", "run_timeout")
        until(lambda: not processes_with(word), "nothing of it to be left")
        expect_no_leftovers(service)
