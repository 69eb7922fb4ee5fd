"""New jobs that come at the same time: each is answered for itself, whatever becomes of the others."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from chaser.jobs.job import Status
from chaser.jobs.ports import Conflict, Created, Replayed
from chaser.store.store import Store
from tests.rows import START, WORKER, claimed, new_job


async def test_many_at_once_are_all_there_each_with_the_begin_of_its_history(store: Store) -> None:
    new = [new_job() for _ in range(100)]

    enqueued = await asyncio.gather(*map(store.jobs.enqueue, new))

    assert [answer.job.id for answer in enqueued] == [each.id for each in new]
    assert all(isinstance(answer, Created) for answer in enqueued)
    for each in new:
        (event,) = await store.jobs.events(each.id)
        assert (event.seq, event.to_status, event.at) == (1, Status.QUEUED, each.created_at)


async def test_of_many_at_once_with_one_key_one_is_made(store: Store) -> None:
    alike = [new_job(idempotency_key="k", fingerprint="same") for _ in range(10)]
    other = new_job(idempotency_key="k", fingerprint="other")
    await store.jobs.enqueue(alike[0])

    *repeated, conflicting = await asyncio.gather(*map(store.jobs.enqueue, [*alike[1:], other]))

    assert all(isinstance(answer, Replayed) for answer in repeated)
    assert isinstance(conflicting, Conflict)
    assert {answer.job.id for answer in [*repeated, conflicting]} == {alike[0].id}


async def test_one_that_the_database_refuses_takes_none_of_the_others_with_it(store: Store) -> None:
    good = [new_job() for _ in range(20)]
    bad = replace(new_job(), priority=1_000)

    *made, refused = await asyncio.gather(*map(store.jobs.enqueue, [*good, bad]), return_exceptions=True)

    assert isinstance(refused, IntegrityError)
    assert [isinstance(answer, Created) for answer in made] == [True] * 20


async def test_who_gives_up_waiting_takes_none_of_the_others_with_it(store: Store) -> None:
    first, second = new_job(), new_job()
    waits = [asyncio.create_task(store.jobs.enqueue(each)) for each in (first, second)]
    await asyncio.sleep(0)

    waits[0].cancel()

    assert isinstance(await waits[1], Created)
    with pytest.raises(asyncio.CancelledError):
        await waits[0]


async def test_those_that_stand_in_a_line_take_their_turns_in_order(store: Store) -> None:
    new = [new_job(concurrency_key="line") for _ in range(5)]

    enqueued = await asyncio.gather(*map(store.jobs.enqueue, new))

    ready = [answer.job.id for answer in enqueued if answer.job.ready]
    assert len(ready) == 1
    assert (await claimed(store.jobs)).job.id == ready[0]
    assert not await store.jobs.claim(WORKER, START)
