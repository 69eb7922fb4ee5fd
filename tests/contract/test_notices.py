"""What processes that share a database tell each other. Two stores stand for two processes."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Generator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from chaser.clock import ManualClock
from chaser.ids import JobId
from chaser.jobs.job import Retry, Status, Verdict
from chaser.jobs.logs import Frame, Stream
from chaser.jobs.notices import CancelAsked, JobChanged, LookAtQueue, Notice
from chaser.jobs.ports import Progress
from chaser.jobs.reason import Reason
from chaser.store.engines import sqlite_url
from chaser.store.sealing import SealingKey
from chaser.store.store import Store, open_store
from tests.postgres import PostgresServer, running_postgres
from tests.rows import START, claimed, enqueued, new_job

SECOND = timedelta(seconds=1)
SUCCESS = Verdict(Status.SUCCEEDED, None, None, {})
RETRY = Retry(frozenset({Reason.NONZERO_EXIT}), 1, SECOND, SECOND)
SILENCE = JobChanged(JobId("job_silence"))


class Ear:
    """What a store hears, in order."""

    def __init__(self, store: Store) -> None:
        self._heard: asyncio.Queue[Notice] = asyncio.Queue()
        self.listening = asyncio.create_task(store.notices.listen(self._heard.put_nowait))

    async def next(self) -> Notice:
        async with asyncio.timeout(30):
            return await self._heard.get()

    async def before_silence(self) -> list[Notice]:
        heard: list[Notice] = []
        while (notice := await self.next()) != SILENCE:
            heard.append(notice)
        return heard


async def fall_silent(store: Store) -> None:
    """Say a word that nothing else says, so that what was said before it can be told."""
    words = text("SELECT pg_notify('chaser', 'changed job_silence')")
    await store.database.write(lambda connection: connection.execute(words))


@asynccontextmanager
async def two_processes(url: str, key: SealingKey) -> AsyncGenerator[tuple[Store, Store, Ear]]:
    """Who tells, who hears, and what that one hears."""
    teller, hearer = (open_store(url, [key], ManualClock(), given_time=True) for _ in range(2))
    ear = Ear(hearer)
    try:
        assert await ear.next() == LookAtQueue()
        yield teller, hearer, ear
    finally:
        ear.listening.cancel()
        await asyncio.gather(ear.listening, return_exceptions=True)
        await teller.close()
        await hearer.close()


@pytest.fixture
def server_url(postgres: PostgresServer, sealing_key: SealingKey) -> Generator[str]:
    url = postgres.prepared(sealing_key)
    yield url
    postgres.drop(url)


@pytest.fixture
async def shared(server_url: str, sealing_key: SealingKey) -> AsyncGenerator[tuple[Store, Store, Ear]]:
    async with two_processes(server_url, sealing_key) as both:
        yield both


Shared = tuple[Store, Store, Ear]


async def heard_of(shared: Shared, work: Awaitable[object]) -> list[Notice]:
    teller, _, ear = shared
    await fall_silent(teller)
    await ear.before_silence()
    await work
    await fall_silent(teller)
    return await ear.before_silence()


async def test_sqlite_has_nobody_to_hear(tmp_path: Path, sealing_key: SealingKey) -> None:
    store = open_store(sqlite_url(tmp_path / "chaser.db"), [sealing_key], ManualClock())
    ear = Ear(store)

    await asyncio.wait_for(ear.listening, 10)
    await store.close()


@pytest.mark.postgres
async def test_a_job_that_is_ready_is_told_of(shared: Shared) -> None:
    jobs = shared[0].jobs

    assert await heard_of(shared, jobs.enqueue(new_job())) == [LookAtQueue()]
    assert await heard_of(shared, jobs.enqueue(new_job(run_at=START + SECOND))) == []
    assert await heard_of(shared, jobs.promote(START + SECOND)) == [LookAtQueue()]
    assert await heard_of(shared, jobs.enqueue(new_job(concurrency_key="k"))) == [LookAtQueue()]
    assert await heard_of(shared, jobs.enqueue(new_job(concurrency_key="k"))) == []
    assert await heard_of(shared, jobs.enqueue_all([new_job(), new_job()])) == [LookAtQueue()]


@pytest.mark.postgres
async def test_a_run_is_told_of(shared: Shared) -> None:
    jobs, logs = shared[0].jobs, shared[0].logs
    job = await enqueued(jobs)
    claim = await claimed(jobs)
    frame = Frame(1, Stream.OUTPUT, START, b"x")

    assert await heard_of(shared, jobs.begin(claim, START)) == [JobChanged(job.id)]
    assert await heard_of(shared, logs.append(claim, [frame], Progress())) == [JobChanged(job.id)]
    assert await heard_of(shared, jobs.finish(claim, SUCCESS, START)) == [JobChanged(job.id)]


@pytest.mark.postgres
async def test_a_job_put_back_is_told_of(shared: Shared) -> None:
    jobs = shared[0].jobs
    job = await enqueued(jobs, retry=RETRY)
    again = (Reason.NONZERO_EXIT, "Again.")

    claim = await claimed(jobs)
    told = await heard_of(shared, jobs.requeue(claim, *again, START, START))
    assert told == [JobChanged(job.id), LookAtQueue()]
    claim = await claimed(jobs)
    assert await heard_of(shared, jobs.requeue(claim, *again, START + SECOND, START)) == [JobChanged(job.id)]


@pytest.mark.postgres
async def test_a_wish_to_cancel_is_told_of(shared: Shared) -> None:
    jobs, reason = shared[0].jobs, Reason.CLIENT_GONE
    waits = await enqueued(jobs, priority=-1)
    live = await enqueued(jobs)
    await claimed(jobs)

    assert await heard_of(shared, jobs.request_cancel(waits.id, reason, START)) == [JobChanged(waits.id)]
    told = await heard_of(shared, jobs.request_cancel(live.id, reason, START))
    assert told == [CancelAsked(live.id, reason)]
    assert await heard_of(shared, jobs.request_cancel(live.id, reason, START)) == []


@pytest.mark.postgres
async def test_who_moves_up_in_a_line_is_told_of(shared: Shared) -> None:
    jobs = shared[0].jobs
    first = await enqueued(jobs, concurrency_key="k")
    await enqueued(jobs, concurrency_key="k")
    claim = await claimed(jobs)

    assert await heard_of(shared, jobs.finish(claim, SUCCESS, START)) == [JobChanged(first.id), LookAtQueue()]


@pytest.mark.postgres
async def test_nobody_hears_itself(shared: Shared) -> None:
    _, hearer, ear = shared

    await enqueued(hearer.jobs)
    await fall_silent(shared[0])

    assert await ear.before_silence() == []


@pytest.mark.postgres
async def test_words_that_only_a_newer_version_understands_are_passed_over(shared: Shared) -> None:
    teller, _, ear = shared
    words = text(
        "SELECT pg_notify('chaser', payload) FROM unnest(ARRAY['', 'news', 'cancel job_1 whim']) AS payload"
    )

    await teller.database.write(lambda connection: connection.execute(words))
    await fall_silent(teller)

    assert await ear.before_silence() == []


@pytest.mark.postgres
async def test_after_a_restart_of_the_server_something_may_have_been_missed(sealing_key: SealingKey) -> None:
    with running_postgres() as server:
        async with two_processes(server.empty(), sealing_key) as (teller, _, ear):
            server.stop()
            server.start()

            assert await ear.next() == LookAtQueue()
            job = await enqueued(teller.jobs)
            assert await ear.next() == LookAtQueue()
            await teller.jobs.finish(await claimed(teller.jobs), SUCCESS, START)
            assert await ear.next() == JobChanged(job.id)
