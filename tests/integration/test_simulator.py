"""The simulated GitHub, by itself: it refuses what GitHub refuses, and answers in GitHub's words and shapes."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Callable
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
from chaser.simulator.payload import Job
from chaser.simulator.serving import serving
from chaser.simulator.world import Runner, World
from tests.simulated import APP_ID, ORGANIZATION, PERSONAL, app_keys, new_world, other_keys

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
        assert answer.json()["events"] == ["workflow_job"]
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


async def test_a_repository_knows_its_installation(http: httpx.AsyncClient) -> None:
    answer = await http.get("/repos/octo-org/any/installation", headers=app_jwt())
    assert answer.json()["id"] == ORGANIZATION
    assert (await http.get("/repos/strangers/any/installation", headers=app_jwt())).status_code == 404


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


async def test_the_far_side_gives_a_runner_any_job_that_its_labels_fit(
    world: World, http: httpx.AsyncClient
) -> None:
    """As GitHub does: the job need not be the one that the runner was made for."""
    runner = world.register("repos/octocat/example", "one", ("chaser", "linux"))
    assert runner is not None
    world.wait(Job(("gpu",), id=1).waiting())
    world.wait(Job(("Chaser",), id=2, name="build").waiting())
    far, params = f"/_runner/{runner.id}", {"token": runner.token}
    assert (await http.post(f"{far}/online", params={"token": "wrong"})).status_code == 404
    assert (await http.post(f"{far}/online", params=params)).status_code == 204
    assert (await http.post(f"{far}/job", params=params)).json() == {"id": 2, "name": "build"}
    assert (runner.status, runner.busy) == ("online", True)
    assert (await http.post(f"{far}/complete", params=params)).status_code == 204
    assert world.runners == {}
    assert (await http.post(f"{far}/job", params=params)).status_code == 404


def test_a_configuration_names_the_far_side_only_where_there_is_one() -> None:
    runner = Runner(1, "repos/o/r", "one", ("chaser",))
    assert "SimulatorUrl" not in jit.decode(jit.encode(runner, "https://github.com", None))[".runner"]
    told = jit.decode(jit.encode(runner, "https://github.com", "http://here"))[".runner"]
    assert (told["SimulatorUrl"], told["SimulatorToken"]) == ("http://here/_runner/1", runner.token)
    assert runner.token not in repr(runner)


async def test_the_program_serves_and_keeps_its_key_private(tmp_path: Path) -> None:
    key = tmp_path / "app.pem"
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chaser.simulator", "serve", "--port", "0", "--key", str(key)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert program.stdout is not None
        line = (await program.stdout.readline()).decode()
        url = next(word for word in line.split() if word.startswith("http://"))
        claims = {"iss": "1", "iat": int(time.time()), "exp": int(time.time()) + 60}
        headers = {"Authorization": f"Bearer {jwt.encode(claims, key.read_text(), algorithm='RS256')}"}
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{url}/app", headers=headers)).status_code == 200
        assert key.stat().st_mode & 0o777 == 0o600
    finally:
        program.terminate()
        await program.wait()


async def test_the_program_sends_one_signed_delivery() -> None:
    received: list[tuple[str | None, str | None, object]] = []

    async def receive(request: Request) -> Response:
        headers = request.headers
        body: object = await request.json()
        received.append((headers.get("x-github-delivery"), headers.get("x-hub-signature-256"), body))
        return Response("stored", 202)

    async with serving(Starlette(routes=[Route("/hook", receive, methods=["POST"])])) as url:
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chaser.simulator", "deliver", "--url", f"{url}/hook"),
            *("--label", "chaser", "--label", "linux", "--guid", "again"),
            env={**os.environ, "CHASER_GITHUB__WEBHOOK_SECRET": "secret"},
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await program.communicate()
    assert (program.returncode, output) == (0, b"202 stored\n")
    ((guid, signature, body),) = received
    assert (guid, str(signature)[:7]) == ("again", "sha256=")
    told = models.WebhookWorkflowJobQueued.model_validate(body)
    assert told.workflow_job.labels == ["chaser", "linux"]
