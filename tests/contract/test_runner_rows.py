"""How far a runner has come, on each database: told to its demand, and to be found after a crash."""

import asyncio
from datetime import timedelta

from chaser.ids import JobId
from chaser.jobs.ports import Claim, Fence
from chaser.jobs.reason import Reason
from chaser.runners.demand import State
from chaser.runners.inbox import Recorded
from chaser.runners.ports import RunnerRow
from chaser.store.store import Store
from tests.rows import START, WORKER, claimed
from tests.workflow_jobs import runner_of, tell, told

SOON = START + timedelta(minutes=1)
LATER = START + timedelta(minutes=2)


async def planned(store: Store, workflow_job_id: int = 77) -> JobId:
    answer = await tell(store, told(job_id=workflow_job_id))
    assert isinstance(answer, Recorded)
    assert answer.job_id is not None
    return answer.job_id


async def state(store: Store, workflow_job_id: int = 77) -> State:
    story = await store.demands.story(workflow_job_id)
    assert story is not None
    return story.demand.state


async def test_its_steps_are_kept_and_move_its_demand(store: Store) -> None:
    job_id = await planned(store)
    name = runner_of(job_id)

    await store.runners.begun(job_id, 1, name, START)
    assert await store.runners.of(job_id, 1) == RunnerRow(job_id, 1, name, START)
    assert await state(store) is State.STARTING

    await store.runners.minted(job_id, 1, 12, START, SOON)
    assert await state(store) is State.STARTING

    await store.runners.online(job_id, 1, SOON)
    await store.runners.online(job_id, 1, LATER)
    await store.runners.removed(job_id, 1, LATER)

    assert await store.runners.of(job_id, 1) == RunnerRow(
        job_id, 1, name, START, 12, prepared_at=START, minted_at=SOON, online_at=SOON, removed_at=LATER
    )
    assert await state(store) is State.ONLINE


async def test_a_later_attempt_begins_anew_and_an_earlier_one_says_nothing_more(store: Store) -> None:
    job_id = await planned(store)
    await store.runners.begun(job_id, 1, "first", START)
    await store.runners.minted(job_id, 1, 12, START, START)
    await store.runners.begun(job_id, 2, "second", SOON)

    await store.runners.begun(job_id, 1, "first", LATER)
    await store.runners.minted(job_id, 1, 13, LATER, LATER)
    await store.runners.online(job_id, 1, LATER)
    await store.runners.removed(job_id, 1, LATER)

    assert await store.runners.of(job_id, 1) is None
    assert await store.runners.of(job_id, 2) == RunnerRow(job_id, 2, "second", SOON)
    assert await state(store) is State.STARTING


async def test_what_github_has_said_counts_more(store: Store) -> None:
    job_id = await planned(store)
    await store.runners.begun(job_id, 1, runner_of(job_id), START)
    await tell(store, told("in_progress", runner_name=runner_of(job_id), runner_id=12))

    await store.runners.online(job_id, 1, SOON)

    assert await state(store) is State.RUNNING


async def test_a_runner_that_was_given_another_job_is_not_its_firsts_any_more(store: Store) -> None:
    one = await planned(store, 1)
    await planned(store, 2)
    await store.runners.begun(one, 1, runner_of(one), START)
    await tell(store, told("in_progress", job_id=2, runner_name=runner_of(one), runner_id=12))

    await store.runners.online(one, 1, SOON)

    assert [await state(store, number) for number in (1, 2)] == [State.PLANNED, State.RUNNING]


async def test_it_is_forgotten_with_its_job(store: Store) -> None:
    job_id = await planned(store)
    await store.runners.begun(job_id, 1, runner_of(job_id), START)
    await tell(store, told("completed"))
    await store.retention.forget_job(job_id)

    assert await store.runners.of(job_id, 1) is None


async def test_its_steps_and_what_github_tells_wait_for_each_other(store: Store) -> None:
    """Both write the demand, and lock what hangs on it in the same order."""
    ids = range(1, 13)
    jobs = [await planned(store, number) for number in ids]

    await asyncio.gather(
        *(store.runners.begun(job_id, 1, runner_of(job_id), START) for job_id in jobs),
        *(tell(store, told("completed", job_id=number)) for number in ids),
    )

    assert {await state(store, number) for number in ids} == {State.CANCELLED}


async def test_an_end_that_was_asked_for_is_taken_back(store: Store) -> None:
    """Of the attempt that is held, and for the reason that was asked for."""
    job_id = await planned(store)
    claim = await claimed(store.jobs)
    await store.jobs.request_cancel(job_id, Reason.CANCELLED_BY_GITHUB, SOON)

    assert await store.jobs.spare(claim, Reason.CANCELLED_BY_USER) is Fence.LOST
    assert await store.jobs.spare(Claim(claim.job, WORKER), Reason.CANCELLED_BY_GITHUB) is Fence.HELD

    job = await store.jobs.get(job_id)
    assert job is not None
    assert job.cancel_requested is None
    assert await store.jobs.spare(claim, Reason.CANCELLED_BY_GITHUB) is Fence.LOST
