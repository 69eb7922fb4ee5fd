"""Histories as server-sent events, and the leash, over real HTTP."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from chaser.api.context import Rules
from chaser.api.leash import held
from chaser.clock import ManualClock
from chaser.ids import JobId
from tests.api_service import Service, bearer, service

EVENTS = {"Accept": "text/event-stream"}
RULES = Rules(beat=timedelta(milliseconds=50), look_again=timedelta(milliseconds=50))


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Service]:
    async with service(tmp_path, rules=RULES) as made:
        yield made


async def submit(made: Service, key: str | None = None, **fields: object) -> str:
    body = {"kind": "sandbox.exec", "input": {"command": "x"}, **fields}
    answer = await made.http.post("/v1/jobs", json=body, headers=bearer(key) if key else None)
    return str(answer.json()["id"])


Event = tuple[str, dict[str, Any]]
"""Id and data."""


async def events_of(answer: httpx.Response) -> AsyncIterator[Event]:
    event_id = ""
    async for line in answer.aiter_lines():
        if line.startswith("id: "):
            event_id = line.removeprefix("id: ")
        if line.startswith("data: "):
            yield event_id, json.loads(line.removeprefix("data: "))


@asynccontextmanager
async def stream(
    made: Service, path: str, last: str | None = None, key: str | None = None
) -> AsyncGenerator[AsyncIterator[Event]]:
    headers = {**EVENTS, **({"Last-Event-ID": last} if last else {}), **(bearer(key) if key else {})}
    async with made.http.stream("GET", path, headers=headers) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        yield events_of(answer)


async def test_a_history_comes_as_it_happens_and_ends_with_the_job(running: Service) -> None:
    job_id = await submit(running)
    async with stream(running, f"/v1/jobs/{job_id}/events") as events:
        assert (await anext(events))[1]["to_status"] == "queued"
        claim = await running.hands.start()
        assert (await anext(events))[1]["to_status"] == "starting"
        await running.hands.end(claim)
        rest = [event async for event in events]
    assert [data["to_status"] for _, data in rest] == ["running", "succeeded"]
    assert [int(event_id) for event_id, _ in rest] == [data["seq"] for _, data in rest]


async def test_a_history_goes_on_after_the_last_event_that_was_seen(running: Service) -> None:
    job_id = await submit(running)
    await running.hands.run()
    path = f"/v1/jobs/{job_id}/events"
    async with stream(running, path) as events:
        every = [event async for event in events]
    for seen, _ in every:
        async with stream(running, path, last=seen) as events:
            assert [event async for event in events] == [each for each in every if int(each[0]) > int(seen)]


async def test_an_idle_history_sends_comments(running: Service) -> None:
    job_id = await submit(running)
    async with running.http.stream("GET", f"/v1/jobs/{job_id}/events", headers=EVENTS) as answer:
        async for line in answer.aiter_lines():
            if line.startswith(":"):
                break


async def test_all_changes_come_from_now_on(running: Service) -> None:
    before = await submit(running)
    async with stream(running, "/v1/events") as events:
        job_id = await submit(running)
        await running.hands.run()
        await running.hands.run()
        seen = [await anext(events) for _ in range(7)]
    of_new = [data["to_status"] for _, data in seen if data["job_id"] == job_id]
    of_old = [data["to_status"] for _, data in seen if data["job_id"] == before]
    assert of_new == ["queued", "starting", "running", "succeeded"]
    assert of_old == ["starting", "running", "succeeded"]


async def test_who_comes_again_misses_nothing(running: Service) -> None:
    """What lies shortly before the last event may be told again; each change has its own id."""
    async with stream(running, "/v1/events") as events:
        await submit(running)
        last, first = await anext(events)
    missed = await submit(running)
    await running.hands.run()
    async with stream(running, "/v1/events", last=last) as events:
        seen: list[Event] = []
        while len([data for _, data in seen if data["to_status"] != "queued"]) < 3:
            seen.append(await anext(events))
    assert len({event_id for event_id, _ in seen}) == len(seen)
    assert {data["job_id"] for _, data in seen} == {first["job_id"], missed}


@pytest.mark.parametrize(
    "last", ["5", "x", "99999999999999999.job_x.1", "9999999999999999.job_" + "0" * 26 + ".1"]
)
async def test_an_id_that_is_none_means_from_now_on(running: Service, last: str) -> None:
    await submit(running)
    async with stream(running, "/v1/events", last=last) as events:
        job_id = await submit(running)
        assert (await anext(events))[1]["job_id"] == job_id


async def test_a_key_for_its_own_jobs_hears_of_no_other(running: Service) -> None:
    narrow = await running.key_with(own_jobs=True)
    async with stream(running, "/v1/events", key=narrow) as events:
        await submit(running)
        own = await submit(running, key=narrow)
        await running.hands.run()
        await running.hands.run()
        seen = [(await anext(events))[1] for _ in range(4)]
    assert {data["job_id"] for data in seen} == {own}


async def test_a_feed_ends_after_a_while(tmp_path: Path) -> None:
    rules = Rules(beat=timedelta(milliseconds=20), longest_feed=timedelta(milliseconds=100))
    async with service(tmp_path, rules=rules) as made:
        async with stream(made, "/v1/events") as events:
            assert [event async for event in events] == []
        assert (await made.http.head("/v1/events")).status_code == 200


# The leash


@pytest.fixture
async def timed(tmp_path: Path) -> AsyncGenerator[tuple[Service, ManualClock]]:
    clock = ManualClock()
    async with service(tmp_path, rules=RULES, clock=clock) as made:
        yield made, clock


async def runs_out(made: Service, job_id: str, at: datetime) -> bool:
    """Whether nobody will have asked for it long enough by then."""
    return JobId(job_id) in await made.store.jobs.unleashed(at)


@pytest.mark.parametrize("path", ["", "/logs", "/events", "/logs?format=ndjson", "/artifacts"])
async def test_whoever_asks_for_a_job_renews_its_leash(timed: tuple[Service, ManualClock], path: str) -> None:
    made, clock = timed
    job_id = await submit(made, leash_ms=60_000)
    clock.advance(timedelta(seconds=50))
    end = clock.now() + timedelta(seconds=10)
    assert await runs_out(made, job_id, end)
    await made.http.get(f"/v1/jobs/{job_id}{path}")
    assert not await runs_out(made, job_id, end)
    assert await runs_out(made, job_id, end + timedelta(seconds=80))


async def test_lists_hold_no_leash(timed: tuple[Service, ManualClock]) -> None:
    made, clock = timed
    job_id = await submit(made, leash_ms=60_000)
    clock.advance(timedelta(seconds=50))
    await made.http.get("/v1/jobs")
    assert await runs_out(made, job_id, clock.now() + timedelta(seconds=10))


async def test_a_job_that_the_key_may_not_see_is_not_held_by_it(timed: tuple[Service, ManualClock]) -> None:
    made, clock = timed
    job_id = await submit(made, leash_ms=60_000)
    clock.advance(timedelta(seconds=50))
    stranger = bearer(await made.key_with(own_jobs=True))
    assert (await made.http.get(f"/v1/jobs/{job_id}", headers=stranger)).status_code == 404
    assert await runs_out(made, job_id, clock.now() + timedelta(seconds=10))


class Touches:
    """A job store that counts how often a leash was renewed."""

    def __init__(self) -> None:
        self.third = asyncio.Event()
        self.count = 0

    async def touch(self, job_id: JobId, now: datetime) -> None:
        self.count += 1
        if self.count == 3:
            self.third.set()


async def test_whoever_follows_a_job_renews_its_leash_again_and_again(running: Service) -> None:
    job = await running.store.jobs.get(JobId(await submit(running, leash_ms=5000)))
    assert job is not None
    touches = Touches()
    api = replace(running.api, jobs=touches)  # pyright: ignore[reportArgumentType]
    async with held(api, replace(job, leash=timedelta(milliseconds=30))):
        await touches.third.wait()
    after = touches.count
    async with held(api, replace(job, leash=None)):
        await asyncio.sleep(0)
    assert touches.count == after
