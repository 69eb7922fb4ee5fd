"""Where the time goes, over real HTTP on the real store: the API, the command, and /metrics."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from chaser.clock import ManualClock
from tests.api_service import Service, service
from tests.rows import START
from tests.served_jobs import after, handed_over, heard, ran

HOUR = 3600
Json = dict[str, Any]


@pytest.fixture
async def running(tmp_path: Path, clock: ManualClock) -> AsyncGenerator[Service]:
    """Two workflow jobs have been served, of one of which GitHub told late; and one waits."""
    async with service(tmp_path, clock=clock) as made:
        for number, at, late in ((1, 100, 3), (2, 2 * HOUR, 40)):
            clock.advance(after(at) - clock.now())
            runner = await heard(made.store, number, at, late=late)
            await handed_over(made.store, at + 10)
            await ran(made.store, number, runner, at + 20)
        await heard(made.store, 3, 2 * HOUR)
        clock.advance(after(2.5 * HOUR) - clock.now())
        yield made


async def latency(running: Service, **query: object) -> Json:
    answer = await running.http.get("/v1/github/latency", params={name: str(v) for name, v in query.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


def spans(ledger: Json) -> dict[str, tuple[int, int]]:
    """How many, and the longest, in milliseconds."""
    return {each["span"]: (each["count"], each["longest_ms"]) for each in ledger["spans"]}


async def test_every_part_of_the_way_is_told_with_whose_it_is(running: Service) -> None:
    found = await latency(running)

    assert (found["whole"]["jobs"], found["whole"]["late"]) == (2, 1)
    assert spans(found["whole"]) == {
        "delivery": (2, 40_000),
        "storing": (2, 0),
        "admission": (2, 0),
        "queue": (2, 10_000),
        "sandbox": (2, 1_000),
        "registration": (2, 1_000),
        "runner": (2, 3_000),
        "assignment": (2, 5_000),
        "run": (2, 60_000),
        "wait": (2, 60_000),
    }
    (delivery,) = [each for each in found["whole"]["spans"] if each["span"] == "delivery"]
    assert (delivery["begin"], delivery["end"], delivery["whose"]) == ("created", "delivered", "github")
    assert (delivery["p50_ms"], delivery["p95_ms"], delivery["p99_ms"]) == (3_000, 40_000, 40_000)
    assert [each["profile"] for each in found["profiles"]] == ["default"]
    assert spans(found["profiles"][0]) == spans(found["whole"])


async def test_what_began_before_the_period_is_left_out(running: Service) -> None:
    found = await latency(running, period_ms=HOUR * 1000)

    assert (found["whole"]["jobs"], spans(found["whole"])["delivery"]) == (1, (1, 40_000))
    assert (found["since"], found["until"]) == ("2026-01-01T01:30:00.000Z", "2026-01-01T02:30:00.000Z")
    assert after(1.5 * HOUR) > START


async def test_of_a_profile_that_has_served_nothing_there_is_nothing(running: Service) -> None:
    found = await latency(running, profile="large")
    assert found["whole"] == {"jobs": 0, "late": 0, "spans": []}
    assert found["profiles"] == []


@pytest.mark.parametrize("period", ["0", "59999", "2592000001", "x"])
async def test_a_period_that_is_none_is_a_fault(running: Service, period: str) -> None:
    answer = await running.http.get("/v1/github/latency", params={"period_ms": period})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")


async def test_metrics_tell_of_the_last_hour(running: Service) -> None:
    lines = set((await running.http.get("/metrics")).text.splitlines())

    assert {
        'chaser_github_latency_seconds{span="delivery",percentile="95"} 40',
        'chaser_github_latency_seconds{span="queue",percentile="50",profile="default"} 10',
        "chaser_github_jobs_begun 1",
        'chaser_github_jobs_begun{profile="default"} 1',
        "chaser_github_late 1",
    } <= lines


async def _chaser(running: Service, *words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chaser", "github", "latency", *words),
        env={**os.environ, "CHASER_API_URL": running.url, "CHASER_API_KEY": running.key},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_the_command_shows_it_and_says_when_github_is_late(running: Service) -> None:
    status, out, err = await _chaser(running, "--period", "7d")

    assert status == 0
    rows = [line.split() for line in out.splitlines()]
    assert ["delivery", "github", "2", "3.000", "s", "40.000", "s", "40.000", "s", "40.000", "s"] in rows
    assert "All profiles, 2 jobs" in out
    assert "default, 2 jobs" in out
    assert "GitHub told of 1 of 2 jobs 30 s or more after it had made them" in err


async def test_the_command_gives_the_document_to_a_script(running: Service) -> None:
    status, out, err = await _chaser(running, "--json", "--period", "1h")

    assert (status, err) == (0, "")
    assert json.loads(out) == await latency(running, period_ms=HOUR * 1000)
