"""The App's client and registrar against the simulated GitHub, over HTTP."""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
from githubkit_schemas.v2026_03_10 import models  # pyright: ignore[reportMissingTypeStubs] # typed, but unmarked

from chaser.clock import ManualClock
from chaser.errors import ConfigError, Refused, Unavailable
from chaser.github.client import AppClient
from chaser.github.registrar import AppRegistrar
from chaser.jobs.reason import Reason
from chaser.runners.app import Credentials
from chaser.runners.registration import Owner, Registrar, Registration, Removal
from chaser.secret import Secret
from chaser.simulator import jit
from chaser.simulator.world import Fault, Installation
from tests.simulated import ORGANIZATION, PERSONAL, GitHubSide, other_keys, simulated_github

USER = Owner(PERSONAL, "octocat/example", None)
ORG = Owner(ORGANIZATION, "octo-org/example", "octo-org")
REPO_RUNNERS = "/repos/octocat/example/actions/runners"
TOKEN = f"POST /app/installations/{PERSONAL}/access_tokens"
MINT = f"POST {REPO_RUNNERS}/generate-jitconfig"


@pytest.fixture
async def side() -> AsyncGenerator[GitHubSide]:
    async with simulated_github() as side:
        yield side


@pytest.fixture
async def registrar(side: GitHubSide) -> AsyncGenerator[Registrar]:
    async with side.client() as client:
        yield AppRegistrar(client)


async def test_a_mint_registers_a_runner_with_the_repository(side: GitHubSide, registrar: Registrar) -> None:
    minted = await registrar.mint(USER, "chaser-a-1", ["chaser", "linux"])
    (runner,) = side.world.runners.values()
    assert (runner.id, runner.name, runner.labels) == (minted.runner_id, minted.name, ("chaser", "linux"))
    assert runner.scope == "repos/octocat/example"
    files = jit.decode(minted.jit_config.reveal())
    assert files[".runner"]["AgentName"] == "chaser-a-1"
    assert minted.jit_config.reveal() not in repr(minted)


async def test_where_the_app_may_it_registers_with_the_organization(
    side: GitHubSide, registrar: Registrar
) -> None:
    minted = await registrar.mint(ORG, "chaser-a-1", ["chaser"])
    (runner,) = side.world.runners.values()
    assert runner.scope == "orgs/octo-org"
    assert await registrar.find(ORG, "chaser-a-1") == Registration(
        minted.runner_id, "chaser-a-1", online=False, busy=False
    )
    assert await registrar.remove(ORG, minted.runner_id) is Removal.REMOVED


async def test_an_organization_that_grants_only_repositories_gets_them_there(
    side: GitHubSide, registrar: Registrar
) -> None:
    side.world.install(Installation(ORGANIZATION, "octo-org"))
    await registrar.mint(ORG, "chaser-a-1", ["chaser"])
    (runner,) = side.world.runners.values()
    assert runner.scope == "repos/octo-org/example"


async def test_an_app_without_either_permission_is_told_which_to_grant(
    side: GitHubSide, registrar: Registrar
) -> None:
    side.world.install(Installation(PERSONAL, "octocat", {"metadata": "read"}))
    side.world.install(Installation(ORGANIZATION, "octo-org", {"metadata": "read"}))
    with pytest.raises(Refused, match=r"Self-hosted runners.*Administration.*Permissions & events"):
        await registrar.mint(ORG, "chaser-a-1", ["chaser"])
    with pytest.raises(Refused, match=r'grant it "Administration \(repository\): read and write"') as caught:
        await registrar.mint(USER, "chaser-a-1", ["chaser"])
    assert caught.value.reason is Reason.GITHUB_REFUSED
    assert side.world.count(MINT) == 0


async def test_one_token_serves_all_calls_of_its_hour(side: GitHubSide) -> None:
    clock = ManualClock()
    async with side.client(clock=clock) as client:
        registrar = AppRegistrar(client)
        await asyncio.gather(*(registrar.mint(USER, f"chaser-{n}", ["chaser"]) for n in range(8)))
        assert side.world.count(TOKEN) == 1
        clock.advance(timedelta(minutes=54))
        await registrar.find(USER, "chaser-1")
        assert side.world.count(TOKEN) == 1
        clock.advance(timedelta(minutes=2))
        await registrar.find(USER, "chaser-1")
        assert side.world.count(TOKEN) == 2


async def test_a_revoked_token_is_replaced_once(side: GitHubSide, registrar: Registrar) -> None:
    await registrar.find(USER, "chaser-a-1")
    side.world.tokens.clear()
    await registrar.mint(USER, "chaser-a-1", ["chaser"])
    assert side.world.count(TOKEN) == 2
    side.world.faults.extend([Fault("/generate-jitconfig", 401), Fault("/generate-jitconfig", 401)])
    with pytest.raises(Refused, match=r"401.*clock"):
        await registrar.mint(USER, "chaser-a-2", ["chaser"])
    assert side.world.count(TOKEN) == 3


async def test_calls_from_other_tasks_use_the_connections_of_the_opener(
    side: GitHubSide, registrar: Registrar
) -> None:
    """Left to itself githubkit opens, and closes, a connection for each call."""
    await registrar.find(USER, "chaser-a-1")
    await asyncio.create_task(registrar.find(USER, "chaser-a-1"))
    assert len({call.peer for call in side.world.calls}) == 2


async def test_a_name_that_a_lost_answer_left_behind_is_taken_over(
    side: GitHubSide, registrar: Registrar
) -> None:
    left = side.world.register("repos/octocat/example", "chaser-a-1", ("chaser",))
    assert left is not None
    minted = await registrar.mint(USER, "chaser-a-1", ["chaser"])
    assert set(side.world.runners) == {minted.runner_id}
    assert minted.runner_id != left.id
    assert side.world.count(MINT) == 2


@pytest.mark.parametrize("living", ["online", "busy"])
async def test_a_name_under_which_something_lives_is_left_alone(
    side: GitHubSide, registrar: Registrar, living: str
) -> None:
    left = side.world.register("repos/octocat/example", "chaser-a-1", ("chaser",))
    assert left is not None
    left.status, left.busy = "online" if living == "online" else "offline", living == "busy"
    with pytest.raises(Unavailable, match="another name"):
        await registrar.mint(USER, "chaser-a-1", ["chaser"])
    assert set(side.world.runners) == {left.id}


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_mint_whose_answer_is_lost_is_never_repeated_by_itself(
    side: GitHubSide, registrar: Registrar, status: int
) -> None:
    """The registration may exist: it is found by its name, and removed, when the attempt is settled."""
    side.world.faults.append(Fault("/generate-jitconfig", status, after_effect=True))
    with pytest.raises(Unavailable, match=str(status)) as caught:
        await registrar.mint(USER, "chaser-a-1", ["chaser"])
    assert caught.value.reason is Reason.GITHUB_UNAVAILABLE
    assert side.world.count(MINT) == 1
    left = await registrar.find(USER, "chaser-a-1")
    assert left is not None
    assert await registrar.remove(USER, left.runner_id) is Removal.REMOVED


async def test_an_answer_that_does_not_come_is_given_up(side: GitHubSide) -> None:
    side.world.faults.append(Fault("/generate-jitconfig", 0, after_effect=True))
    async with side.client(timeout=2) as client:
        with pytest.raises(Unavailable, match="no answer in time"):
            await AppRegistrar(client).mint(USER, "chaser-a-1", ["chaser"])
    assert side.world.count(MINT) == 1


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        (
            Fault("", 403, {"message": "Resource not accessible by integration"}),
            "permissions that app.yml names",
        ),
        (Fault("", 404, {"message": "Not Found"}), "still installed"),
        (Fault("", 422, {"message": "Validation Failed"}), '"Validation Failed"'),
        (Fault("", 400), "github.api_url"),
        (Fault("", 418), "418"),
    ],
)
async def test_a_refusal_says_what_to_do(
    side: GitHubSide, registrar: Registrar, fault: Fault, advice: str
) -> None:
    await registrar.find(USER, "chaser-a-1")
    side.world.faults.append(fault)
    with pytest.raises(Refused, match=advice) as caught:
        await registrar.mint(USER, "chaser-a-1", ["chaser"])
    assert caught.value.reason is Reason.GITHUB_REFUSED


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    ("headers", "wait"),
    [({"retry-after": "7"}, 7), ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, 0)],
)
async def test_a_rate_limit_says_how_long_to_wait(
    side: GitHubSide, registrar: Registrar, status: int, headers: dict[str, str], wait: float
) -> None:
    await registrar.find(USER, "chaser-a-1")
    side.world.faults.append(Fault("/generate-jitconfig", status, {"message": "slow down"}, headers))
    with pytest.raises(Unavailable, match="rate limit") as caught:
        await registrar.mint(USER, "chaser-a-1", ["chaser"])
    assert caught.value.retry_after == wait


async def test_a_rate_limit_that_makes_no_sense_is_still_only_unavailable(
    side: GitHubSide, registrar: Registrar
) -> None:
    fault = Fault("/access_tokens", 429, headers={"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"})
    side.world.faults.append(fault)
    with pytest.raises(Unavailable):
        await registrar.find(USER, "chaser-a-1")


async def test_an_answer_that_is_not_githubs_counts_as_none(side: GitHubSide, registrar: Registrar) -> None:
    """A proxy's page with status 200."""
    side.world.faults.append(Fault("/access_tokens", 201, {"hello": "from a proxy"}))
    with pytest.raises(Unavailable, match="not what GitHub documents"):
        await registrar.find(USER, "chaser-a-1")


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with simulated_github() as gone:
        pass
    async with gone.client() as client:
        with pytest.raises(Unavailable, match=r"ConnectError.*github.api_url"):
            await AppRegistrar(client).find(USER, "chaser-a-1")


async def test_an_unknown_app_is_told_to_check_its_id_and_key(side: GitHubSide) -> None:
    side.world.public_key = other_keys().public
    async with side.client() as client:
        with pytest.raises(Refused, match=r"401.*github\.app_id and github\.private_key"):
            await AppRegistrar(client).find(USER, "chaser-a-1")


async def test_a_suspended_installation_is_waited_for(side: GitHubSide, registrar: Registrar) -> None:
    side.world.installations[PERSONAL].suspended = True
    with pytest.raises(Unavailable, match="suspended"):
        await registrar.find(USER, "chaser-a-1")


async def test_a_busy_runner_is_not_removed_and_an_absent_one_is_fine(
    side: GitHubSide, registrar: Registrar
) -> None:
    minted = await registrar.mint(USER, "chaser-a-1", ["chaser"])
    side.world.runners[minted.runner_id].busy = True
    assert await registrar.remove(USER, minted.runner_id) is Removal.BUSY
    side.world.runners[minted.runner_id].busy = False
    assert await registrar.remove(USER, minted.runner_id) is Removal.REMOVED
    assert await registrar.remove(USER, minted.runner_id) is Removal.ABSENT
    assert await registrar.find(USER, "chaser-a-1") is None


@pytest.mark.parametrize(
    "pem", ["", "no key", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----"]
)
def test_a_private_key_that_is_none_is_refused_before_anything_starts(pem: str) -> None:
    with pytest.raises(ConfigError, match=r"github\.private_key"):
        AppClient(Credentials("1", Secret(pem)), ManualClock())


async def test_what_is_sent_is_what_github_documents(side: GitHubSide, registrar: Registrar) -> None:
    """Held against githubkit's models of GitHub's OpenAPI description."""
    await registrar.mint(USER, "chaser-a-1", ["chaser"])
    await registrar.mint(ORG, "chaser-a-1", ["chaser"])
    sent = [json.loads(call.body) for call in side.world.calls if call.line.endswith("/generate-jitconfig")]
    assert len(sent) == 2
    models.ReposOwnerRepoActionsRunnersGenerateJitconfigPostBody.model_validate(sent[0], strict=True)
    models.OrgsOrgActionsRunnersGenerateJitconfigPostBody.model_validate(sent[1], strict=True)
