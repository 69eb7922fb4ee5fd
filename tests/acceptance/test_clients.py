"""The ways in which a client waits for its run, and what becomes of the run when it does not."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.acceptance.machine import processes_with
from tests.acceptance.service import Json, Service, error_of, marker
from tests.acceptance.waiting import until

pytestmark = pytest.mark.docker


def events_of(answer: httpx.Response) -> Iterator[tuple[str, Json]]:
    """https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream"""
    name = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_a_client_that_goes_away_cancels_its_run(service: Service) -> None:
    word = marker()
    body = json.dumps({"command": f"trap '' TERM; while :; do sleep 1; done; : {word}"}).encode()
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        head = (
            f"POST /v1/exec HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {service.key}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        client.sendall(head.encode() + body)
        until(lambda: processes_with(word), "the command to begin")
    job = service.ended(service.jobs()[0]["id"])
    assert processes_with(word) == []
    assert (job["status"], job["reason"]) == ("cancelled", "client_gone")
    assert job["result"]["exit_code"] is None
    assert "respond-async" in job["message"]


def test_a_client_of_a_stream_that_goes_away_cancels_its_run(service: Service) -> None:
    word = marker()
    body = {"command": f"echo begun; while :; do sleep 1; done; : {word}"}
    with service.http.stream(
        "POST", "/v1/exec", json=body, headers={"Accept": "text/event-stream"}
    ) as answer:
        events = events_of(answer)
        assert next(events)[0] == "started"
        assert next(events)[1]["data"] == "begun\n"
    job = service.ended(answer.headers["X-Chaser-Job"])
    assert processes_with(word) == []
    assert (job["status"], job["reason"]) == ("cancelled", "client_gone")


def test_a_client_that_goes_away_while_its_run_waits_for_an_image_ends_the_wait(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as registry:
        image = f"127.0.0.1:{registry.getsockname()[1]}/never/answers:1"
        with pytest.raises(httpx.ReadTimeout):
            service.http.post("/v1/exec", json={"command": "true", "image": image}, timeout=1.0)
        job = service.ended(service.jobs()[0]["id"])
    assert (job["status"], job["reason"]) == ("cancelled", "client_gone")
    assert job["started_at"] is None


def test_a_run_that_was_to_outlive_its_client_does(service: Service) -> None:
    answer = service.exec("sleep 0.5; echo done", headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "respond-async"
    job = service.ended(answer.headers["Location"].rpartition("/")[2])
    assert (job["status"], job["result"]["output"]) == ("succeeded", "done\n")


def test_a_stream_has_a_start_all_output_and_the_result(service: Service) -> None:
    body = {"command": "echo one; echo two >&2; printf 'caf\\303\\251'; exit 3", "streams": "split"}
    headers = {"Accept": "text/event-stream"}
    with service.http.stream("POST", "/v1/exec", json=body, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        (first, started), *outputs, (last, result) = events_of(answer)
    assert (first, last) == ("started", "result")
    assert started["id"] == result["id"] == answer.headers["X-Chaser-Job"]
    assert {name for name, _ in outputs} == {"output"}
    by_stream = {
        stream: "".join(event["data"] for _, event in outputs if event["stream"] == stream)
        for stream in ("stdout", "stderr")
    }
    assert by_stream == {"stdout": "one\ncafé", "stderr": "two\n"}
    assert [event["seq"] for _, event in outputs] == sorted({event["seq"] for _, event in outputs})
    assert (result["status"], result["reason"], result["exit_code"]) == ("failed", "nonzero_exit", 3)


def test_the_same_idempotency_key_is_the_same_run(service: Service) -> None:
    key = {"Idempotency-Key": marker()}
    first = service.exec("cat /proc/sys/kernel/random/uuid", headers=key)
    again = service.exec("cat /proc/sys/kernel/random/uuid", headers=key)
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    error_of(service.exec("true", headers=key), 409, "idempotency_conflict")


def test_two_clients_of_one_idempotency_key_wait_for_one_run_and_one_may_leave(service: Service) -> None:
    headers = {"Idempotency-Key": marker(), "Accept": "text/event-stream"}
    body = {"command": "echo begun; sleep 1; echo done"}
    with service.http.stream("POST", "/v1/exec", json=body, headers=headers) as stays:
        remaining = events_of(stays)
        assert next(remaining)[0] == "started"
        with service.http.stream("POST", "/v1/exec", json=body, headers=headers) as leaves:
            assert next(events_of(leaves))[0] == "started"
        assert leaves.headers["X-Chaser-Job"] == stays.headers["X-Chaser-Job"]
        *_, (_, result) = remaining
    assert (result["status"], result["output"]) == ("succeeded", "begun\ndone\n")


def test_a_finished_job_cannot_be_cancelled(service: Service) -> None:
    answer = service.run("true")
    error_of(service.http.post(f"/v1/jobs/{answer['id']}/cancel"), 409, "job_finished")


def test_a_log_is_followed_to_its_end_and_resumed_without_loss(service: Service) -> None:
    job = service.begin("for n in 1 2 3 4 5; do echo $n; sleep 0.1; done")
    with service.http.stream("GET", f"/v1/jobs/{job}/logs", params={"follow": "true"}) as followed:
        assert b"".join(followed.iter_bytes()) == b"1\n2\n3\n4\n5\n"
    frames = list(service.frames(job))
    resumed = service.http.get(f"/v1/jobs/{job}/logs", params={"after": frames[1]["seq"]})
    assert resumed.text == "".join(frame["data"] for frame in frames[2:])
