"""More work than may run at once: it waits its turn, and nobody's wait is without end."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.acceptance.service import Json, Service, error_of

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"CHASER_LIMITS__MAX_RUNNING": "2", "CHASER_LIMITS__MAX_QUEUED": "20"}


def most_at_once(jobs: list[Json]) -> int:
    """How many of the runs overlapped, by the times of their beginnings and ends."""
    moments = [(job["started_at"], 1) for job in jobs] + [(job["finished_at"], -1) for job in jobs]
    counts, running = [0], 0
    for _, change in sorted(moments):
        running += change
        counts.append(running)
    return max(counts)


def test_16_at_once_all_end_and_no_more_than_2_run_at_a_time(service: Service) -> None:
    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(service.run, [f"echo {n}; sleep 0.05" for n in range(16)]))
    assert [answer["output"] for answer in answers] == [f"{n}\n" for n in range(16)]
    assert {answer["status"] for answer in answers} == {"succeeded"}
    assert most_at_once(answers) <= 2


def test_a_wait_beyond_its_own_limit_ends_with_a_reason_and_without_a_sandbox(service: Service) -> None:
    running = [service.begin("sleep 60") for _ in range(2)]
    answer = service.run("true", queue_timeout_ms=300)
    assert (answer["status"], answer["reason"], answer["exit_code"]) == ("failed", "queue_timeout", None)
    assert (answer["started_at"], answer["session_id"]) == (None, None)
    for job in running:
        service.cancel(job)


def test_a_waiting_job_says_what_it_waits_for_and_can_be_cancelled(service: Service) -> None:
    running = [service.begin("sleep 60") for _ in range(2)]
    waiting = [service.submit("true") for _ in range(3)]
    told = [service.job(job)["waiting"] for job in waiting]
    assert [(each["because"], each["position"]) for each in told] == [("capacity", n) for n in range(3)]
    cancelled = service.cancel(waiting[0])
    assert (cancelled["status"], cancelled["reason"]) == ("cancelled", "cancelled_by_user")
    assert cancelled["session_id"] is None
    assert service.job(waiting[1])["waiting"]["position"] == 0
    for job in running:
        service.cancel(job)
    assert {service.ended(job)["status"] for job in waiting[1:]} == {"succeeded"}


def test_a_full_queue_refuses_more_until_there_is_room(service: Service) -> None:
    running = [service.begin("sleep 60") for _ in range(2)]
    waiting = [service.submit("true") for _ in range(20)]
    answer = service.exec("true")
    error_of(answer, 429, "too_busy")
    assert int(answer.headers["Retry-After"]) > 0
    for job in [*waiting, *running]:
        service.cancel(job)
    assert service.run("true")["status"] == "succeeded"


def test_a_key_with_a_cap_waits_while_others_do_not(service: Service) -> None:
    made = service.http.post("/v1/keys", json={"name": "one", "full": True, "max_running": 1}).json()
    capped = {"Authorization": f"Bearer {made['key']}", "Prefer": "respond-async"}
    first, second = (service.exec("sleep 60", headers=capped).json()["id"] for _ in range(2))
    service.job_when(first, "running")
    assert service.run("echo other")["output"] == "other\n"
    assert service.job(second)["status"] == "queued"
    service.cancel(second)
    service.cancel(first)
