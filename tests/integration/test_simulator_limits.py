"""What every call to the simulated GitHub passes: limits, tags, faults, the base path; and the control API."""

import asyncio
import time
from collections.abc import AsyncGenerator

import httpx
import pytest
from githubkit_schemas.v2026_03_10 import models  # pyright: ignore[reportMissingTypeStubs] # typed, but unmarked

from chaser.simulator.app import GitHub, assemble
from chaser.simulator.credentials import installation_token
from chaser.simulator.faults import Fault, secondary_limit
from chaser.simulator.limits import Limit, Rates, Resource
from chaser.simulator.world import Group
from tests.simulated import ORGANIZATION, PERSONAL, new_world

RUNNERS = "/repos/octocat/example/actions/runners"
GROUPS = "/orgs/octo-org/actions/runner-groups"


@pytest.fixture
def github() -> GitHub:
    return assemble(new_world())


@pytest.fixture
async def http(github: GitHub) -> AsyncGenerator[httpx.AsyncClient]:
    token = installation_token(github.world, github.world.installations[PERSONAL])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(github.app),
        base_url="http://simulated",
        headers={"Authorization": f"token {token}"},
    ) as client:
        yield client


def organization(github: GitHub) -> dict[str, str]:
    token = installation_token(github.world, github.world.installations[ORGANIZATION])
    return {"Authorization": f"token {token}"}


async def test_each_call_uses_up_the_limit_but_what_is_unchanged_costs_nothing(
    github: GitHub, http: httpx.AsyncClient
) -> None:
    first = await http.get(RUNNERS)
    assert first.headers["x-ratelimit-remaining"] == "4999"
    again = await http.get(RUNNERS, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["x-ratelimit-remaining"]) == (304, b"", "4999")
    github.world.register("repos/octocat/example", "one", ("chaser",))
    changed = await http.get(RUNNERS, headers={"if-none-match": first.headers["etag"]})
    assert (changed.status_code, changed.json()["total_count"]) == (200, 1)
    assert changed.headers["x-ratelimit-remaining"] == "4998"
    other = await http.get("/orgs/octo-org/actions/runners", headers=organization(github))
    assert other.headers["x-ratelimit-remaining"] == "4999", "each installation has its own"


async def test_an_exhausted_limit_refuses_until_it_is_reset(github: GitHub, http: httpx.AsyncClient) -> None:
    github.world.limits.exhaust(PERSONAL, seconds=60)
    refused = await http.get(RUNNERS)
    assert (refused.status_code, refused.headers["x-ratelimit-remaining"]) == (403, "0")
    assert 0 < int(refused.headers["x-ratelimit-reset"]) - time.time() <= 60
    told = await http.get("/rate_limit")
    overview = models.RateLimitOverview.model_validate_json(told.content)
    assert overview.resources.core.remaining == 0
    github.world.limits.exhaust(PERSONAL, seconds=-1)
    assert (await http.get(RUNNERS)).status_code == 200


async def test_a_secondary_limit_says_how_long_to_wait(github: GitHub, http: httpx.AsyncClient) -> None:
    github.world.faults.append(secondary_limit("/runners", 7))
    refused = await http.get(RUNNERS)
    assert (refused.status_code, refused.headers["retry-after"]) == (403, "7")
    assert (await http.get(RUNNERS)).status_code == 200


async def test_one_endpoint_gives_so_many_points_a_minute_and_a_write_costs_five(
    github: GitHub, http: httpx.AsyncClient
) -> None:
    github.world.limits.rates = Rates(points=12, minute=0.5)
    body = {"runner_group_id": 1, "labels": ["chaser"]}
    minted = [
        await http.post(f"{RUNNERS}/generate-jitconfig", json={**body, "name": f"n{n}"}) for n in range(3)
    ]
    assert [answer.status_code for answer in minted] == [201, 201, 403]
    models.BasicError.model_validate_json(minted[-1].content)
    assert (minted[-1].headers["retry-after"], minted[-1].headers["x-ratelimit-remaining"]) == ("1", "9998")
    statuses = [(await http.get(RUNNERS)).status_code for _ in range(13)]
    assert statuses == [200] * 12 + [403], "each endpoint has its own"
    await asyncio.sleep(0.5)
    assert (await http.get(RUNNERS)).status_code == 200
    assert github.world.limits.hits == {Limit.POINTS: 2}


async def test_registrations_have_an_hours_budget_of_their_own(
    github: GitHub, http: httpx.AsyncClient
) -> None:
    body = {"runner_group_id": 1, "labels": ["chaser"]}
    minted = await http.post(f"{RUNNERS}/generate-jitconfig", json={**body, "name": "one"})
    assert minted.headers["x-ratelimit-resource"] == "actions_runner_registration"
    assert minted.headers["x-ratelimit-remaining"] == "9999"
    listed = await http.get(RUNNERS)
    assert (listed.headers["x-ratelimit-resource"], listed.headers["x-ratelimit-remaining"]) == (
        "core",
        "4999",
    )
    github.world.limits.exhaust(PERSONAL, 60, Resource.REGISTRATION)
    refused = await http.post(f"{RUNNERS}/generate-jitconfig", json={**body, "name": "two"})
    assert (refused.status_code, refused.headers["x-ratelimit-remaining"]) == (403, "0")
    assert (await http.get(RUNNERS)).status_code == 200
    overview = models.RateLimitOverview.model_validate_json((await http.get("/rate_limit")).content)
    assert isinstance(overview.resources.actions_runner_registration, models.RateLimit)
    assert overview.resources.actions_runner_registration.remaining == 0


async def test_so_many_calls_at_once_and_no_more(github: GitHub, http: httpx.AsyncClient) -> None:
    github.world.limits.rates = Rates(concurrent=3)
    github.world.faults.extend(Fault("/runners", None, delay=0.3) for _ in range(3))
    slow = [asyncio.create_task(http.get(RUNNERS)) for _ in range(3)]
    await asyncio.sleep(0.1)
    refused = await http.get(RUNNERS)
    assert (refused.status_code, refused.headers["retry-after"]) == (403, "60")
    assert [answer.status_code for answer in await asyncio.gather(*slow)] == [200] * 3
    assert (await http.get(RUNNERS)).status_code == 200


async def test_so_much_content_a_minute_and_an_hour(github: GitHub, http: httpx.AsyncClient) -> None:
    github.world.limits.rates = Rates(content=2, content_hour=3, minute=0.2)
    issues = "/repos/octocat/example/issues"
    assert [(await http.post(issues)).status_code for _ in range(3)] == [404, 404, 403]
    await asyncio.sleep(0.2)
    assert [(await http.post(issues)).status_code for _ in range(2)] == [404, 403]


async def test_an_enterprise_servers_base_path_leads_to_the_same_api(
    github: GitHub, http: httpx.AsyncClient
) -> None:
    assert (await http.get(f"/api/v3{RUNNERS}")).json() == (await http.get(RUNNERS)).json()
    assert [(call.base, call.line) for call in github.world.calls] == [
        ("/api/v3", f"GET {RUNNERS}"),
        ("", f"GET {RUNNERS}"),
    ]
    for number in (1, 2):
        github.world.register("repos/octocat/example", f"runner-{number}", ("chaser",))
    page = await http.get(f"/api/v3{RUNNERS}", params={"per_page": 1})
    assert page.links["next"]["url"] == f"http://simulated/api/v3{RUNNERS}?per_page=1&page=2"
    assert (await http.get("/api/v3/rate_limit")).json()["rate"]["used"] == 3


async def test_a_fault_may_be_of_one_method_and_only_late(github: GitHub, http: httpx.AsyncClient) -> None:
    github.world.faults.extend([Fault("/runners", 500, method="DELETE"), Fault("/runners", None, delay=0.2)])
    begun = time.monotonic()
    assert (await http.get(RUNNERS)).status_code == 200
    assert time.monotonic() - begun >= 0.2
    assert len(github.world.faults) == 1


async def test_lists_come_in_pages(github: GitHub, http: httpx.AsyncClient) -> None:
    for number in range(5):
        github.world.register("repos/octocat/example", f"runner-{number}", ("chaser",))
    first = await http.get(RUNNERS, params={"per_page": 2})
    third = await http.get((await http.get(first.links["next"]["url"])).links["next"]["url"])
    assert (first.json()["total_count"], [one["name"] for one in third.json()["runners"]]) == (
        5,
        ["runner-4"],
    )
    assert "next" not in third.links
    models.ReposOwnerRepoActionsRunnersGetResponse200.model_validate_json(first.content)


async def test_runner_groups_are_the_organizations(github: GitHub, http: httpx.AsyncClient) -> None:
    groups = [
        Group(1, "Default"),
        Group(2, "GitHub", hosted=True),
        Group(3, "few", frozenset({"octo-org/one"})),
    ]
    github.world.groups["octo-org"] = {group.id: group for group in groups}
    headers = organization(github)
    listed = await http.get(GROUPS, headers=headers)
    page = models.OrgsOrgActionsRunnerGroupsGetResponse200.model_validate_json(listed.content)
    assert [(group.name, group.visibility) for group in page.runner_groups] == [
        ("Default", "all"),
        ("GitHub", "all"),
        ("few", "selected"),
    ]
    models.RunnerGroupsOrg.model_validate_json((await http.get(f"{GROUPS}/3", headers=headers)).content)
    assert (await http.get(f"{GROUPS}/9", headers=headers)).status_code == 404
    mint = "/orgs/octo-org/actions/runners/generate-jitconfig"
    statuses = [
        (
            await http.post(
                mint, json={"name": f"n{group}", "runner_group_id": group, "labels": ["a"]}, headers=headers
            )
        )
        for group in (1, 2, 3, 9)
    ]
    assert [answer.status_code for answer in statuses] == [201, 403, 201, 404]
    github.world.group_size = 1
    full = await http.post(mint, json={"name": "n", "runner_group_id": 1, "labels": ["a"]}, headers=headers)
    assert (full.status_code, "max limit of 1 runners" in full.text) == (422, True)


async def test_a_personal_account_has_no_endpoints_of_an_organization(http: httpx.AsyncClient) -> None:
    assert (await http.get("/orgs/octocat/actions/runners")).status_code == 404


async def test_a_version_of_the_runner_may_be_about_to_end(github: GitHub, http: httpx.AsyncClient) -> None:
    github.world.deprecations["2.329.0"] = ("2026-12-01T00:00:00Z", "2026-11-01T00:00:00Z")
    told = await http.get(f"{RUNNERS}/deprecations/2.329.0")
    models.ReposOwnerRepoActionsRunnersDeprecationsVersionGetResponse200.model_validate_json(told.content)
    assert told.json()["runtime_deprecates_at"] == "2026-12-01T00:00:00Z"
    assert (await http.get(f"{RUNNERS}/deprecations/9.9.9")).status_code == 404


async def test_the_control_api_starts_runs_and_does_what_people_do(
    github: GitHub, http: httpx.AsyncClient
) -> None:
    job = {"labels": ["chaser"], "steps": [{"name": "a", "run": "true"}], "environment": "production"}
    run = await http.post("/_sim/runs", json={"repository": "octocat/example", "jobs": [job, job]})
    run_id = run.json()["run_id"]
    assert [one.status for one in github.workflows.of_run(run_id)] == ["waiting", "waiting"]
    assert {one["status"] for one in (await http.post(f"/_sim/runs/{run_id}/approve")).json()} == {"queued"}
    await http.post(f"/_sim/runs/{run_id}/cancel")
    assert len((await http.post(f"/_sim/runs/{run_id}/rerun")).json()["jobs"]) == 2
    await http.post(f"/_sim/runs/{run_id}/force-cancel")
    assert len((await http.post(f"/_sim/runs/{run_id}/rerun-failed-jobs")).json()["jobs"]) == 2
    assert (await http.post(f"/_sim/runs/{run_id}/nonsense")).status_code == 404
    state = (await http.get("/_sim/state")).json()
    assert len(state["jobs"]) == 6
    assert state["calls"] == [], "nothing of this is a call to the API"


async def test_the_control_api_makes_the_weather(github: GitHub, http: httpx.AsyncClient) -> None:
    sent = {
        "faults": {"path_ends": "/runners", "status": 502, "after_effect": True},
        "mishaps": {"kind": "lose", "action": "queued"},
        "limits": {"seconds": 60, "installation": PERSONAL},
        "settings": {
            "patience": {"lease": 5},
            "newest_first": True,
            "blank": 0,
            "public": ["Octocat/Open"],
            "groups": {"Octo-Org": [{"id": 3, "name": "few"}]},
            "deprecations": {"2.329.0": ["2026-12-01T00:00:00Z", "2026-11-01T00:00:00Z"]},
            "group_size": 2,
            "rates": {"points": 9},
        },
        "ping": {},
        "release": {},
    }
    for path, body in sent.items():
        assert (await http.post(f"/_sim/{path}", json=body)).status_code == 200
    world = github.world
    assert (len(world.faults), len(world.mishaps), world.limits.of(PERSONAL).remaining) == (1, 1, 0)
    assert (world.patience.lease, world.newest_first, world.blank, world.public) == (
        5,
        True,
        0,
        {"octocat/open"},
    )
    assert (world.groups["octo-org"][3].name, world.group_size) == ("few", 2)
    assert (world.limits.rates.points, world.limits.rates.concurrent) == (9, 100)


async def test_the_control_api_installs_the_app(github: GitHub, http: httpx.AsyncClient) -> None:
    made = (await http.post("/_sim/installations", json={"account": "acme", "kind": "Organization"})).json()
    one = f"/_sim/installations/{made['id']}"
    models.Installation.model_validate(made)
    for act, body in (
        ("suspend", {}),
        ("unsuspend", {}),
        ("permissions", {"a": "read"}),
        ("repositories", ["acme/x"]),
    ):
        assert (await http.post(f"{one}/{act}", json=body)).status_code == 200
    installation = github.world.installations[made["id"]]
    assert (installation.permissions, installation.repositories) == ({"a": "read"}, {"acme/x"})
    assert (await http.post(f"{one}/nonsense")).status_code == 404
    assert (await http.post(f"{one}/delete")).status_code == 200
    assert (await http.post(f"{one}/delete")).status_code == 404


@pytest.mark.parametrize(
    "body", ["", "[]", '{"status": 500}', '{"path_ends": "/x", "status": 500, "delai": 1}']
)
async def test_a_misspelt_order_is_refused_not_taken_for_a_default(
    http: httpx.AsyncClient, body: str
) -> None:
    assert (await http.post("/_sim/faults", content=body)).status_code == 422


async def test_what_is_misspelt_deep_inside_is_found_too(http: httpx.AsyncClient) -> None:
    job = {"labels": ["chaser"], "steps": [{"name": "a", "run": "true", "allways": True}]}
    run = await http.post("/_sim/runs", json={"repository": "octocat/example", "jobs": [job]})
    assert (run.status_code, "allways" in run.text) == (422, True)


async def test_a_dropped_answer_leaves_the_effect(github: GitHub, http: httpx.AsyncClient) -> None:
    """A mint whose answer never comes has happened all the same."""
    github.world.faults.append(Fault("/generate-jitconfig", 0, after_effect=True))
    body = {"name": "one", "runner_group_id": 1, "labels": ["chaser"]}
    asked = asyncio.create_task(http.post(f"{RUNNERS}/generate-jitconfig", json=body))
    async with asyncio.timeout(10):
        while not github.world.runners:  # noqa: ASYNC110 - nothing rings
            await asyncio.sleep(0.01)
    asked.cancel()
    assert [runner.name for runner in github.world.runners.values()] == ["one"]
