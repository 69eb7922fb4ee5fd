"""The service ends, by order or by a power cut, and starts again: no job is lost, none runs twice, nothing stays."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.acceptance.machine import SMALL, Docker, processes_with
from tests.acceptance.service import Json, Service, error_of, installation, marker
from tests.acceptance.waiting import until

pytestmark = pytest.mark.docker


@pytest.fixture
def service(small_image: str, tmp_path: Path) -> Iterator[Service]:
    with installation(tmp_path, {"CHASER_LIMITS__MAX_RUNNING": "1"}) as service:
        yield service
        service.expect_nothing_left()


def lost(job: Json) -> bool:
    return (job["status"], job["reason"]) == ("failed", "host_lost")


def history(service: Service, job_id: str) -> list[tuple[str, str | None]]:
    return [(event["to_status"], event["reason"]) for event in service.events(job_id)]


def test_a_power_cut_loses_what_ran_and_keeps_what_waited(service: Service) -> None:
    """The one is ended as lost and its sandbox removed; the other runs after the start, once."""
    word = marker()
    running = service.begin(f"echo printed before; while :; do sleep 1; done; : {word}")
    waiting = service.submit("echo run after all")
    until(lambda: service.output(running), "its output to be stored")
    (container,) = service.containers(running=True)
    service.kill()
    assert processes_with(word), "a sandbox outlives the service that made it"
    service.start()
    after = service.ended(running)
    assert lost(after)
    assert after["result"]["exit_code"] is None
    assert "again" in after["message"]
    assert service.output(running) == b"printed before\n"
    until(lambda: container not in service.containers(), "the lost sandbox to be removed")
    assert processes_with(word) == []
    assert service.ended(waiting)["result"]["output"] == "run after all\n"
    assert service.job(waiting)["attempt"] == 1


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


def test_a_stop_keeps_what_runs_for_the_next_start_to_sweep(service: Service) -> None:
    word = marker()
    job = service.begin(f"while :; do sleep 1; done; : {word}")
    (container,) = service.containers(running=True)
    assert service.stop() == 0
    assert service.containers(running=True) == [container]
    assert processes_with(word)
    service.start()
    assert lost(service.ended(job))
    until(lambda: not service.containers(), "the kept sandbox to be removed")
    assert processes_with(word) == []


def test_a_client_that_waits_through_a_stop_is_told_where_its_run_is(service: Service) -> None:
    """The service's stop is not the client's leaving: the run is not cancelled."""
    word = marker()
    with ThreadPoolExecutor(1) as apart:
        waiting = apart.submit(
            service.exec, f"while :; do sleep 1; done; : {word}", headers={"Idempotency-Key": word}
        )
        until(lambda: processes_with(word), "the command to begin")
        assert service.stop() == 0
        answer = waiting.result()
    details = error_of(answer, 503, "stopping")
    assert int(answer.headers["Retry-After"]) > 0
    service.start()
    job = service.ended(details["job"])
    assert lost(job)
    again = service.exec(f"while :; do sleep 1; done; : {word}", headers={"Idempotency-Key": word})
    assert again.json()["id"] == job["id"]
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_cancel_that_was_asked_for_holds_through_a_power_cut(service: Service) -> None:
    first = service.begin("sleep 60")
    second = service.submit("echo never")
    assert service.cancel(second)["status"] == "cancelled"
    service.kill()
    service.start()
    assert lost(service.ended(first))
    assert service.job(second)["status"] == "cancelled"


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
