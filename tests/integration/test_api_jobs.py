"""/v1/jobs over real HTTP."""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from chaser.api.context import Rules
from chaser.jobs.logs import Stream
from chaser.jobs.reason import Reason
from tests.api_service import Service, bearer, service

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Service]:
    async with service(tmp_path, rules=Rules(beat=timedelta(milliseconds=50))) as made:
        yield made


async def submit(made: Service, command: str = "x", key: str | None = None) -> str:
    headers = {**ASYNC, **(bearer(key) if key else {})}
    answer = await made.http.post("/v1/exec", json={"command": command}, headers=headers)
    return str(answer.json()["id"])


async def test_jobs_are_listed_newest_first_in_pages(running: Service) -> None:
    made = [await submit(running, f"echo {number}") for number in range(5)]
    seen: list[str] = []
    query: str | None = "limit=2"
    while query:
        page = (await running.http.get(f"/v1/jobs?{query}")).json()
        seen += [job["id"] for job in page["data"]]
        query = f"limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert seen == made[::-1]


async def test_lists_leave_out_the_output_and_the_job_has_it(running: Service) -> None:
    job_id = await submit(running)
    await running.hands.run(b"long\n")
    (line,) = (await running.http.get("/v1/jobs?status=succeeded&kind=sandbox.exec")).json()["data"]
    assert line["result"]["output_bytes"] == 5
    assert "output" not in line["result"]
    job = (await running.http.get(f"/v1/jobs/{job_id}")).json()
    assert job["result"]["output"] == "long\n"
    assert job["links"]["logs"] == f"/v1/jobs/{job_id}/logs"
    assert (await running.http.get("/v1/jobs?status=failed")).json()["data"] == []


@pytest.mark.parametrize(
    ("reason", "because"),
    [(Reason.ENGINE_UNAVAILABLE, "engine_unavailable"), (Reason.GITHUB_REFUSED, "backoff")],
)
async def test_a_job_that_waits_for_its_next_attempt_says_why_the_last_one_failed(
    running: Service, reason: Reason, because: str
) -> None:
    job_id = await submit(running)
    claim, now = await running.hands.take(), running.hands.clock.now()
    await running.store.jobs.requeue(claim, reason, "Do this.", now + timedelta(minutes=5), now)
    job = (await running.http.get(f"/v1/jobs/{job_id}")).json()
    assert (job["status"], job["reason"]) == ("queued", None)
    assert {**job["waiting"], "since": None, "until": None} == {
        "because": because,
        "since": None,
        "position": None,
        "holder": None,
        "until": None,
        "reason": reason,
        "message": "Do this.",
    }


async def test_a_read_may_wait_for_the_end(running: Service) -> None:
    job_id = await submit(running)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(running.http.get(f"/v1/jobs/{job_id}?wait_ms=60000"))
        await running.hands.run()
    assert call.result().json()["status"] == "succeeded"


async def test_a_wait_that_is_over_answers_the_job_as_it_is(running: Service) -> None:
    job_id = await submit(running)
    assert (await running.http.get(f"/v1/jobs/{job_id}?wait_ms=1")).json()["status"] == "queued"


async def test_a_client_that_stops_waiting_cancels_nothing(running: Service) -> None:
    job_id = await submit(running)
    call = asyncio.create_task(running.http.get(f"/v1/jobs/{job_id}?wait_ms=60000"))
    await running.hands.start()
    call.cancel()
    assert (await running.http.get(f"/v1/jobs/{job_id}")).json()["status"] == "running"
    assert running.hands.stopped.empty()


async def test_a_queued_job_is_cancelled_at_once(running: Service) -> None:
    job_id = await submit(running)
    answer = await running.http.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert answer.json()["reason"] == "cancelled_by_user"
    assert answer.json()["result"]["exit_code"] is None
    again = await running.http.post(f"/v1/jobs/{job_id}/cancel")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "job_finished")


async def test_a_running_job_is_told_to_stop(running: Service) -> None:
    job_id = await submit(running)
    claim = await running.hands.start()
    assert (await running.http.post(f"/v1/jobs/{job_id}/cancel")).status_code == 202
    assert await running.hands.stopped.get() == (claim.job.id, Reason.CANCELLED_BY_USER)


async def test_the_history_of_a_job_is_a_list_of_changes(running: Service) -> None:
    job_id = await submit(running)
    await running.hands.run()
    events = (await running.http.get(f"/v1/jobs/{job_id}/events")).json()["data"]
    assert [event["to_status"] for event in events] == ["queued", "starting", "running", "succeeded"]
    assert [event["seq"] for event in events] == sorted(event["seq"] for event in events)


async def test_the_log_is_every_byte(running: Service) -> None:
    job_id = await submit(running)
    every = bytes(range(256)) * 4096
    claim = await running.hands.start()
    for begin in range(0, len(every), 65536):
        await running.hands.print(claim, every[begin : begin + 65536])
    await running.hands.end(claim, output_bytes=len(every))
    answer = await running.http.get(f"/v1/jobs/{job_id}/logs")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.content == every


async def test_a_log_goes_on_after_a_frame_and_by_stream(running: Service) -> None:
    job_id = await submit(running)
    claim = await running.hands.start()
    await running.hands.print(claim, b"one ", Stream.STDOUT)
    await running.hands.print(claim, b"bad ", Stream.STDERR)
    await running.hands.print(claim, b"", Stream.GAP, skipped=9)
    await running.hands.print(claim, b"two", Stream.STDOUT)
    await running.hands.end(claim, output_bytes=20)
    logs = f"/v1/jobs/{job_id}/logs"
    text = await running.http.get(f"{logs}?stream=stdout")
    assert text.text == "one \n[chaser: 9 bytes are left out here]\ntwo"
    lines = await running.http.get(f"{logs}?after=1&format=ndjson")
    assert lines.headers["Content-Type"] == "application/x-ndjson"
    frames = [json.loads(line) for line in lines.text.splitlines()]
    assert [(frame["seq"], frame["stream"], frame["data"]) for frame in frames] == [
        (2, "stderr", "bad "),
        (3, "gap", ""),
        (4, "stdout", "two"),
    ]
    assert frames[1]["skipped"] == 9


@pytest.mark.parametrize("after", range(5))
async def test_a_character_survives_a_log_that_is_taken_up_in_the_middle_of_it(
    running: Service, after: int
) -> None:
    """Whoever reads the frames up to `after`, and then those from there on, has read the same text."""
    job_id = await submit(running)
    claim = await running.hands.start()
    for byte in "a€b".encode():
        await running.hands.print(claim, bytes([byte]))
    await running.hands.end(claim, output_bytes=5)

    whole = await running.http.get(f"/v1/jobs/{job_id}/logs?format=ndjson")
    rest = await running.http.get(f"/v1/jobs/{job_id}/logs?format=ndjson&after={after}")

    told = [json.loads(line) for line in whole.text.splitlines()]
    assert "".join(frame["data"] for frame in told) == "a€b"
    assert [json.loads(line) for line in rest.text.splitlines()] == [
        frame for frame in told if frame["seq"] > after
    ]


async def test_a_followed_log_comes_as_it_is_written_and_ends_with_the_job(running: Service) -> None:
    job_id = await submit(running)
    async with running.http.stream("GET", f"/v1/jobs/{job_id}/logs?follow=true") as answer:
        claim = await running.hands.start()
        pieces = answer.aiter_bytes()
        for text in (b"one", b"two"):
            await running.hands.print(claim, text)
            assert await anext(pieces) == text
        await running.hands.end(claim, output_bytes=6)
        assert [piece async for piece in pieces] == []


async def test_one_who_leaves_a_followed_log_cancels_nothing(running: Service) -> None:
    job_id = await submit(running)
    async with running.http.stream("GET", f"/v1/jobs/{job_id}/logs?follow=true&format=ndjson"):
        await running.hands.start()
    assert (await running.http.get(f"/v1/jobs/{job_id}")).json()["status"] == "running"
    assert running.hands.stopped.empty()


@pytest.mark.parametrize("path", ["", "/logs", "/events"])
async def test_a_key_for_its_own_jobs_sees_no_other(running: Service, path: str) -> None:
    narrow = await running.key_with(own_jobs=True)
    theirs = await submit(running)
    own = await submit(running, key=narrow)
    headers = bearer(narrow)
    answer = await running.http.get(f"/v1/jobs/{theirs}{path}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "job_not_found")
    assert (await running.http.get(f"/v1/jobs/{own}{path}", headers=headers)).status_code == 200
    listed = (await running.http.get("/v1/jobs", headers=headers)).json()["data"]
    assert [job["id"] for job in listed] == [own]
    cancelled = await running.http.post(f"/v1/jobs/{theirs}/cancel", headers=headers)
    assert cancelled.status_code == 404


@pytest.mark.parametrize(
    "job_id", ["job_01k9w7", "job_" + "0" * 26, "%00", "a%2fb", "job_" + "0" * 25 + "%0a"]
)
async def test_an_id_that_is_none_is_not_found(running: Service, job_id: str) -> None:
    assert (await running.http.get(f"/v1/jobs/{job_id}")).status_code == 404
