"""The service ends, by order or by a power cut, and starts again: no job is lost, none runs twice, nothing stays."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.acceptance.machine import SMALL, Docker, processes_with
from tests.acceptance.service import Service, error_of, installation, marker
from tests.acceptance.waiting import until

pytestmark = pytest.mark.docker


@pytest.fixture
def service(small_image: str, tmp_path: Path) -> Iterator[Service]:
    with installation(tmp_path, {"CHASER_LIMITS__MAX_RUNNING": "1"}) as service:
        yield service
        service.expect_nothing_left()


def gate(word: str) -> str:
    """A command that says something, waits to be let go on by `release`, and says more."""
    return f"echo before; while [ ! -e /tmp/{word} ]; do sleep 0.1; done; echo after; exit 3"


def release(service: Service, word: str) -> None:
    (container,) = service.containers(running=True)
    Docker()("exec", container, "touch", f"/tmp/{word}")


def history(service: Service, job_id: str) -> list[tuple[str, str | None]]:
    return [(event["to_status"], event["reason"]) for event in service.events(job_id)]


def test_a_power_cut_interrupts_neither_what_runs_nor_what_waits(service: Service) -> None:
    """The one goes on in its sandbox, and the next start takes it over; the other runs after it, once."""
    word = marker()
    running = service.begin(gate(word))
    waiting = service.submit("echo run after all")
    until(lambda: service.output(running), "its output to be stored")
    before = service.job(running)
    service.kill()
    assert processes_with(word), "a sandbox outlives the service that made it"
    service.start()
    release(service, word)
    after = service.ended(running)
    assert (after["status"], after["reason"], after["attempt"]) == ("failed", "nonzero_exit", 1)
    assert (after["result"]["exit_code"], after["session_id"]) == (3, before["session_id"])
    assert service.output(running) == b"before\nafter\n"
    assert [status for status, _ in history(service, running)] == ["queued", "starting", "running", "failed"]
    assert processes_with(word) == []
    assert service.ended(waiting)["result"]["output"] == "run after all\n"
    assert service.job(waiting)["attempt"] == 1


def test_what_ends_while_no_service_runs_is_recorded_by_the_next(service: Service) -> None:
    word = marker()
    job = service.begin(gate(word))
    until(lambda: service.output(job), "its output to be stored")
    service.kill()
    release(service, word)
    until(lambda: not processes_with(word), "the command to end")
    service.start()
    after = service.ended(job)
    assert (after["reason"], after["result"]["exit_code"]) == ("nonzero_exit", 3)
    assert after["result"]["output"] == "before\nafter\n"


def test_a_power_cut_before_the_hand_over_only_delays_a_job(service: Service) -> None:
    """Here while its image is on the way: another attempt runs it."""
    docker = Docker()
    with socket.create_server(("127.0.0.1", 0)) as registry:
        image = f"127.0.0.1:{registry.getsockname()[1]}/slow/to-come:1"
        job = service.submit("echo it ran", image=image)
        service.job_when(job, "starting")
        service.kill()
    docker("tag", SMALL, image)
    try:
        service.start()
        after = service.ended(job)
    finally:
        docker("rmi", image)
    assert (after["status"], after["result"]["output"]) == ("succeeded", "it ran\n")
    assert after["attempt"] == 2
    assert ("queued", "host_lost") in history(service, job)


def test_a_stop_keeps_what_runs_for_the_next_start_to_take_over(service: Service) -> None:
    word = marker()
    job = service.begin(gate(word))
    until(lambda: service.output(job), "its output to be stored")
    (container,) = service.containers(running=True)
    assert service.stop() == 0
    assert service.containers(running=True) == [container]
    assert processes_with(word)
    service.start()
    release(service, word)
    assert service.ended(job)["result"]["output"] == "before\nafter\n"
    until(lambda: not service.containers(), "the sandbox to be removed")


def test_a_client_that_waits_through_a_stop_is_told_where_its_run_is(service: Service) -> None:
    """The service's stop is not the client's leaving: the run is not cancelled."""
    word = marker()
    with ThreadPoolExecutor(1) as apart:
        waiting = apart.submit(service.exec, gate(word), headers={"Idempotency-Key": word})
        until(lambda: processes_with(word), "the command to begin")
        assert service.stop() == 0
        answer = waiting.result()
    details = error_of(answer, 503, "stopping")
    assert int(answer.headers["Retry-After"]) > 0
    service.start()
    release(service, word)
    again = service.exec(gate(word), headers={"Idempotency-Key": word})
    assert (again.json()["id"], again.json()["exit_code"]) == (details["job"], 3)
    assert again.json()["output"] == "before\nafter\n"
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_cancel_that_was_asked_for_holds_through_a_power_cut(service: Service) -> None:
    first = service.begin("sleep 60")
    second = service.submit("echo never")
    assert service.cancel(second)["status"] == "cancelled"
    service.kill()
    service.start()
    assert service.job(second)["status"] == "cancelled"
    service.cancel(first)
    assert service.ended(first)["reason"] == "cancelled_by_user"


def test_key_and_instance_and_jobs_stay_what_they_are(service: Service) -> None:
    before = service.run("echo kept; exit 3"), service.key, service.instance
    assert service.stop() == 0
    service.start()
    job = service.job(before[0]["id"])
    assert (job["result"], service.key, service.instance) == before
    assert service.output(job["id"]) == b"kept\n"
    assert service.log.count("Made the first API key") == 1


def test_a_stopped_service_ends_without_work_and_without_complaint(service: Service) -> None:
    service.run("true")
    assert service.stop() == 0
    assert '"level": "error"' not in service.log
    assert "Traceback" not in service.log
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{service.base_url}/livez")
    service.start()
