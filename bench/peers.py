"""The queues that Chaser's is measured beside, used as their documentation says, and as fast as that goes here."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress

import asyncpg
import psycopg
from pgqueuer import PgQueuer
from pgqueuer.models import Job
from pgqueuer.queries import Queries
from pgqueuer.types import QueueEntrypoint
from procrastinate import App, PsycopgConnector

from bench.drain import CONNECTIONS, SLOTS, Tally, jobs_per_second


async def procrastinate(url: str, jobs: int) -> float:
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    app = App(connector=PsycopgConnector(conninfo=url, min_size=CONNECTIONS, max_size=CONNECTIONS))
    tally = Tally(jobs)

    @app.task(name="nothing")
    async def nothing() -> None:
        tally.count()

    async def unfinished() -> int:
        count = "SELECT count(*) AS jobs FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
        return (await app.connector.execute_query_one_async(count))["jobs"]

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        async with _beside(app.run_worker_async(concurrency=SLOTS, install_signal_handlers=False)):
            return await jobs_per_second(jobs, tally, nothing.defer_async, unfinished)


async def pgqueuer_asyncpg(url: str, jobs: int) -> float:
    """With the driver that it recommends. One connection each for producers and worker: a pool makes it slower."""
    worker, producers = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        return await _pgqueuer(
            PgQueuer.from_asyncpg_connection(worker), Queries.from_asyncpg_connection(producers), jobs
        )
    finally:
        await worker.close()
        await producers.close()


async def pgqueuer_psycopg(url: str, jobs: int) -> float:
    """With the driver that Chaser uses."""
    async with (
        await psycopg.AsyncConnection.connect(url, autocommit=True) as worker,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as producers,
    ):
        return await _pgqueuer(
            PgQueuer.from_psycopg_connection(worker), Queries.from_psycopg_connection(producers), jobs
        )


async def _pgqueuer(queuer: PgQueuer, producers: Queries, jobs: int) -> float:
    """Each job fetched alone, and each end written alone: the size of a batch is that of the completion buffer too."""
    await producers.install()
    tally = Tally(jobs)

    @queuer.entrypoint("nothing")
    async def nothing(job: Job) -> None:
        tally.count()

    async def submit() -> None:
        await producers.enqueue("nothing", None)

    async def unfinished() -> int:
        return await producers.queued_work([QueueEntrypoint("nothing")])

    async with _beside(queuer.qm.run(batch_size=1)):
        return await jobs_per_second(jobs, tally, submit, unfinished)


@asynccontextmanager
async def _beside(worker: Coroutine[object, object, None]) -> AsyncGenerator[None]:
    task = asyncio.create_task(worker)
    try:
        await asyncio.sleep(1)  # until it listens; neither says when
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
