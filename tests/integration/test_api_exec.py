"""POST /v1/exec over real HTTP, on the real store, with the test in the dispatcher's place."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from chaser.api.context import Rules
from chaser.errors import Unavailable
from chaser.ids import JobId
from chaser.jobs.job import Job, Status
from chaser.jobs.logs import Stream
from chaser.jobs.reason import Reason
from chaser.sandboxes.spec import Network
from chaser.store.jobs import Jobs
from tests.api_service import PROFILE, Service, application, bearer, service

SOON = Rules(answer_after=timedelta(milliseconds=200), beat=timedelta(milliseconds=50))


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Service]:
    async with service(tmp_path) as made:
        yield made


@pytest.fixture
async def hasty(tmp_path: Path) -> AsyncGenerator[Service]:
    """A service that begins its answers soon."""
    async with service(tmp_path, rules=SOON) as made:
        yield made


async def test_a_run_is_answered_with_its_whole_result(running: Service) -> None:
    async with asyncio.TaskGroup() as group:
        call = group.create_task(
            running.http.post("/v1/exec", json={"command": "echo hi", "ephemeral": True})
        )
        group.create_task(running.hands.run(b"hi\n"))
    answer = call.result()
    assert answer.status_code == 200
    body = answer.json()
    assert answer.headers["X-Chaser-Job"] == body["id"]
    assert answer.headers["X-Request-Id"].startswith("req_")
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert (body["status"], body["reason"], body["exit_code"]) == ("succeeded", None, 0)
    assert (body["output"], body["output_bytes"], body["output_truncated"]) == ("hi\n", 3, False)
    assert body["kind"] == "sandbox.exec"
    assert (body["command"], body["ephemeral"], body["background"]) == ("echo hi", True, False)
    assert body["created_at"].endswith("Z")
    assert body["timings"]["total_ms"] == 10


async def test_a_failed_command_is_a_result_too(running: Service) -> None:
    async with asyncio.TaskGroup() as group:
        call = group.create_task(running.http.post("/v1/exec", json={"command": "exit 3"}))
        claim = await running.hands.start()
        await running.hands.end(
            claim, status=Status.FAILED, reason=Reason.NONZERO_EXIT, message="Read it.", exit_code=3
        )
    body = call.result().json()
    assert call.result().status_code == 200
    assert (body["status"], body["reason"], body["exit_code"]) == ("failed", "nonzero_exit", 3)
    assert body["message"] == "Read it."


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.IMAGE_NOT_FOUND, 404),
        (Reason.IMAGE_FORBIDDEN, 403),
        (Reason.REGISTRY_UNAUTHORIZED, 403),
        (Reason.ENGINE_UNAVAILABLE, 503),
        (Reason.REGISTRY_UNAVAILABLE, 503),
        (Reason.IMAGE_HAS_NO_SHELL, 200),
        (Reason.QUEUE_TIMEOUT, 200),
        (Reason.START_TIMEOUT, 200),
    ],
)
async def test_what_is_found_soon_has_its_own_status(running: Service, reason: Reason, status: int) -> None:
    """Only where no sandbox could be made for want of something outside; the row exists either way."""
    async with asyncio.TaskGroup() as group:
        call = group.create_task(running.http.post("/v1/exec", json={"command": "true"}))
        claim = await running.hands.take()
        await running.hands.end(
            claim, status=Status.FAILED, reason=reason, message="Do this.", exit_code=None
        )
    answer = call.result()
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["reason"] == reason.value
    else:
        error = answer.json()["error"]
        assert (error["code"], error["message"]) == (reason.value, "Do this.")
        assert error["details"]["job"] == answer.headers["X-Chaser-Job"] == claim.job.id
    assert (answer.headers.get("Retry-After") is not None) == (status == 503)


async def test_a_long_run_begins_its_answer_and_sends_spaces(hasty: Service) -> None:
    async with hasty.http.stream("POST", "/v1/exec", json={"command": "sleep 9"}) as answer:
        claim = await hasty.hands.start()
        assert answer.status_code == 200
        assert answer.headers["X-Chaser-Job"] == claim.job.id
        assert answer.headers["Content-Type"] == "application/json"
        pieces = answer.aiter_bytes()
        for _ in range(3):
            assert await anext(pieces) == b" "
        await hasty.hands.print(claim, b"done")
        await hasty.hands.end(claim, output_bytes=4)
        rest = b"".join([piece async for piece in pieces])
    assert json.loads(rest)["output"] == "done"


async def test_a_fault_after_the_answer_has_begun_is_a_failed_run(hasty: Service) -> None:
    async with hasty.http.stream("POST", "/v1/exec", json={"command": "true"}) as answer:
        claim = await hasty.hands.take()
        await hasty.hands.end(claim, status=Status.FAILED, reason=Reason.IMAGE_NOT_FOUND, exit_code=None)
        body = json.loads(await answer.aread())
    assert (answer.status_code, body["status"], body["reason"]) == (200, "failed", "image_not_found")


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_client_that_leaves_cancels_its_run(hasty: Service, accept: str) -> None:
    headers = {"Accept": accept}
    async with hasty.http.stream("POST", "/v1/exec", json={"command": "sleep 9"}, headers=headers):
        claim = await hasty.hands.start()
    assert await hasty.hands.stopped.get() == (claim.job.id, Reason.CLIENT_GONE)
    job = await hasty.store.jobs.get(claim.job.id)
    assert job is not None
    assert job.cancel_requested is Reason.CLIENT_GONE


async def test_a_client_that_leaves_before_the_answer_cancels_its_run(running: Service) -> None:
    call = asyncio.create_task(running.http.post("/v1/exec", json={"command": "sleep 9"}))
    claim = await running.hands.start()
    call.cancel()
    assert await running.hands.stopped.get() == (claim.job.id, Reason.CLIENT_GONE)


async def test_of_two_who_wait_only_the_last_to_leave_cancels(hasty: Service) -> None:
    call = {"json": {"command": "sleep 9"}, "headers": {"Idempotency-Key": "one"}}
    async with hasty.http.stream("POST", "/v1/exec", **call) as first:  # pyright: ignore[reportArgumentType]
        claim = await hasty.hands.start()
        async with hasty.http.stream("POST", "/v1/exec", **call) as second:  # pyright: ignore[reportArgumentType]
            assert second.headers["Idempotent-Replayed"] == "true"
            assert second.headers["X-Chaser-Job"] == first.headers["X-Chaser-Job"]
            pieces = second.aiter_bytes()
            await first.aclose()
            for _ in range(5):
                await anext(pieces)
            assert hasty.hands.stopped.empty()
    assert await hasty.hands.stopped.get() == (claim.job.id, Reason.CLIENT_GONE)


async def test_the_services_own_stop_cancels_nothing(running: Service) -> None:
    """A waiting call is told so, with the job's id, under which it goes on."""
    async with asyncio.TaskGroup() as group:
        call = group.create_task(running.http.post("/v1/exec", json={"command": "sleep 9"}))
        claim = await running.hands.start()
        running.api.stopping.set()
    answer = call.result()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "stopping")
    assert answer.json()["error"]["details"]["job"] == claim.job.id
    job = await running.store.jobs.get(claim.job.id)
    assert job is not None
    assert job.cancel_requested is None


async def test_an_answer_that_has_begun_is_cut_at_the_services_stop(hasty: Service) -> None:
    """Not ended: a client must not take the spaces for an answer."""
    async with hasty.http.stream("POST", "/v1/exec", json={"command": "sleep 9"}) as answer:
        await hasty.hands.start()
        hasty.api.stopping.set()
        with pytest.raises(httpx.RemoteProtocolError):
            await answer.aread()
    assert hasty.hands.stopped.empty()


class Failing(Jobs):
    """The store, while its database is away for a moment."""

    failures = 3

    async def get(self, job_id: JobId) -> Job | None:
        if self.failures:
            self.failures -= 1
            raise Unavailable(Reason.INTERNAL_ERROR, "The database does not answer.")
        return await super().get(job_id)


async def test_a_waiting_call_outlasts_an_outage_of_the_store(running: Service) -> None:
    """It looks again, by itself: the change that it was told of went by unseen."""
    store = running.store
    jobs = Failing(store.database, store.sealer, running.api.clock)
    rules = Rules(look_again=timedelta(milliseconds=20))
    app = application(replace(running.api, jobs=jobs, rules=rules))
    async with (
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test", headers=bearer(running.key)
        ) as http,
        asyncio.TaskGroup() as group,
    ):
        call = group.create_task(http.post("/v1/exec", json={"command": "true"}))
        await running.hands.run()
    assert call.result().json()["status"] == "succeeded"
    assert jobs.failures == 0


async def test_respond_async_answers_with_the_job_at_once(running: Service) -> None:
    answer = await running.http.post(
        "/v1/exec", json={"command": "true"}, headers={"Prefer": "wait=3, respond-async"}
    )
    body = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{body['id']}"
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert (body["status"], body["waiting"]["because"], body["waiting"]["position"]) == (
        "queued",
        "capacity",
        0,
    )
    assert running.hands.stopped.empty()


async def test_the_same_idempotency_key_finds_the_same_run(running: Service) -> None:
    """Also where the body is written in another way; another body is a conflict, and has no effect."""
    headers = {"Idempotency-Key": "7f", "Content-Type": "application/json"}
    async with asyncio.TaskGroup() as group:
        call = group.create_task(
            running.http.post("/v1/exec", content=b'{"command":"true","pull":"never"}', headers=headers)
        )
        await running.hands.run()
    again = await running.http.post(
        "/v1/exec", content=b'{ "pull" : "never", "command": "true" }', headers=headers
    )
    assert again.json() == call.result().json()
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await running.http.post("/v1/exec", json={"command": "false"}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert len((await running.http.get("/v1/jobs")).json()["data"]) == 1


async def test_a_key_that_sees_only_its_own_jobs_gets_no_other_ones_by_idempotency(running: Service) -> None:
    headers = {"Idempotency-Key": "shared", "Prefer": "respond-async"}
    await running.http.post("/v1/exec", json={"command": "true"}, headers=headers)
    narrow = await running.key_with(own_jobs=True)
    answer = await running.http.post(
        "/v1/exec", json={"command": "true"}, headers={**headers, **bearer(narrow)}
    )
    assert answer.status_code == 409


async def test_events_come_as_the_run_goes_on(hasty: Service) -> None:
    """Characters across the border of two frames survive; ids are the frames' numbers; comments fill silence."""
    headers = {"Accept": "text/event-stream"}
    async with hasty.http.stream("POST", "/v1/exec", json={"command": "x"}, headers=headers) as answer:
        lines = answer.aiter_lines()
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert (await anext(lines)) == "event: started"
        started = json.loads((await anext(lines)).removeprefix("data: "))
        claim = await hasty.hands.start()
        assert started["id"] == claim.job.id == answer.headers["X-Chaser-Job"]
        assert await _line_that_begins(lines, ":")
        await hasty.hands.print(claim, "grü".encode()[:3], Stream.STDOUT)
        await hasty.hands.print(claim, b"err", Stream.STDERR)
        await hasty.hands.print(claim, "grü".encode()[3:], Stream.STDOUT)
        await hasty.hands.print(claim, b"", Stream.GAP, skipped=7)
        await hasty.hands.print(claim, b"end\xc3", Stream.STDOUT)
        await hasty.hands.end(claim, output_bytes=18)
        text = "\n".join([line async for line in lines])
    events = [_event(block) for block in text.split("\n\n") if "event:" in block]
    assert [(name, number) for name, number, _ in events] == [
        ("output", "1"),
        ("output", "2"),
        ("output", "3"),
        ("output", "4"),
        ("output", "5"),
        ("output", "5"),
        ("result", None),
    ]
    written = [(data["stream"], data["data"]) for name, _, data in events if name == "output"]
    assert written == [
        ("stdout", "gr"),
        ("stderr", "err"),
        ("stdout", "ü"),
        ("gap", ""),
        ("stdout", "end"),
        ("stdout", "\ufffd"),
    ]
    assert events[3][2]["skipped"] == 7
    assert events[-1][2]["status"] == "succeeded"


async def _line_that_begins(lines: AsyncIterator[str], start: str) -> str:
    async for line in lines:
        if line.startswith(start):
            return line
    return ""


def _event(block: str) -> tuple[str, str | None, dict[str, object]]:
    fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
    return fields["event"], fields.get("id"), json.loads(fields["data"])


async def test_a_stream_goes_on_after_the_last_event_that_was_seen(running: Service) -> None:
    headers = {"Idempotency-Key": "again", "Accept": "text/event-stream"}
    async with asyncio.TaskGroup() as group:
        group.create_task(running.http.post("/v1/exec", json={"command": "x"}, headers=headers))
        claim = await running.hands.start()
        for number in range(5):
            await running.hands.print(claim, f"{number}\n".encode())
        await running.hands.end(claim, output_bytes=10)
    again = await running.http.post(
        "/v1/exec", json={"command": "x"}, headers={**headers, "Last-Event-ID": "3"}
    )
    seen = [_event(block) for block in again.text.split("\n\n") if block.startswith("event: output")]
    assert [data["data"] for _, _, data in seen] == ["3\n", "4\n"]


async def test_a_slow_reader_holds_up_nobody(running: Service) -> None:
    """It takes nothing while 4 MiB are printed; others are served meanwhile, and in the end it has every byte."""
    printed = 64
    headers = {"Accept": "text/event-stream"}
    async with running.http.stream("POST", "/v1/exec", json={"command": "x"}, headers=headers) as slow:
        claim = await running.hands.start()
        for _ in range(printed):
            await running.hands.print(claim, b"x" * 65536)
        await running.hands.end(claim, output_bytes=printed * 65536)
        other = await running.http.get(f"/v1/jobs/{claim.job.id}")
        assert other.json()["result"]["output_truncated"] is True
        blocks = (await slow.aread()).decode().split("\n\n")
    outputs = [_event(block)[2] for block in blocks if block.startswith("event: output")]
    assert sum(len(str(data["data"])) for data in outputs) == printed * 65536


async def test_large_output_is_answered_as_its_two_ends(running: Service) -> None:
    async with asyncio.TaskGroup() as group:
        call = group.create_task(running.http.post("/v1/exec", json={"command": "x"}))
        claim = await running.hands.start()
        await running.hands.print(claim, b"begin")
        for _ in range(40):
            await running.hands.print(claim, b"x" * 65536)
        await running.hands.print(claim, b"end")
        await running.hands.end(claim, output_bytes=8 + 40 * 65536)
    body = call.result().json()
    output = body["output"]
    head, line, tail = output.split("\n")
    assert output.startswith("begin")
    assert output.endswith("end")
    assert len(output.encode()) <= 1 << 20
    left_out = int(line.removeprefix("[chaser: ").partition(" ")[0])
    assert len(head) + len(tail) + left_out == body["output_bytes"] == 8 + 40 * 65536
    assert body["output_truncated"] is True


async def test_nothing_is_taken_when_no_work_is_admitted(tmp_path: Path) -> None:
    def refuse() -> None:
        raise Unavailable(Reason.ENGINE_UNAVAILABLE, "The disk is low; free some space.", retry_after=30)

    async with service(tmp_path, admission=refuse) as made:
        answer = await made.http.post("/v1/exec", json={"command": "true"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
        assert (await made.http.get("/v1/jobs")).json()["data"] == []


async def test_a_full_queue_is_too_busy(tmp_path: Path) -> None:
    async with service(tmp_path, rules=Rules(max_queued=1)) as made:
        headers = {"Prefer": "respond-async"}
        assert (await made.http.post("/v1/exec", json={"command": "a"}, headers=headers)).status_code == 202
        full = await made.http.post("/v1/exec", json={"command": "b"}, headers=headers)
        assert (full.status_code, full.json()["error"]["code"]) == (429, "too_busy")
        assert full.headers["Retry-After"] == "10"
        assert full.headers["X-RateLimit-Limit"] == "600"


async def test_a_profile_bounds_what_may_be_asked(tmp_path: Path) -> None:
    profiles = {"default": PROFILE, "closed": replace(PROFILE, name="closed", network=Network.NONE)}
    async with service(tmp_path, profiles=profiles) as made:
        body = {"command": "x", "profile": "closed", "network": "internet", "limits": {"memory": "64g"}}
        answer = await made.http.post("/v1/exec", json=body)
        assert answer.status_code == 422
        faults = answer.json()["error"]["details"]["fields"]
        assert {fault["pointer"] for fault in faults} == {"/network", "/limits/memory"}
        narrow = await made.key_with(profiles=frozenset({"closed"}))
        refused = await made.http.post("/v1/exec", json={"command": "x"}, headers=bearer(narrow))
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")


async def test_secrets_show_in_no_answer(running: Service) -> None:
    body = {"command": "x", "env": {"TOKEN": "hunter2"}, "secrets": {"PIN": "hunter3"}, "stdin": "hunter4"}
    answer = await running.http.post("/v1/exec", json=body, headers={"Prefer": "respond-async"})
    assert "hunter" not in answer.text
    assert answer.json()["input"]["env"] == {"TOKEN": "***"}
    assert answer.json()["input"]["secrets"] == {"PIN": "***"}
    job = await running.store.jobs.get(JobId(answer.json()["id"]))
    assert job is not None
    assert job.secrets.env == {"TOKEN": "hunter2"}
    assert (job.secrets.masked, job.secrets.stdin) == ({"PIN": "hunter3"}, "hunter4")


async def test_a_client_that_leaves_while_it_sends_its_body_leaves_nothing(running: Service) -> None:
    host = running.url.removeprefix("http://")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    head = f"POST /v1/exec HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {running.key}\r\nContent-Length: 99\r\n\r\n"
    writer.write(head.encode() + b'{"command"')
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await reader.read() == b""
    assert (await running.http.get("/v1/jobs")).json()["data"] == []
