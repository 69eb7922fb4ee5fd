"""PostgreSQL ends and starts again under running jobs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.machine import processes_with
from tests.acceptance.service import Service, error_of, installation, marker
from tests.acceptance.waiting import until
from tests.chaos.audit import expect_no_leftovers
from tests.postgres import PostgresServer, running_postgres

pytestmark = [pytest.mark.docker, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]

COUNT = 3_000
PRINTING = (
    f"i=0; while [ $i -lt {COUNT} ]; do i=$((i+1)); echo line $i; [ $((i % 300)) -ne 0 ] || sleep 0.3; done"
)
PRINTED = b"".join(f"line {number}\n".encode() for number in range(1, COUNT + 1))


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One of this test's own, since it is stopped."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def service(small_image: str, server: PostgresServer, tmp_path: Path) -> Iterator[Service]:
    settings = {"CHASER_DATABASE_URL": server.empty(), "CHASER_LIMITS__MAX_RUNNING": "3"}
    with installation(tmp_path, settings) as service:
        yield service


def test_runs_go_on_while_the_database_is_away_and_new_ones_are_refused_until_it_is_back(
    service: Service, server: PostgresServer
) -> None:
    """It is away for longer than a run's end: that is written when there is somebody to write it to."""
    word = marker()
    printing = [service.begin(PRINTING) for _ in range(2)]
    ending = service.begin(f"echo first; sleep 2; echo last; exit 9; : {word}")
    waiting = service.submit("echo after all")
    server.stop()
    try:
        error_of(service.exec("true"), 503, "store_unavailable")
        error_of(service.http.get("/readyz"), 503, "not_ready")
        assert service.http.get("/livez").status_code == 200
        until(lambda: not processes_with(word), "the command to end")
    finally:
        server.start()
    for job in printing:
        assert service.ended(job)["status"] == "succeeded"
        assert service.output(job) == PRINTED
    row = service.ended(ending)
    assert (row["reason"], row["result"]["exit_code"], row["attempt"]) == ("nonzero_exit", 9, 1)
    assert service.output(ending) == b"first\nlast\n"
    assert service.ended(waiting)["result"]["output"] == "after all\n"
    assert service.run("echo next")["output"] == "next\n"
    assert '"level": "error"' not in service.log
    expect_no_leftovers(service)


def test_a_cancel_and_a_new_job_are_heard_at_once_after_the_database_was_away(
    service: Service, server: PostgresServer
) -> None:
    """What told of them was a connection that is gone: there is a new one."""
    running = service.begin("while :; do sleep 1; done")
    server.stop()
    server.start()
    until(lambda: service.http.get("/readyz").status_code == 200, "the service to be ready again")
    assert service.cancel(running)["status"] == "cancelled"
    assert service.run("echo next")["output"] == "next\n"


def test_a_service_killed_while_the_database_is_away_takes_over_when_both_are_back(
    service: Service, server: PostgresServer
) -> None:
    printing = service.begin(PRINTING)
    server.stop()
    service.kill()
    server.start()
    service.start()
    assert service.ended(printing)["status"] == "succeeded"
    assert service.job(printing)["attempt"] == 1
    assert service.output(printing) == PRINTED
    expect_no_leftovers(service)


def test_a_service_that_starts_without_its_database_says_so(service: Service, server: PostgresServer) -> None:
    service.stop()
    server.stop()
    try:
        service.spawn()
        until(lambda: service.exit_status is not None, "it to end")
        assert service.exit_status not in {0, None}
        assert "Traceback" not in service.log
        assert "database" in service.log.splitlines()[-1].lower()
    finally:
        server.start()
    service.start()
