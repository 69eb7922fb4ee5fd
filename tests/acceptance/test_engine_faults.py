"""The Docker engine is away, goes away in the middle, hangs, and comes back: each time it is said, and mended."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.engine import Engine, own_engine
from tests.acceptance.machine import Docker, processes_with
from tests.acceptance.service import Service, error_of, installation, marker
from tests.acceptance.waiting import until

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def engine(small_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with own_engine(tmp_path_factory.mktemp("engine"), marker()) as engine:
        yield engine


@pytest.fixture(scope="module")
def shared_service(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with installation(tmp_path_factory.mktemp("service"), {}, engine.docker) as service:
        yield service


def ready(service: Service) -> httpx.Response:
    return service.http.get("/readyz")


def until_ready(service: Service) -> None:
    until(lambda: ready(service).status_code == 200, "the service to be ready again")


def test_an_engine_of_the_tests_own_runs_what_the_machines_runs(service: Service) -> None:
    assert service.run("echo there")["output"] == "there\n"


def test_a_stopped_engine_is_told_with_what_to_check_and_the_next_one_serves(
    service: Service, engine: Engine
) -> None:
    engine.stop()
    try:
        details = error_of(ready(service), 503, "not_ready")
        assert not details["checks"]["docker"]["ok"]
        assert details["checks"]["store"]["ok"]
        answer = service.exec("true")
        job = error_of(answer, 503, "engine_unavailable")["job"]
        assert "chaser doctor" in answer.json()["error"]["message"]
        assert int(answer.headers["Retry-After"]) > 0
        row = service.job(job)
        assert (row["status"], row["reason"]) == ("failed", "engine_unavailable")
        assert row["attempt"] == row["max_attempts"]
        assert service.http.get("/livez").status_code == 200
    finally:
        engine.start()
    until_ready(service)
    assert service.run("echo back")["output"] == "back\n"


def test_a_job_that_meets_a_stopped_engine_runs_if_it_is_back_before_its_attempts_are_over(
    service: Service, engine: Engine
) -> None:
    engine.stop()
    try:
        job = service.submit("echo ran")
        until(lambda: service.job(job)["attempt"] >= 1, "its first attempt")
    finally:
        engine.start()
    row = service.ended(job)
    assert row["status"] == "succeeded" or row["reason"] == "engine_unavailable"


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_an_engine_that_goes_away_in_the_middle_takes_its_runs_with_it(
    service: Service, engine: Engine, how: str
) -> None:
    """The run ends as lost, with what it had printed, and nothing of it is left when the engine is back."""
    word = marker()
    job = service.begin(f"echo printed; trap '' TERM; while :; do sleep 1; done; : {word}")
    until(lambda: service.output(job), "its output to be stored")
    try:
        engine.stop() if how == "stop" else engine.kill()
        assert processes_with(word) == []
    finally:
        engine.start()
    row = service.ended(job)
    assert (row["status"], row["reason"]) == ("failed", "host_lost")
    assert row["result"]["exit_code"] is None
    assert len(row["message"]) > 20
    assert service.output(job).startswith(b"printed\n")
    until_ready(service)
    service.expect_nothing_left()
    assert service.run("echo next")["output"] == "next\n"


def test_an_engine_that_hangs_is_told_and_what_it_ran_goes_on_afterwards(
    service: Service, engine: Engine
) -> None:
    job = service.begin("echo one; sleep 2; echo two; exit 4")
    engine.pause()
    try:
        error_of(ready(service), 503, "not_ready")
        assert service.job(job)["status"] == "running"
    finally:
        engine.unpause()
    row = service.ended(job)
    assert (row["reason"], row["result"]["exit_code"]) == ("nonzero_exit", 4)
    assert row["result"]["output"] == "one\ntwo\n"


def test_a_sandbox_that_somebody_else_removes_ends_its_run_with_a_reason(service: Service) -> None:
    job = service.begin("echo printed; sleep 60")
    until(lambda: service.output(job), "its output to be stored")
    service.docker("rm", "--force", *service.containers(running=True))
    row = service.ended(job)
    assert (row["status"], row["reason"]) == ("failed", "host_lost")


def test_a_service_starts_without_an_engine_and_serves_when_it_comes(
    small_image: str, tmp_path: Path
) -> None:
    nobody = Docker(f"unix://{tmp_path}/nobody.sock")
    with installation(tmp_path, {}, nobody, ready=False) as service:
        details = error_of(ready(service), 503, "not_ready")
        assert not details["checks"]["docker"]["ok"]
        job = error_of(service.exec("true"), 503, "engine_unavailable")["job"]
        assert service.job(job)["reason"] == "engine_unavailable"
        assert service.alive
        assert service.stop() == 0


def test_a_row_that_was_lost_with_engine_and_service_is_settled_when_both_are_back(
    service: Service, engine: Engine
) -> None:
    word = marker()
    job = service.begin(f"while :; do sleep 1; done; : {word}")
    service.kill()
    engine.kill()
    service.start(ready=False)
    assert service.job(job)["status"] == "running", "unreachable is not gone"
    engine.start()
    row = service.ended(job)
    assert (row["status"], row["reason"]) == ("failed", "host_lost")
    assert processes_with(word) == []
    until_ready(service)
