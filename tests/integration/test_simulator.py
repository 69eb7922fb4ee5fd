"""The simulated GitHub, by itself: it refuses what GitHub refuses, and answers in GitHub's words and shapes."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import jwt
import pytest
from githubkit_schemas.v2026_03_10 import models  # pyright: ignore[reportMissingTypeStubs] # typed, but unmarked
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaser.simulator import jit
from chaser.simulator.app import github
from chaser.simulator.serving import serving
from chaser.simulator.world import Runner, World
from tests.simulated import APP_ID, ORGANIZATION, PERSONAL, app_keys, new_world, other_keys, until

RUNNERS = "/repos/octocat/example/actions/runners"
JIT = f"{RUNNERS}/generate-jitconfig"
GOOD: dict[str, object] = {"name": "one", "runner_group_id": 1, "labels": ["Chaser"], "work_folder": "_work"}


@pytest.fixture
def world() -> World:
    return new_world()


@pytest.fixture
async def http(world: World) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(github(world, far_side="http://simulated"))
    async with httpx.AsyncClient(transport=transport, base_url="http://simulated") as client:
        yield client


def app_jwt(
    *,
    key: str | None = None,
    issuer: object = APP_ID,
    issued: float = -60,
    expires: float = 540,
    algorithm: str = "RS256",
) -> dict[str, str]:
    claims = {"iss": str(issuer), "iat": int(time.time() + issued), "exp": int(time.time() + expires)}
    return {"Authorization": f"Bearer {jwt.encode(claims, key or app_keys().private, algorithm=algorithm)}"}


async def token(http: httpx.AsyncClient, installation: int = PERSONAL) -> dict[str, str]:
    answer = await http.post(f"/app/installations/{installation}/access_tokens", headers=app_jwt())
    return {"Authorization": f"token {answer.json()['token']}"}


@pytest.mark.parametrize(
    ("made", "status"),
    [
        (app_jwt, 200),
        (dict, 401),
        (lambda: {"Authorization": "Bearer nonsense"}, 401),
        (lambda: {"Authorization": "Basic nonsense"}, 401),
        (lambda: app_jwt(key=other_keys().private), 401),
        (lambda: app_jwt(expires=-1), 401),
        (lambda: app_jwt(expires=700), 401),
        (lambda: app_jwt(issued=60), 401),
        (lambda: app_jwt(issuer=9), 404),
        (lambda: app_jwt(key="x" * 40, algorithm="HS256"), 401),
    ],
    ids=range(10),
)
async def test_only_the_apps_own_jwt_of_at_most_ten_minutes_is_the_app(
    http: httpx.AsyncClient, made: Callable[[], dict[str, str]], status: int
) -> None:
    """The headers are made when the test runs: a JWT is as old as the test session otherwise."""
    answer = await http.get("/app", headers=made())
    assert answer.status_code == status
    if status == 200:
        assert models.Integration.model_validate_json(answer.content).events == ["workflow_job"]
    else:
        models.BasicError.model_validate_json(answer.content)


async def test_an_installation_token_is_long_and_what_github_documents(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"/app/installations/{PERSONAL}/access_tokens", headers=app_jwt())
    assert answer.status_code == 201
    granted = models.InstallationToken.model_validate_json(answer.content)
    assert granted.token.startswith(f"ghs_{APP_ID}_")
    assert len(granted.token) > 300
    assert "x-ratelimit-remaining" in answer.headers


async def test_an_unknown_installation_is_not_found(http: httpx.AsyncClient) -> None:
    answer = await http.post("/app/installations/99/access_tokens", headers=app_jwt())
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("path", "installation"),
    [
        ("/repos/octo-org/any/installation", ORGANIZATION),
        ("/repos/octocat/any/installation", PERSONAL),
        ("/repos/strangers/any/installation", None),
        ("/orgs/octo-org/installation", ORGANIZATION),
        ("/orgs/octocat/installation", None),
        ("/users/octocat/installation", PERSONAL),
        ("/users/octo-org/installation", None),
        (f"/app/installations/{PERSONAL}", PERSONAL),
        ("/app/installations/99", None),
    ],
)
async def test_an_installation_is_found_by_what_it_covers(
    http: httpx.AsyncClient, path: str, installation: int | None
) -> None:
    answer = await http.get(path, headers=app_jwt())
    if installation is None:
        assert answer.status_code == 404
    else:
        assert models.Installation.model_validate_json(answer.content).id == installation
    assert (await http.get(path)).status_code == 401


async def test_all_installations_are_listed(world: World, http: httpx.AsyncClient) -> None:
    world.installations[PERSONAL].suspended = True
    listed = (await http.get("/app/installations", headers=app_jwt())).json()
    found = [models.Installation.model_validate(one) for one in listed]
    assert [(one.id, one.suspended_at is None) for one in found] == [(PERSONAL, False), (ORGANIZATION, True)]
    assert [one["account"]["type"] for one in listed] == ["User", "Organization"]


async def test_a_token_may_be_asked_for_less_but_not_for_more(http: httpx.AsyncClient) -> None:
    path = f"/app/installations/{PERSONAL}/access_tokens"
    less: dict[str, object] = {"repositories": ["example"], "permissions": {"administration": "read"}}
    answer = await http.post(path, json=less, headers=app_jwt())
    assert (answer.json()["permissions"], answer.json()["repository_selection"]) == (
        {"administration": "read"},
        "selected",
    )
    headers = {"Authorization": f"token {answer.json()['token']}"}
    assert (await http.get(RUNNERS, headers=headers)).status_code == 200
    assert (await http.post(JIT, json=GOOD, headers=headers)).status_code == 403
    assert (await http.get(RUNNERS.replace("example", "other"), headers=headers)).status_code == 404
    for more, status in (
        ({"permissions": {"contents": "write"}}, 422),
        ({"permissions": {"administration": "admin"}}, 422),
        ({"permissions": "all"}, 422),
        ({"repositories": [1]}, 422),
    ):
        assert (await http.post(path, json=more, headers=app_jwt())).status_code == status
    assert (await http.post(path, content="{", headers=app_jwt())).status_code == 400


async def test_a_jit_configuration_is_what_github_documents(world: World, http: httpx.AsyncClient) -> None:
    answer = await http.post(JIT, json=GOOD, headers=await token(http))
    assert answer.status_code == 201
    made = models.OrgsOrgActionsRunnersGenerateJitconfigPostResponse201.model_validate_json(answer.content)
    assert (made.runner.name, made.runner.status, made.runner.busy) == ("one", "offline", False)
    assert [label.name for label in made.runner.labels] == ["chaser"]
    assert 3000 < len(made.encoded_jit_config) < 6000
    assert set(jit.decode(made.encoded_jit_config)) == {".runner", ".credentials", ".credentials_rsaparams"}


async def test_a_name_is_taken_once_in_each_scope(http: httpx.AsyncClient) -> None:
    headers = await token(http)
    assert (await http.post(JIT, json=GOOD, headers=headers)).status_code == 201
    answer = await http.post(JIT, json=GOOD, headers=headers)
    assert (answer.status_code, answer.json()["message"].startswith("Already exists")) == (409, True)
    assert (await http.post(JIT.replace("example", "other"), json=GOOD, headers=headers)).status_code == 201


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"name": None}, 422),
        ({"name": ""}, 422),
        ({"name": "x" * 65}, 422),
        ({"runner_group_id": "1"}, 422),
        ({"runner_group_id": 9}, 404),
        ({"labels": []}, 422),
        ({"labels": ["x"] * 101}, 422),
        ({"labels": ["x" * 257]}, 422),
        ({"labels": "chaser"}, 422),
    ],
)
async def test_what_github_does_not_accept_is_refused(
    http: httpx.AsyncClient, change: dict[str, object], status: int
) -> None:
    answer = await http.post(JIT, json={**GOOD, **change}, headers=await token(http))
    assert answer.status_code == status


@pytest.mark.parametrize("missing", ["name", "runner_group_id", "labels"])
async def test_a_missing_key_is_named(http: httpx.AsyncClient, missing: str) -> None:
    body = {key: value for key, value in GOOD.items() if key != missing}
    answer = await http.post(JIT, json=body, headers=await token(http))
    assert (answer.status_code, f"missing required key: {missing}" in answer.text) == (422, True)


async def test_tokens_are_good_for_their_own_account_and_permissions(
    world: World, http: httpx.AsyncClient
) -> None:
    assert (await http.post(JIT, json=GOOD)).status_code == 401
    assert (await http.post(JIT, json=GOOD, headers={"Authorization": "token ghs_wrong"})).status_code == 401
    assert (await http.post(JIT, json=GOOD, headers=await token(http, ORGANIZATION))).status_code == 404
    world.installations[PERSONAL].permissions = {"administration": "read"}
    headers = await token(http)
    assert (await http.post(JIT, json=GOOD, headers=headers)).status_code == 403
    assert (await http.get(RUNNERS, headers=headers)).status_code == 200
    world.tokens = {text: (owner, time.time() - 1) for text, (owner, _) in world.tokens.items()}
    assert (await http.get(RUNNERS, headers=headers)).status_code == 401


async def test_runners_are_listed_read_and_deleted(world: World, http: httpx.AsyncClient) -> None:
    headers = await token(http)
    for name in ("one", "two"):
        await http.post(JIT, json={**GOOD, "name": name}, headers=headers)
    listed = (await http.get(RUNNERS, params={"name": "two"}, headers=headers)).json()
    assert [runner["name"] for runner in listed["runners"]] == ["two"]
    assert len((await http.get(RUNNERS, params={"per_page": "1"}, headers=headers)).json()["runners"]) == 1
    two = f"{RUNNERS}/{listed['runners'][0]['id']}"
    models.Runner.model_validate_json((await http.get(two, headers=headers)).content)
    world.runners[2].busy = True
    assert (await http.delete(two, headers=headers)).status_code == 422
    world.runners[2].busy = False
    assert (await http.delete(two, headers=headers)).status_code == 204
    assert (await http.delete(two, headers=headers)).status_code == 404


def test_a_configuration_names_the_far_side_only_where_there_is_one() -> None:
    runner = Runner(1, "repos/o/r", "one", ("chaser",))
    assert "SimulatorUrl" not in jit.decode(jit.encode(runner, "https://github.com", None))[".runner"]
    told = jit.decode(jit.encode(runner, "https://github.com", "http://here"))[".runner"]
    assert (told["SimulatorUrl"], told["SimulatorToken"]) == ("http://here/_runner/1", runner.token)
    assert runner.token not in repr(runner)


@asynccontextmanager
async def program(*words: str, **environ: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chaser.simulator", *words),
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def address(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    return next(word for word in line.split() if word.startswith("http://"))


async def test_the_program_serves_and_keeps_its_key_private(tmp_path: Path) -> None:
    key = tmp_path / "app.pem"
    async with program("serve", "--port", "0", "--key", str(key)) as process:
        url = await address(process)
        claims = {"iss": "1", "iat": int(time.time()), "exp": int(time.time()) + 60}
        headers = {"Authorization": f"Bearer {jwt.encode(claims, key.read_text(), algorithm='RS256')}"}
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{url}/app", headers=headers)).status_code == 200
        assert key.stat().st_mode & 0o777 == 0o600


async def test_the_program_starts_runs_whose_jobs_are_told_to_the_webhook(tmp_path: Path) -> None:
    received: list[dict[str, object]] = []

    async def receive(request: Request) -> Response:
        received.append(await request.json())
        return Response(status_code=202)

    words = ("serve", "--port", "0", "--key", str(tmp_path / "app.pem"), "--organization", "octo-org")
    async with (
        serving(Starlette(routes=[Route("/hook", receive, methods=["POST"])])) as hook,
        program(*words, "--hook-url", f"{hook}/hook", CHASER_GITHUB__WEBHOOK_SECRET="secret") as served,
    ):
        run = ("run", "--simulator", await address(served), "--repository", "octo-org/example")
        async with program(*run, "--jobs", "2", "--command", "echo hello") as process:
            output, _ = await process.communicate()
        jobs = json.loads(output)["jobs"]
        await until(lambda: len(received) == 2)
    told = [models.WebhookWorkflowJobQueued.model_validate(body) for body in received]
    assert {one.workflow_job.id for one in told} == {job["id"] for job in jobs}
    assert {one.workflow_job.name for one in told} == {"build (1)", "build (2)"}
    assert told[0].organization


async def test_the_program_sends_one_signed_delivery() -> None:
    received: list[tuple[str | None, str | None, object]] = []

    async def receive(request: Request) -> Response:
        headers = request.headers
        body: object = await request.json()
        received.append((headers.get("x-github-delivery"), headers.get("x-hub-signature-256"), body))
        return Response("stored", 202)

    async with serving(Starlette(routes=[Route("/hook", receive, methods=["POST"])])) as url:
        words = (
            "deliver",
            "--url",
            f"{url}/hook",
            "--label",
            "chaser",
            "--label",
            "linux",
            "--guid",
            "again",
        )
        async with program(*words, CHASER_GITHUB__WEBHOOK_SECRET="secret") as process:
            output, _ = await process.communicate()
    assert (process.returncode, output) == (0, b"202 stored\n")
    ((guid, signature, body),) = received
    assert (guid, str(signature)[:7]) == ("again", "sha256=")
    told = models.WebhookWorkflowJobQueued.model_validate(body)
    assert told.workflow_job.labels == ["chaser", "linux"]
