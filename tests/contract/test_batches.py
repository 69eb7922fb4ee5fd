"""Many jobs in one transaction, on each database."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event

from chaser.jobs.ports import Conflict, Created, Full, JobFilter, Replayed
from chaser.store.store import Store
from tests.rows import START, WORKER, enqueued, new_job

SECOND = timedelta(seconds=1)


async def test_all_are_written_in_order(store: Store) -> None:
    new = [new_job(START + n * SECOND, priority=n) for n in range(3)]

    answers = await store.jobs.enqueue_all(new)

    assert [answer.job.id for answer in answers] == [each.id for each in new]
    for answer in answers:
        assert isinstance(answer, Created)
        assert await store.jobs.get(answer.job.id) == answer.job


async def test_none_is_written_where_one_conflicts(store: Store) -> None:
    first = await enqueued(store.jobs, idempotency_key="k", fingerprint="a")
    new = [new_job(), new_job(idempotency_key="k", fingerprint="b"), new_job(concurrency_key="c")]

    assert await store.jobs.enqueue_all(new) == (Conflict(first),)

    assert len(await store.jobs.list(JobFilter())) == 1
    again = await enqueued(store.jobs, concurrency_key="c")
    assert again.ready


async def test_what_is_there_already_is_answered_with(store: Store) -> None:
    first = await enqueued(store.jobs, idempotency_key="k", fingerprint="a")

    answers = await store.jobs.enqueue_all([new_job(), new_job(idempotency_key="k", fingerprint="a")])

    assert isinstance(answers[0], Created)
    assert answers[1] == Replayed(first)


async def test_two_of_one_batch_with_the_same_key_are_one_job(store: Store) -> None:
    new = [new_job(idempotency_key="k", fingerprint="a") for _ in range(2)]

    first, second = await store.jobs.enqueue_all(new)

    assert isinstance(first, Created)
    assert second == Replayed(first.job)


async def test_no_jobs_are_no_batch(store: Store) -> None:
    assert await store.jobs.enqueue_all([]) == ()


async def test_those_of_one_key_stand_in_the_order_of_the_batch(store: Store) -> None:
    new = [
        new_job(START, concurrency_key="k", idempotency_key=key, fingerprint="f") for key in ("c", "a", "b")
    ]

    answers = await store.jobs.enqueue_all(new)

    assert [answer.job.ready for answer in answers] == [True, False, False]
    positions = [await store.jobs.line(each.id) for each in new]
    assert [line and line.position for line in positions] == [None, 1, 2]


async def test_a_thousand_at_once_are_taken(store: Store) -> None:
    await store.jobs.enqueue_all([new_job(concurrency_key=f"k{n % 300}") for n in range(1000)])

    assert len(await store.jobs.list(JobFilter(limit=2000))) == 1000
    assert await store.jobs.claim(WORKER, START, Full())


async def test_batches_with_the_same_keys_in_another_order_do_not_wait_for_each_other(store: Store) -> None:
    for n in range(10):
        keys = [f"{n}-{each}" for each in range(10)]
        new = [new_job(idempotency_key=key, fingerprint="f", concurrency_key=key) for key in keys]
        turned = [replace(new_job(), **_of(each)) for each in reversed(new)]

        async with asyncio.timeout(30):
            one, other = await asyncio.gather(store.jobs.enqueue_all(new), store.jobs.enqueue_all(turned))

        assert {answer.job.id for answer in one} == {answer.job.id for answer in other}


def _of(job: object) -> dict[str, object]:
    names = ("idempotency_key", "fingerprint", "concurrency_key")
    return {name: getattr(job, name) for name in names}


class Broken(Exception):
    """What a driver would raise."""


async def test_a_transaction_that_could_not_begin_fails_none_but_its_own_jobs(store: Store) -> None:
    """Whoever comes next has another one, however this one failed."""
    engine = store.database.engines.writing

    def fail(*_: object) -> None:
        raise Broken

    event.listen(engine, "before_cursor_execute", fail)
    try:
        with pytest.raises(Broken):
            await store.jobs.enqueue(new_job())
    finally:
        event.remove(engine, "before_cursor_execute", fail)

    assert (await enqueued(store.jobs)).ready
