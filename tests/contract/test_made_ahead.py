"""Rows of sandboxes that were made before any job asked for one, on each database."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chaser.errors import Unavailable
from chaser.ids import WorkerId, new_sandbox_id
from chaser.jobs.job import Status, Verdict
from chaser.jobs.ports import LEASE, Claim, Fence, SandboxRow
from chaser.jobs.reason import Reason
from chaser.store.store import Store
from tests.rows import ENGINE, LATER_WORKER, SEAT, START, TERMS, WORKER, claimed, enqueued, sandbox_of

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def ahead(worker: WorkerId = WORKER) -> SandboxRow:
    return SandboxRow(new_sandbox_id(START), None, None, worker, ENGINE, START)


async def one(store: Store, worker: WorkerId = WORKER) -> SandboxRow:
    row = ahead(worker)
    await store.jobs.name_ahead(row)
    return row


async def job(store: Store) -> Claim:
    await enqueued(store.jobs)
    return await claimed(store.jobs)


async def test_it_becomes_the_attempts_own(store: Store) -> None:
    row, claim = await one(store), await job(store)

    assert await store.jobs.assign_sandbox(claim, row.id) is Fence.HELD

    found = await store.jobs.get(claim.job.id)
    assert found is not None
    assert found.sandbox_id == row.id
    stay = await store.jobs.stay(row.id)
    assert stay is not None
    assert stay.row == replace(row, job_id=claim.job.id, attempt=claim.attempt)
    assert await store.jobs.hand_over(claim, TERMS, START) is Fence.HELD
    assert await store.jobs.earlier_sandbox(claim.job.id) == row.id


async def test_it_is_given_once(store: Store) -> None:
    row, first, second = await one(store), await job(store), await job(store)

    assert await store.jobs.assign_sandbox(first, row.id) is Fence.HELD
    assert await store.jobs.assign_sandbox(second, row.id) is None

    found = await store.jobs.get(second.job.id)
    assert found is not None
    assert found.sandbox_id is None


async def test_one_that_is_gone_is_not_given(store: Store) -> None:
    row, claim = await one(store), await job(store)
    await store.jobs.sandbox_gone(row.id, START)

    assert await store.jobs.assign_sandbox(claim, row.id) is None


async def test_another_processs_is_not_given(store: Store) -> None:
    row, claim = await one(store, LATER_WORKER), await job(store)

    assert await store.jobs.assign_sandbox(claim, row.id) is None


async def test_whoever_has_lost_the_job_gets_none_for_it(store: Store) -> None:
    row, claim = await one(store), await job(store)
    await store.jobs.requeue(claim, Reason.HOST_LOST, "gone", START, START)

    assert await store.jobs.assign_sandbox(claim, row.id) is Fence.LOST

    again = await claimed(store.jobs)
    assert await store.jobs.assign_sandbox(again, row.id) is Fence.HELD


async def test_a_job_has_one_sandbox_at_a_time(store: Store) -> None:
    row, claim = await one(store), await job(store)
    await store.jobs.name_sandbox(claim, sandbox_of(claim))
    await store.jobs.requeue(claim, Reason.START_TIMEOUT, "slow", START, START)
    again = await claimed(store.jobs)

    with pytest.raises(Unavailable):
        await store.jobs.assign_sandbox(again, row.id)

    found = await store.jobs.get(claim.job.id)
    assert found is not None
    assert found.sandbox_id is None


async def test_it_is_living_while_its_process_is_and_left_when_that_falls_silent(store: Store) -> None:
    await store.jobs.join(WORKER, SEAT, START)
    row = await one(store)

    assert await store.jobs.sandboxes_living([row.id]) == {row.id}
    assert await store.jobs.sandboxes_left(ENGINE, START + SECOND) == []
    assert await store.jobs.sandboxes_left(ENGINE, START + LEASE + SECOND) == [row]


async def test_a_next_start_on_the_same_seat_finds_it_at_once_and_one_elsewhere_does_not(
    store: Store,
) -> None:
    await store.jobs.join(WORKER, SEAT, START)
    row = await one(store)

    await store.jobs.join(WorkerId("run_elsewhere"), "seat-b", START + SECOND)
    assert await store.jobs.sandboxes_left(ENGINE, START + SECOND) == []

    await store.jobs.join(LATER_WORKER, SEAT, START + SECOND)
    assert await store.jobs.sandboxes_left(ENGINE, START + SECOND) == [row]
    assert await store.jobs.sandboxes_left("another-engine", START + SECOND) == []


async def test_rows_that_served_no_job_are_forgotten_once_they_are_gone(store: Store) -> None:
    gone, living, used, claim = await one(store), await one(store), await one(store), await job(store)
    await store.jobs.assign_sandbox(claim, used.id)
    await store.jobs.finish(claim, Verdict(Status.SUCCEEDED, None, None, {}), START)
    for row in (gone, used):
        await store.jobs.sandbox_gone(row.id, START)

    assert await store.retention.forget_sandboxes(START, 10) == 0
    assert await store.retention.forget_sandboxes(START + DAY, 10) == 1
    assert await store.jobs.sandboxes_living([living.id]) == {living.id}
