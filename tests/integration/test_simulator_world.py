"""The simulated GitHub over time and among people: its clean-ups, its weather, and where its addresses lead."""

import json
import re
from collections.abc import AsyncGenerator
from dataclasses import replace

import httpx
import pytest
from githubkit_schemas.v2026_03_10 import models  # pyright: ignore[reportMissingTypeStubs] # typed, but unmarked

from chaser.simulator.app import GitHub, assemble
from chaser.simulator.credentials import installation_token
from chaser.simulator.workflows import Plan
from chaser.simulator.world import Group, Hook, Patience, Runner
from tests.simulated import ORGANIZATION, PERSONAL, new_world

ADDRESS = "http://simulated"
REPOSITORY = "octocat/example"
DAY = 86_400
CHASER = Plan(("chaser",))


@pytest.fixture
def github() -> GitHub:
    return assemble(new_world())


@pytest.fixture
async def http(github: GitHub) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(github.app)
    async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as client:
        yield client
    github.workflows.close()


def authorized(github: GitHub, installation: int = PERSONAL) -> dict[str, str]:
    world = github.world
    return {"Authorization": f"token {installation_token(world, world.installations[installation])}"}


async def registered(github: GitHub, http: httpx.AsyncClient, name: str) -> Runner:
    path = f"/repos/{REPOSITORY}/actions/runners/generate-jitconfig"
    body = {"name": name, "runner_group_id": 1, "labels": ["chaser"]}
    answer = await http.post(path, json=body, headers=authorized(github))
    return github.world.runners[answer.json()["runner"]["id"]]


async def pass_by(http: httpx.AsyncClient, seconds: float) -> None:
    assert (await http.post("/_sim/clock", json=seconds)).status_code == 200


async def test_a_registration_that_is_not_used_is_gone_after_a_day(
    github: GitHub, http: httpx.AsyncClient
) -> None:
    never = await registered(github, http, "never")
    used = await registered(github, http, "used")
    github.workflows.online(used)
    await pass_by(http, DAY - 60)
    assert set(github.world.runners) == {never.id, used.id}
    github.workflows.offline(used)
    await pass_by(http, 120)
    assert set(github.world.runners) == {used.id}
    await pass_by(http, DAY)
    assert not github.world.runners


async def test_one_that_came_back_within_the_day_has_another_one(
    github: GitHub, http: httpx.AsyncClient
) -> None:
    runner = await registered(github, http, "back")
    await pass_by(http, DAY - 60)
    github.workflows.online(runner)
    await pass_by(http, DAY)
    assert runner.id in github.world.runners


async def test_a_job_that_nobody_runs_is_cancelled_after_a_day(
    github: GitHub, http: httpx.AsyncClient
) -> None:
    (runs,) = github.workflows.start(REPOSITORY, [CHASER])
    github.workflows.online(await registered(github, http, "one"))
    github.workflows.news(next(iter(github.world.runners.values())))
    (waits,) = github.workflows.start(REPOSITORY, [CHASER])
    await pass_by(http, DAY - 60)
    (later,) = github.workflows.start(REPOSITORY, [CHASER])
    await pass_by(http, 120)
    found = [github.world.jobs[job.id] for job in (runs, waits, later)]
    assert [(job.status, job.conclusion) for job in found] == [
        ("in_progress", None),
        ("completed", "cancelled"),
        ("queued", None),
    ]


async def test_a_job_that_waited_for_its_approval_has_its_day_from_then_on(
    github: GitHub, http: httpx.AsyncClient
) -> None:
    (job,) = github.workflows.start(REPOSITORY, [replace(CHASER, environment="production")])
    await pass_by(http, 2 * DAY)
    assert github.world.jobs[job.id].status == "waiting"
    github.workflows.approve(job.run_id)
    await pass_by(http, DAY - 60)
    assert github.world.jobs[job.id].status == "queued"
    await pass_by(http, 120)
    assert github.world.jobs[job.id].conclusion == "cancelled"


async def test_the_clean_ups_come_by_themselves_too(github: GitHub, http: httpx.AsyncClient) -> None:
    github.world.patience = Patience(unused=0.01)
    runner = await registered(github, http, "one")
    await runner.bell.wait()
    assert not github.world.runners


async def test_the_weather_is_made_by_an_order_and_told_with_the_state(
    github: GitHub, http: httpx.AsyncClient
) -> None:
    github.world.hook = Hook("http://127.0.0.1:9/")
    forecast = {"seed": "s", "vanished": 50, "lost": 50, "refused": 100}
    assert (await http.post("/_sim/weather", json=forecast)).status_code == 200
    github.workflows.start(REPOSITORY, [CHASER] * 20)
    assert (await http.get(f"/repos/{REPOSITORY}", headers=authorized(github))).status_code >= 500
    state = (await http.get("/_sim/state")).json()
    assert state["weather"]["refused"] == 1
    assert state["weather"]["lost"] + state["weather"]["vanished"] == 20
    assert [one["status"] for one in state["deliveries"]] == ["timed out"] * state["weather"]["lost"]
    assert (await http.post("/_sim/weather", json={"lots": 1})).status_code == 422


async def test_whoever_asks_often_is_told_only_how_many(github: GitHub, http: httpx.AsyncClient) -> None:
    github.workflows.start(REPOSITORY, [CHASER, CHASER, replace(CHASER, environment="production")])
    await registered(github, http, "one")
    tally = (await http.get("/_sim/tally")).json()
    assert tally == {"jobs": {"queued": 2, "waiting": 1}, "runners": 1}


async def test_a_call_whose_answer_is_lost_has_taken_effect(github: GitHub, http: httpx.AsyncClient) -> None:
    await http.post("/_sim/weather", json={"unheard": 100})
    body = {"name": "one", "runner_group_id": 1, "labels": ["chaser"]}
    path = f"/repos/{REPOSITORY}/actions/runners/generate-jitconfig"
    assert (await http.post(path, json=body, headers=authorized(github))).status_code >= 500
    assert [runner.name for runner in github.world.runners.values()] == ["one"]


async def test_a_redelivery_has_weather_too(github: GitHub, http: httpx.AsyncClient) -> None:
    github.world.hook = Hook("http://127.0.0.1:9/")
    await http.post("/_sim/weather", json={"lost": 100})
    github.installing.ping()
    await github.post.settled()
    github.post.again(github.post.attempts[0])
    await github.post.settled()
    assert [one.status for one in github.post.attempts] == ["timed out", "timed out"]


async def test_addresses_for_people_lead_to_pages_of_the_simulator(
    github: GitHub, http: httpx.AsyncClient
) -> None:
    github.world.address = ADDRESS
    github.world.hook = Hook("http://127.0.0.1:9/")
    (job,) = github.workflows.start(REPOSITORY, [CHASER])
    github.world.logs[job.id] = "<told>"
    installed = await http.post("/_sim/installations", json={"account": "acme", "kind": "Organization"})
    told = await http.get(f"/repos/{REPOSITORY}/actions/jobs/{job.id}", headers=authorized(github))
    run = await http.get(f"/repos/{REPOSITORY}/actions/runs/{job.run_id}", headers=authorized(github))
    calls = len(github.world.calls)
    pages = [
        *(answer.json()["html_url"] for answer in (told, run)),
        installed.json()["html_url"].replace("https://github.com", ADDRESS),
        f"{ADDRESS}/apps/chaser-simulated",
        f"{ADDRESS}/settings/apps/chaser-simulated",
        f"{ADDRESS}/organizations/octo-org/settings/apps/chaser-simulated",
    ]
    for page in pages:
        assert page.startswith(f"{ADDRESS}/"), page
        answer = await http.get(page)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8"), page
        assert (await http.get(re.sub(r"chaser-simulated|\d+", "0", page))).status_code == 404
    assert "/organizations/acme/settings/" in installed.json()["html_url"]
    assert "&lt;told&gt;" in (await http.get(pages[0])).text
    assert len(github.world.calls) == calls, "a page is no call to the API"


async def test_whatever_github_says_leads_to_where_it_is(github: GitHub, http: httpx.AsyncClient) -> None:
    (job,) = github.workflows.start(REPOSITORY, [CHASER])
    path = f"/repos/{REPOSITORY}/actions/jobs/{job.id}"
    plain = await http.get(path, headers=authorized(github))
    assert plain.json()["html_url"].startswith("https://github.com/")
    github.world.address = ADDRESS
    for base in ("", "/api/v3"):
        moved = (await http.get(f"{base}{path}", headers=authorized(github))).json()
        assert moved["url"] == f"{ADDRESS}{base}{path}"
        assert moved["html_url"] == plain.json()["html_url"].replace("https://github.com", ADDRESS)
        assert "github.com" not in json.dumps(moved)
    github.world.hook = Hook("http://127.0.0.1:9/")
    github.workflows.start(REPOSITORY, [CHASER])
    await github.post.settled()
    (sent,) = [one.sent.body for one in github.post.attempts]
    assert b"https://github.com" not in sent
    assert f'"html_url":"{ADDRESS}/{REPOSITORY}"'.encode() in sent


async def test_an_app_that_is_made_is_installed_nowhere_yet(github: GitHub, http: httpx.AsyncClient) -> None:
    before = authorized(github)
    manifest = {"name": "Later", "url": "https://a.example", "redirect_url": "https://a.example/back"}
    back = await http.post("/settings/apps", data={"manifest": json.dumps(manifest)})
    code = back.headers["location"].partition("code=")[2]
    assert (await http.post(f"/app-manifests/{code}/conversions")).status_code == 201
    assert not github.world.installations
    assert (await http.get(f"/repos/{REPOSITORY}", headers=before)).status_code == 401
    made = await http.post("/apps/later/installations", data={"account": "octo-org"})
    assert made.headers["location"] == f"/settings/installations/{ORGANIZATION + 1}"
    assert "octo-org" in (await http.get(made.headers["location"])).text


async def test_the_repositories_of_a_group_are_those_that_were_selected(
    github: GitHub, http: httpx.AsyncClient
) -> None:
    few = Group(3, "few", frozenset({"octo-org/two", "octo-org/one"}))
    github.world.groups["octo-org"] = {1: Group(1, "Default"), 3: few}
    groups, headers = "/orgs/octo-org/actions/runner-groups", authorized(github, ORGANIZATION)
    answer = await http.get(f"{groups}/3/repositories", params={"per_page": 1}, headers=headers)
    page = models.OrgsOrgActionsRunnerGroupsRunnerGroupIdRepositoriesGetResponse200.model_validate_json(
        answer.content
    )
    assert (page.total_count, [one.full_name for one in page.repositories]) == (2, ["octo-org/one"])
    assert "next" in answer.links
    group = models.RunnerGroupsOrg.model_validate_json(
        (await http.get(f"{groups}/3", headers=headers)).content
    )
    assert str(group.selected_repositories_url).endswith(f"{groups}/3/repositories")
    assert (await http.get(f"{groups}/1/repositories", headers=headers)).json()["total_count"] == 0
    assert (await http.get(f"{groups}/9/repositories", headers=headers)).status_code == 404
