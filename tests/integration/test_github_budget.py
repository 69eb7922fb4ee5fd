"""The App's client and GitHub's limits, which the simulated GitHub counts as they are documented."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from chaser.clock import ManualClock
from chaser.errors import Unavailable
from chaser.github.budget import Pace
from chaser.github.registrar import AppRegistrar
from chaser.runners.budget import Spending, measures
from chaser.runners.registration import Owner
from chaser.simulator.faults import Fault, secondary_limit
from chaser.simulator.limits import Rates, Resource
from tests.simulated import ORGANIZATION, PERSONAL, GitHubSide, simulated_github, until

USER = Owner(PERSONAL, "octocat/example", None)
ORG = Owner(ORGANIZATION, "octo-org/example", "octo-org")
RUNNERS = "/repos/octocat/example/actions/runners"
MINT, FIND = f"POST {RUNNERS}/generate-jitconfig", f"GET {RUNNERS}?name"
STAMPEDE = 1000
MINUTE = 2.0
"""Seconds, here and at the simulated GitHub; all else is as documented."""


@pytest.fixture
async def side() -> AsyncGenerator[GitHubSide]:
    async with simulated_github() as side:
        yield side


async def serve(registrar: AppRegistrar, owner: Owner, number: int) -> None:
    """All that is asked of GitHub for one job: its runner is registered, looked for at its end, and is gone then."""
    await registrar.mint(owner, f"chaser-{number}", ["chaser"])
    await registrar.find(owner, f"chaser-{number}")


@pytest.mark.slow
async def test_a_stampede_of_a_thousand_jobs_meets_no_limit(side: GitHubSide) -> None:
    side.world.limits.rates = Rates(minute=MINUTE)
    async with side.client(pace=Pace(minute=MINUTE)) as client:
        registrar = AppRegistrar(client)
        await asyncio.gather(*(serve(registrar, USER, number) for number in range(STAMPEDE)))
        (spent,) = client.spendings()
    assert side.world.limits.hits == {}
    assert len(side.world.runners) == STAMPEDE
    assert (side.world.count(MINT), side.world.count(FIND)) == (STAMPEDE, STAMPEDE)
    assert (spent.runners, spent.limited, spent.waiting, spent.calls_per_job) == (STAMPEDE, 0, 0, 2)


async def test_without_a_pace_it_would_meet_several(side: GitHubSide) -> None:
    """The simulated GitHub would notice."""
    side.world.limits.rates = Rates(points=300, minute=1)
    headlong = Pace(points=10**9, concurrent=10**9)
    async with side.client(pace=headlong) as client:
        registrar = AppRegistrar(client)
        came = await asyncio.gather(
            *(registrar.mint(USER, f"chaser-{number}", ["chaser"]) for number in range(300)),
            return_exceptions=True,
        )
        (spent,) = client.spendings()
    assert {type(one) for one in came if isinstance(one, BaseException)} == {Unavailable}
    assert spent.limited == side.world.limits.hits.total() > 0


async def test_retry_after_is_obeyed_by_all_calls_of_the_installation_and_by_no_others(
    side: GitHubSide,
) -> None:
    async with side.client() as client:
        registrar = AppRegistrar(client)
        await registrar.find(USER, "one")
        side.world.faults.append(secondary_limit("/runners", 1))
        with pytest.raises(Unavailable, match="1 s"):
            await registrar.find(USER, "one")
        told_at, calls = client.clock.monotonic(), len(side.world.calls)
        waiting = asyncio.create_task(registrar.mint(USER, "one", ["chaser"]))
        await registrar.find(ORG, "one")
        assert len(side.world.calls) == calls + 2, "the other one's token, and its call"
        await waiting
        assert client.clock.monotonic() - told_at >= 1
    assert side.world.count(MINT) == 1


@pytest.mark.parametrize("status", [403, 429])
async def test_a_secondary_limit_that_names_no_time_is_waited_for_and_refuses_no_job(
    side: GitHubSide, status: int
) -> None:
    """A 403 is told from one for want of a permission by the page that it points to."""
    page = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"
    said = {"message": "slow down", "documentation_url": page}
    clock = ManualClock()
    async with side.client(clock=clock) as client:
        registrar = AppRegistrar(client)
        await registrar.find(USER, "one")
        side.world.faults.append(Fault("/generate-jitconfig", status, said))
        with pytest.raises(Unavailable, match="rate limit") as caught:
            await registrar.mint(USER, "one", ["chaser"])
        assert caught.value.retry_after == 60
        waiting = asyncio.create_task(registrar.mint(USER, "one", ["chaser"]))
        await until(lambda: client.spendings()[0].waiting == 1)
        assert client.remaining(PERSONAL) == 0
        assert side.world.count(MINT) == 1
        clock.advance(timedelta(seconds=60))
        await registrar.find(USER, "one")
        await waiting
    assert side.world.count(MINT) == 2


async def test_what_is_used_up_is_not_asked_for_again_until_it_is_whole(side: GitHubSide) -> None:
    """GitHub bans an App that goes on calling."""
    async with side.client() as client:
        registrar = AppRegistrar(client)
        await registrar.mint(USER, "one", ["chaser"])
        side.world.limits.exhaust(PERSONAL, 600, Resource.REGISTRATION)
        for _ in range(3):
            with pytest.raises(Unavailable, match="rate limit") as caught:
                await registrar.mint(USER, "two", ["chaser"])
            assert caught.value.retry_after is not None
            assert 590 < caught.value.retry_after <= 602
        assert side.world.count(MINT) == 2
        assert await registrar.find(USER, "one") is not None, "other calls have a budget of their own"


async def test_sweeps_leave_the_last_tenth_to_what_is_urgent(side: GitHubSide) -> None:
    async with side.client() as client:
        registrar = AppRegistrar(client)
        side.world.limits.of(PERSONAL).used = 4498
        assert await registrar.list(USER, "chaser-") == []
        assert client.remaining(PERSONAL) == pytest.approx(501 / 5000)
        assert await registrar.list(USER, "chaser-") == []
        with pytest.raises(Unavailable, match="rate limit is used up"):
            await registrar.list(USER, "chaser-")
        await registrar.mint(USER, "one", ["chaser"])
        assert await registrar.find(USER, "one") is not None
        assert client.remaining(ORGANIZATION) == 1
    assert side.world.limits.hits == {}


async def test_an_enterprise_server_without_limits_is_called_at_the_same_pace(side: GitHubSide) -> None:
    async with side.client() as client:
        side.world.faults.append(Fault("/runners", 200, {"total_count": 0, "runners": []}))
        registrar = AppRegistrar(client)
        assert await registrar.find(USER, "one") is None
        assert (client.remaining(PERSONAL), client.spendings()[0].left) == (1, {})
        await registrar.find(USER, "one")


async def test_account_is_kept_of_what_calls_were_for(side: GitHubSide) -> None:
    async with side.client() as client:
        registrar = AppRegistrar(client)
        side.world.faults.append(Fault("/generate-jitconfig", 502))
        with pytest.raises(Unavailable):
            await registrar.mint(USER, "one", ["chaser"])
        minted = await registrar.mint(USER, "one", ["chaser"])
        await registrar.remove(USER, minted.runner_id)
        await registrar.list(USER, "chaser-")
        (spent,) = client.spendings()
    assert spent.calls == {"mint": 2, "truth": 0, "delete": 1, "sweep": 1}
    assert (spent.runners, spent.calls_per_job) == (1, 4)
    assert {name: left.remaining for name, left in spent.left.items()} == {
        "core": 4998,
        "actions_runner_registration": 9999,
    }


def test_the_budget_is_measured() -> None:
    nothing = Spending(7, {"mint": 0}, 0, 0, 0, {})
    found = {each.name: each.values for each in measures([nothing])}
    assert found["chaser_github_calls_total"] == {(("installation", "7"), ("purpose", "mint")): 0}
    assert found["chaser_github_limits_total"] == {(("installation", "7"),): 0}
    assert found["chaser_github_calls_per_job"] == {}, "there was none"
