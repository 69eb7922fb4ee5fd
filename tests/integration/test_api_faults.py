"""Bad input, unknown paths, ill parts, defects: over real HTTP."""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaser.api.context import Rules
from chaser.api.middleware import RequestIdentity
from chaser.api.problems import exception_handlers
from chaser.clock import SystemClock
from chaser.errors import Unavailable
from chaser.jobs.reason import Reason
from tests.api_service import Service, service


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Service]:
    async with service(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"command=true",
        b"{",
        b'{"command": NaN}',
        b'{"command": -Infinity}',
        b'{"command": "\xff"}',
        b'\xef\xbb\xbf{"command": "true"}',
        b'{"command": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"timeout_ms": ' + b"9" * 5000 + b"}",
        '{"command": "true"}'.encode("utf-16"),
    ],
)
async def test_what_is_not_json_is_malformed(running: Service, body: bytes) -> None:
    answer = await running.http.post("/v1/exec", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed_json")


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_body_beyond_the_limit_is_refused(running: Service, streamed: bool) -> None:
    """Whether its length is announced or not; and the connection's next request is served."""
    body = json.dumps({"command": "x" * (2 << 20)}).encode()

    async def pieces() -> AsyncGenerator[bytes]:
        for begin in range(0, len(body), 65536):
            yield body[begin : begin + 65536]

    answer = await running.http.post("/v1/exec", content=pieces() if streamed else body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    assert (await running.http.get("/v1/jobs")).json()["data"] == []


async def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    async with service(tmp_path, rules=Rules(body_deadline=timedelta(milliseconds=50))) as made:
        stuck = asyncio.Event()

        async def pieces() -> AsyncGenerator[bytes]:
            yield b"{"
            await stuck.wait()

        call = asyncio.create_task(made.http.post("/v1/exec", content=pieces()))
        # the client only reads once it has sent all, so let it
        await asyncio.wait({call}, timeout=0.2)
        stuck.set()
        assert (await call).status_code == 408


async def test_every_fault_is_named_at_once(running: Service) -> None:
    body = {
        "command": "",
        "timeout_ms": "5",
        "queue_timeout_ms": -1,
        "env": {"A=B": "x", "OK": 5},
        "image": "debian:12; rm -rf /",
        "user": "-x",
        "cwd": "relative",
        "limits": {"cpus": True, "memory": "4x", "pids": 0, "disks": 1},
        "profile": "none",
        "colour": "red",
    }
    answer = await running.http.post("/v1/exec", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "invalid_request")
    assert {fault["pointer"] for fault in error["details"]["fields"]} == {
        "/command",
        "/timeout_ms",
        "/queue_timeout_ms",
        "/env/A=B",
        "/env/OK",
        "/image",
        "/user",
        "/cwd",
        "/limits/cpus",
        "/limits/memory",
        "/limits/pids",
        "/limits/disks",
        "/profile",
        "/colour",
    }
    assert all(fault["reason"] for fault in error["details"]["fields"])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"command": "a\\u0000b"}', "/command"),
        (b'{"command": "a", "env": {"A": "\\u0000"}}', "/env/A"),
        (b'{"command": "\\ud800"}', "/command"),
        (b'{"command": "a", "env": {"\\udfff": "b"}}', "/env/?"),
        (b'{"command": "a", "inputs": [{"upload": "x", "path": "\\u0000"}]}', "/inputs/0/path"),
        (b'{"command": "a", "a/b~c": 1}', "/a~1b~0c"),
        (b'["command"]', ""),
        (b"5", ""),
    ],
)
async def test_what_no_shell_or_store_can_carry_is_a_fault(
    running: Service, body: bytes, pointer: str
) -> None:
    answer = await running.http.post("/v1/exec", content=body)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["error"]["details"]["fields"]] == [pointer]


async def test_more_faults_than_anyone_reads_are_counted(running: Service) -> None:
    answer = await running.http.post("/v1/exec", json={f"f{number}": 1 for number in range(5000)})
    details = answer.json()["error"]["details"]
    assert (len(details["fields"]), details["fields_left_out"]) == (100, 4901)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"keep_on_failure": True}, ["/keep_on_failure"]),
        ({"network": "allowlist"}, ["/network"]),
    ],
)
async def test_what_is_not_served_is_never_ignored(
    running: Service, body: dict[str, object], names: list[str]
) -> None:
    answer = await running.http.post("/v1/exec", json={"command": "true", **body})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "not_supported")
    assert error["details"]["not_supported"] == names


@pytest.mark.parametrize(
    "query",
    [
        "?limit=0",
        "?limit=101",
        "?limit=x",
        "?limit=",
        "?limit=1&limit=2",
        "?status=done",
        "?cursor=%00",
        "?colour=red",
        "?kind=%ff",
    ],
)
async def test_a_query_with_a_fault_is_refused(running: Service, query: str) -> None:
    answer = await running.http.get(f"/v1/jobs{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")


async def test_an_idempotency_key_is_printable(running: Service) -> None:
    for key in ("", "x" * 256, "a\tb", "\xe9"):
        headers = {"Idempotency-Key": key.encode("latin-1")}
        answer = await running.http.post("/v1/exec", json={"command": "x"}, headers=headers)  # pyright: ignore[reportArgumentType]
        assert answer.status_code == 422, key


async def test_unknown_paths_and_methods_have_the_shape_of_all_errors(running: Service) -> None:
    missing = await running.http.get("/v1/nothing")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    wrong = await running.http.put("/v1/keys")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")
    assert set(wrong.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST"}


async def test_a_doubled_slash_is_forgiven(running: Service) -> None:
    assert (await running.http.get(f"{running.url}//v1//jobs")).status_code == 200


async def test_every_answer_names_its_request(running: Service) -> None:
    """A well-formed id is kept, any other is replaced."""
    kept = await running.http.get("/livez", headers={"X-Request-Id": "ci-42:a.b_c"})
    assert kept.headers.get_list("X-Request-Id") == ["ci-42:a.b_c"]
    for bad in ("a b", "x" * 129, 'a"b', ""):
        replaced = await running.http.get("/v1/nothing", headers={"X-Request-Id": bad})
        assert replaced.headers["X-Request-Id"].startswith("req_")


async def test_a_defect_shows_its_request_id_and_nothing_else() -> None:
    """No traceback, no message of the exception."""

    async def broken(request: Request) -> Response:
        raise ZeroDivisionError("a secret")

    app = Starlette(
        routes=[Route("/", broken)],
        middleware=[Middleware(RequestIdentity, clock=SystemClock())],
        exception_handlers=exception_handlers(),
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        answer = await http.get("/", headers={"X-Request-Id": "mine"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert answer.headers["X-Request-Id"] == "mine"
    assert "mine" in answer.json()["error"]["message"]
    assert "secret" not in answer.text


async def test_readiness_names_what_is_ill(tmp_path: Path) -> None:
    async def ill() -> None:
        raise Unavailable(Reason.ENGINE_UNAVAILABLE, "Docker does not answer; start it.")

    async def slow() -> None:
        await asyncio.Event().wait()

    async def well() -> None:
        return

    rules = Rules(ping_deadline=timedelta(milliseconds=50))
    async with service(tmp_path, rules=rules, pings={"engine": ill, "slow": slow, "store": well}) as made:
        made.http.headers.pop("Authorization")
        answer = await made.http.get("/readyz")
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (503, "not_ready")
        assert "engine: Docker does not answer; start it." in error["message"]
        assert "store:" not in error["message"]
        assert error["details"]["checks"]["store"]["ok"] is True
        assert error["details"]["checks"]["slow"]["ok"] is False
        assert (await made.http.get("/livez")).json() == {"status": "ok", "version": "0.0.0"}


async def test_a_ready_service_says_so_until_it_stops(running: Service) -> None:
    assert (await running.http.get("/readyz")).json()["status"] == "ready"
    running.api.stopping.set()
    assert (await running.http.get("/readyz")).status_code == 503
