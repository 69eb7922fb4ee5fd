"""What GitHub asked for, and why it waits, over real HTTP on the real store."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from chaser.jobs.ports import Fence
from chaser.runners.budget import Left, Spending
from chaser.runners.latency import Stage
from chaser.runners.policy import Policy
from chaser.runners.rules import Run
from tests.api_service import Service, bearer, service
from tests.rows import START, WORKER, first, sandbox_of
from tests.workflow_jobs import OURS, installed, tell, told

OPEN = replace(OURS, policy=Policy(("*/*",)))
FORK = Run("pull_request", "stranger/example", "stranger", "stranger", ".github/workflows/ci.yml", "patch-1")
SECOND = timedelta(seconds=1)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Service]:
    async with service(tmp_path) as made:
        yield made


async def test_a_workflow_job_has_its_story(running: Service) -> None:
    await tell(running.store, told(created_at=START - 40 * SECOND), START, guid="guid-1")

    answer = await running.http.get("/v1/github/jobs/77")

    story = answer.json()
    assert answer.status_code == 200
    assert (story["state"], story["repository"], story["labels"]) == (
        "planned",
        "octo-org/example",
        ["self-hosted", "chaser"],
    )
    assert [each["delivery"] for each in story["deliveries"]] == ["guid-1"]
    assert story["timeline"]["planned"] is not None
    assert story["timeline"]["running"] is None
    assert "GitHub told of it 40 s after it was made." in story["why"]


async def test_its_timeline_is_told_as_far_as_it_has_come(running: Service) -> None:
    await tell(running.store, told(created_at=START - 2 * SECOND), START)

    timeline = (await running.http.get("/v1/github/jobs/77")).json()["timeline"]

    assert [name for name, at in timeline.items() if at is not None] == [
        "created",
        "delivered",
        "stored",
        "planned",
    ]
    assert set(timeline) >= {stage.value for stage in Stage}


async def test_what_waits_and_what_was_refused_says_why(running: Service) -> None:
    await tell(running.store, told(job_id=1))
    await tell(running.store, told(job_id=2, labels=("chaser-huge",)))
    await tell(running.store, told("waiting", job_id=3, html_url="https://github.com/o/r/3"))

    said = {number: (await running.http.get(f"/v1/github/jobs/{number}/why")).json() for number in (1, 2, 3)}

    assert [said[number]["state"] for number in said] == ["planned", "refused", "waiting"]
    assert "waits for a slot" in said[1]["why"]
    assert "'chaser-huge'" in said[2]["why"]
    assert "approve it at https://github.com/o/r/3" in said[3]["why"]


async def test_they_are_listed_newest_first_page_by_page_and_by_state(running: Service) -> None:
    for number in (1, 2, 3):
        await tell(running.store, told(job_id=number))
    await tell(running.store, told("completed", job_id=2, conclusion="cancelled"))

    page = (await running.http.get("/v1/github/jobs", params={"limit": 2})).json()
    rest = (
        await running.http.get("/v1/github/jobs", params={"limit": 2, "cursor": page["next_cursor"]})
    ).json()
    cancelled = (await running.http.get("/v1/github/jobs", params={"state": "cancelled"})).json()

    assert [job["workflow_job_id"] for job in [*page["data"], *rest["data"]]] == [3, 2, 1]
    assert rest["next_cursor"] is None
    assert [job["workflow_job_id"] for job in cancelled["data"]] == [2]


async def test_a_runner_that_is_being_made_is_listed_with_what_it_is_for(running: Service) -> None:
    await tell(running.store, told())
    claim = first(await running.store.jobs.claim(WORKER, START))
    assert claim is not None
    assert await running.store.jobs.name_sandbox(claim, sandbox_of(claim)) is Fence.HELD

    (runner,) = (await running.http.get("/v1/runners")).json()["data"]

    assert runner["job_id"] == claim.job.id
    assert claim.job.id.removeprefix("job_") in runner["name"]
    assert (runner["status"], runner["workflow_job_id"], runner["serves"]) == ("starting", 77, None)


async def held(running: Service, *numbers: int, run_id: int = 7) -> None:
    """Jobs of a fork's run in a public repository."""
    await running.store.screenings.keep(run_id, 1, FORK, START)
    for number in numbers:
        await tell(running.store, told(job_id=number, run_id=run_id, private=False), ours=OPEN)
    await running.look()


async def test_a_held_job_says_so_and_is_approved_with_its_whole_run(running: Service) -> None:
    await held(running, 1, 2)
    await held(running, 3, run_id=8)
    said = (await running.http.get("/v1/github/jobs/1/why")).json()

    answer = await running.http.post("/v1/github/jobs/1/approve")

    assert said["state"] == "held"
    assert "stranger/example" in said["why"]
    assert "chaser github approve 1" in said["why"]
    assert (answer.status_code, answer.json()["state"], answer.json()["clearance"]) == (
        200,
        "planned",
        "approved",
    )
    states = [(await running.http.get(f"/v1/github/jobs/{number}")).json()["state"] for number in (1, 2, 3)]
    assert states == ["planned", "planned", "held"]


async def test_only_what_is_held_is_approved_and_only_with_the_scope(running: Service) -> None:
    await held(running, 1)
    await tell(running.store, told(job_id=2))
    reader = (
        await running.http.post("/v1/keys", json={"name": "reader", "scopes": ["runners.read"]})
    ).json()["key"]

    forbidden = await running.http.post("/v1/github/jobs/1/approve", headers=bearer(reader))
    unheld = await running.http.post("/v1/github/jobs/2/approve")

    assert (forbidden.status_code, (await running.http.get("/v1/github/jobs/1")).json()["state"]) == (
        403,
        "held",
    )
    assert (unheld.status_code, unheld.json()["error"]["code"]) == (409, "not_held")
    assert (await running.http.post("/v1/github/jobs/9/approve")).status_code == 404


async def test_installations_are_listed(running: Service) -> None:
    await tell(running.store, installed())

    (known,) = (await running.http.get("/v1/github/installations")).json()["data"]

    assert (known["id"], known["account"], known["repository_selection"]) == (5, "octo-org", "all")


async def test_what_calls_to_github_came_to_is_told(tmp_path: Path) -> None:
    left = {"core": Left(5000, 4990, START)}
    spent = Spending(5, {"mint": 4, "truth": 0, "delete": 4, "sweep": 2}, 4, 0, 1, left)
    async with service(tmp_path, spendings=[spent, Spending(6, {"mint": 0}, 0, 0, 0, {})]) as running:
        answer = await running.http.get("/v1/github/budget")

    one, other = answer.json()["data"]
    assert (one["installation_id"], one["calls_per_job"], one["waiting"]) == (5, 2.5, 1)
    assert one["left"]["core"]["remaining"] == 4990
    assert (other["calls_per_job"], other["left"]) == (None, {})


@pytest.mark.parametrize("named", ["78", "0", "-1", "x", "9" * 30, "%00"])
async def test_one_that_nobody_told_of_is_not_found(running: Service, named: str) -> None:
    for path in (named, f"{named}/why"):
        answer = await running.http.get(f"/v1/github/jobs/{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "workflow_job_not_found")
