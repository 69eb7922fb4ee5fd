"""Keys, and what each call may do, over real HTTP."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chaser import keys
from chaser.api.context import Rules
from chaser.keys import Scope
from tests.api_service import Service, bearer, service


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Service]:
    async with service(tmp_path) as made:
        yield made


async def test_a_new_key_is_shown_once_and_works(running: Service) -> None:
    answer = await running.http.post("/v1/keys", json={"name": "ci", "scopes": ["jobs.read"]})
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert (await running.http.get("/v1/jobs", headers=bearer(made["key"]))).status_code == 200
    listed = await running.http.get("/v1/keys")
    assert [key["name"] for key in listed.json()["data"]] == ["ci", "first"]
    assert made["key"] not in listed.text


async def test_a_revoked_key_opens_nothing(running: Service) -> None:
    made = (await running.http.post("/v1/keys", json={"name": "ci", "full": True})).json()
    revoked = await running.http.delete(f"/v1/keys/{made['id']}")
    assert revoked.json()["revoked_at"] is not None
    answer = await running.http.get("/v1/jobs", headers=bearer(made["key"]))
    assert answer.status_code == 401
    for path in ("/v1/keys/key_" + "0" * 26, "/v1/keys/%00"):
        assert (await running.http.delete(path)).status_code == 404


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer sk_",
        f"Bearer {keys.generate().text}",
        "Basic Zm9vOmJhcg==",
        "Bearer sk_\xe9",
        "Bearer " + "x" * 5000,
    ],
)
async def test_without_a_valid_key_nothing_is_answered(running: Service, header: str | None) -> None:
    headers = {"Authorization": header.encode("latin-1")} if header is not None else {}
    running.http.headers.pop("Authorization")
    answer = await running.http.get("/v1/jobs", headers=headers)  # pyright: ignore[reportArgumentType]
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorized"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="chaser"'


async def test_an_expired_key_opens_nothing(running: Service) -> None:
    old = await running.key_with(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert (await running.http.get("/v1/jobs", headers=bearer(old))).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/exec"),
        ("GET", "/v1/jobs"),
        ("POST", "/v1/jobs/job_x/cancel"),
        ("GET", "/v1/keys"),
        ("POST", "/v1/keys"),
        ("DELETE", "/v1/keys/key_x"),
    ],
)
async def test_each_route_needs_its_scope(running: Service, method: str, path: str) -> None:
    poor = await running.key_with(scopes=frozenset({Scope.RUNNERS_READ}))
    answer = await running.http.request(method, path, headers=bearer(poor), json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


async def test_a_key_makes_no_key_that_may_do_more(running: Service) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    maker = await running.key_with(
        scopes=frozenset({Scope.KEYS_WRITE, Scope.JOBS_READ}),
        profiles=frozenset({"default"}),
        max_running=2,
        own_jobs=True,
        expires_at=soon,
    )
    wanted = {"name": "n", "scopes": ["jobs.read"]}
    later = (soon + timedelta(days=1)).isoformat()
    for more in (
        {"scopes": ["exec.write"]},
        {"profiles": ["other"]},
        {"max_running": 3},
        {"own_jobs": False},
        {"expires_at": later},
    ):
        answer = await running.http.post("/v1/keys", json={**wanted, **more}, headers=bearer(maker))
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), more
    inherits = (await running.http.post("/v1/keys", json=wanted, headers=bearer(maker))).json()
    assert (inherits["profiles"], inherits["max_running"], inherits["own_jobs"]) == (["default"], 2, True)
    assert datetime.fromisoformat(inherits["expires_at"]) <= soon


async def test_a_key_that_calls_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    async with service(tmp_path, rules=Rules(rate="3/day")) as made:
        answers = await asyncio.gather(*(made.http.get("/v1/jobs") for _ in range(5)))
        allowed = [answer for answer in answers if answer.status_code == 200]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert (len(allowed), len(refused)) == (3, 2)
        assert refused[0].json()["error"]["code"] == "rate_limited"
        assert refused[0].headers["X-RateLimit-Remaining"] == "0"
        assert 0 < int(refused[0].headers["Retry-After"]) <= 86400
        other = await made.key_with()
        assert (await made.http.get("/v1/jobs", headers=bearer(other))).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "n"}, "/scopes"),
        ({"name": "n", "full": True, "scopes": ["jobs.read"]}, "/scopes"),
        ({"name": "", "full": True}, "/name"),
        ({"name": "a\u001bb", "full": True}, "/name"),
        ({"name": "n", "full": True, "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"name": "n", "full": True, "expires_at": "9999-12-31T23:59:59-12:00"}, "/expires_at"),
        ({"name": "n", "full": True, "expires_at": "2090-01-01T00:00:00"}, "/expires_at"),
        ({"name": "n", "full": True, "max_running": True}, "/max_running"),
    ],
)
async def test_a_key_request_with_a_fault_names_it(
    running: Service, body: dict[str, object], pointer: str
) -> None:
    answer = await running.http.post("/v1/keys", json=body)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["error"]["details"]["fields"]] == [pointer]


async def test_a_key_gives_no_more_workspaces_than_it_has(running: Service) -> None:
    maker = bearer(await running.key_with(workspace_prefix="team-"))
    body = {"name": "n", "full": True}
    made = await running.http.post("/v1/keys", json=body, headers=maker)
    assert (made.status_code, made.json()["workspace_prefix"]) == (201, "team-")
    narrower = await running.http.post("/v1/keys", json={**body, "workspace_prefix": "TEAM-a"}, headers=maker)
    assert (narrower.status_code, narrower.json()["workspace_prefix"]) == (201, "TEAM-a")
    other = await running.http.post("/v1/keys", json={**body, "workspace_prefix": "t"}, headers=maker)
    assert (other.status_code, other.json()["error"]["code"]) == (403, "forbidden")
