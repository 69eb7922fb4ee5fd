"""/metrics over real HTTP: who may read it, and that Prometheus' own tool has nothing to say of it."""

import asyncio
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from chaser.errors import Unavailable
from chaser.jobs.reason import Reason
from chaser.keys import Scope
from chaser.measures import Measure, Sort
from tests.api_service import bearer, service
from tests.rows import enqueued
from tests.workflow_jobs import tell, told


@dataclass
class Counter:
    count: float

    def measures(self) -> Sequence[Measure]:
        return (Measure("chaser_tests_total", "Tests.", Sort.COUNTER, {(): self.count}),)


async def test_what_is_counted_and_what_is_looked_at_is_shown(tmp_path: Path) -> None:
    async with service(tmp_path, counting=(Counter(3),)) as running:
        await enqueued(running.store.jobs, profile="default")
        await tell(running.store, told())

        answer = await running.http.get("/metrics")

    assert (answer.status_code, answer.headers["content-type"]) == (
        200,
        "text/plain; version=0.0.4; charset=utf-8",
    )
    lines = answer.text.splitlines()
    assert {
        "chaser_tests_total 3",
        'chaser_info{version="0.0.0"} 1',
        'chaser_part_up{part="store"} 1',
        'chaser_jobs{status="queued",profile="default"} 2',
        'chaser_github_demands{state="planned"} 1',
    } <= set(lines)


async def test_prometheus_tool_finds_nothing_wrong(tmp_path: Path) -> None:
    async with service(tmp_path, counting=(Counter(0.5),)) as running:
        await enqueued(running.store.jobs, profile='an "odd" one')
        text = (await running.http.get("/metrics")).text

    checked = await asyncio.create_subprocess_exec(
        *("promtool", "check", "metrics"), stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await checked.communicate(text.encode())
    assert (checked.returncode, said.decode()) == (0, "")


async def test_it_is_for_keys_that_may_read_runners(tmp_path: Path) -> None:
    """Not for whoever comes from loopback: so does everybody, behind a proxy on the same machine."""
    async with service(tmp_path) as running:
        wrong = await running.key_with(scopes=frozenset({Scope.JOBS_READ}))
        right = await running.key_with(scopes=frozenset({Scope.RUNNERS_READ}))
        async with httpx.AsyncClient(base_url=running.url) as client:
            answers = [
                (await client.get("/metrics", headers=headers)).status_code
                for headers in ({}, bearer(wrong), bearer(right))
            ]
    assert answers == [401, 403, 200]


async def test_a_part_that_does_not_answer_is_told_and_hides_no_other(tmp_path: Path) -> None:
    async def away() -> None:
        raise Unavailable(Reason.ENGINE_UNAVAILABLE, "Docker is away.")

    async with service(tmp_path, pings={"docker": away}, counting=(Counter(1),)) as running:
        answer = await running.http.get("/metrics")

    assert answer.status_code == 200
    assert {'chaser_part_up{part="docker"} 0', "chaser_tests_total 1"} <= set(answer.text.splitlines())
