"""The queue: jobs per second from end to end, beside its peers; and how soon work begins."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

from bench.contest import run
from bench.drain import emptied
from bench.own import nothing, working
from bench.report import say, spread
from chaser.ids import JobId, WorkerId
from chaser.jobs.ports import Claim, Full, JobStore
from chaser.store.engines import sqlite_url
from tests.postgres import DURABLE, PostgresServer, running_postgres

JOBS = 1000
ROUNDS = 9
PROBES = 200
PEERS = ("procrastinate", "pgqueuer", "pgqueuer-psycopg")


def measure() -> None:
    with running_postgres(DURABLE) as server:
        throughput(server)
        for name, url in (("SQLite", None), ("PostgreSQL", server.empty())):
            with tempfile.TemporaryDirectory(prefix="chaser-bench-") as folder:
                asyncio.run(latency(name, url or sqlite_url(Path(folder, "queue.db"))))


def throughput(server: PostgresServer) -> None:
    """Each on a database of its own, in turn."""
    sqlite: list[float] = []
    rates: dict[str, list[float]] = {name: [] for name in ("chaser", *PEERS)}
    for turn in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="chaser-bench-") as folder:
            sqlite.append(run("chaser", sqlite_url(Path(folder, "queue.db")), JOBS))
        names = list(rates)
        # No one has always the same before it.
        for name in (*names[turn % len(names) :], *names[: turn % len(names)]):
            url = server.empty()
            rates[name].append(run(name, url, JOBS))
            server.drop(url)
    say("queue on SQLite, jobs/s", range_of(sqlite), "at least 400")
    say("queue on PostgreSQL, jobs/s", range_of(rates["chaser"]), "")
    for name in PEERS:
        ratios = [ours / theirs for ours, theirs in zip(rates["chaser"], rates[name], strict=True)]
        say(
            f"  against {name}",
            range_of(rates[name]),
            f"ratio {statistics.median(ratios):.2f}, at least 0.8",
        )


def range_of(rates: Sequence[float]) -> str:
    return f"{statistics.median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f})"


class Watched:
    """The store, with the time at which each claim was had."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self.asked: dict[JobId, float] = {}
        self.claimed: dict[JobId, float] = {}

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def claim(self, worker: WorkerId, now: datetime, full: Full, most: int) -> Sequence[Claim]:
        asked = time.perf_counter()
        claims = await self._store.claim(worker, now, full, most)
        for claim in claims:
            self.asked[claim.job.id] = asked
            self.claimed[claim.job.id] = time.perf_counter()
        return claims


async def latency(database: str, url: str) -> None:
    """Jobs one after the other, each to a queue that has nothing to do."""
    began: dict[JobId, float] = {}
    written: dict[JobId, float] = {}
    performed = asyncio.Event()
    watched: list[Watched] = []

    def perform(job_id: JobId) -> None:
        began[job_id] = time.perf_counter()
        performed.set()

    def through(store: JobStore) -> JobStore:
        watched.append(Watched(store))
        return cast("JobStore", watched[0])

    async with working(url, perform, through) as queue:
        for _ in range(PROBES):
            performed.clear()
            new = nothing()
            await queue.intake.submit(new)
            written[new.id] = time.perf_counter()
            await performed.wait()
            await emptied(queue.unfinished)
    (store,) = watched
    say(
        f"claim to start of work, {database}",
        spread([began[job] - at for job, at in store.claimed.items()]),
        "median at most 10 ms",
    )
    say("  with the claim's transaction", spread([began[job] - at for job, at in store.asked.items()]), "")
    say(
        "  from the answer to the enqueue, idle",
        spread([began[job] - at for job, at in written.items()]),
        "no polling delay",
    )
