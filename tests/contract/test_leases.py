"""Workers and their leases, on each database: who may be taken over, by whom, and what a late one can write."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, event

from chaser.clock import ManualClock
from chaser.ids import WorkerId
from chaser.jobs.job import Status, Verdict
from chaser.jobs.logs import Frame, Stream
from chaser.jobs.ports import LEASE, Claim, Fence, Progress, Stay
from chaser.jobs.reason import Reason
from chaser.sandboxes.ending import StepRun
from chaser.store.sealing import SealingKey, generate
from chaser.store.store import Store, open_store
from tests.rows import ENGINE, LATER_WORKER, SEAT, START, TERMS, WORKER, claimed, enqueued, sandbox_of

SECOND = timedelta(seconds=1)
OVER = START + LEASE
SUCCESS = Verdict(Status.SUCCEEDED, None, None, {})
PROGRESS = Progress(
    offsets={1: 100, 2: 7},
    covered={1: 3},
    seq=4,
    kept_bytes=90,
    skipped_bytes=10,
    at=START,
    steps=(StepRun(START, START + SECOND, 3, 1, timed_out=True), StepRun(START + SECOND)),
)


async def joined(store: Store, worker: WorkerId = WORKER, seat: str = SEAT, at: datetime = START) -> None:
    await store.jobs.join(worker, seat, at)


async def started(store: Store, engine_id: str = ENGINE) -> Claim:
    """A claim whose sandbox has been named and handed its launch."""
    await enqueued(store.jobs)
    claim = await claimed(store.jobs)
    assert await store.jobs.name_sandbox(claim, sandbox_of(claim, engine_id=engine_id)) is Fence.HELD
    assert await store.jobs.hand_over(claim, TERMS, START) is Fence.HELD
    return replace(claim, job=await store.jobs.get(claim.job.id) or claim.job)


async def test_a_workers_jobs_are_its_own_until_its_lease_runs_out(store: Store) -> None:
    await joined(store)
    claim = await started(store)

    assert await store.jobs.left_behind(ENGINE, OVER - SECOND) == []
    assert [job.id for job in await store.jobs.left_behind(ENGINE, OVER)] == [claim.job.id]


async def test_a_sign_of_life_renews_the_lease(store: Store) -> None:
    await joined(store)
    await started(store)

    await store.jobs.heartbeat(WORKER, START + 10 * SECOND)

    assert await store.jobs.left_behind(ENGINE, OVER + 9 * SECOND) == []
    assert len(await store.jobs.left_behind(ENGINE, OVER + 10 * SECOND)) == 1


async def test_a_worker_that_nobody_knows_is_silent(store: Store) -> None:
    await started(store)

    assert len(await store.jobs.left_behind(ENGINE, START)) == 1


async def test_who_takes_the_seat_knows_that_the_one_before_is_dead(store: Store) -> None:
    await joined(store)
    await joined(store, WorkerId("run_elsewhere"), "seat-b")
    claim = await started(store)

    await joined(store, LATER_WORKER, "seat-b", START + SECOND)
    assert await store.jobs.left_behind(ENGINE, START + SECOND) == []
    await joined(store, LATER_WORKER, SEAT, START + SECOND)

    assert [job.id for job in await store.jobs.left_behind(ENGINE, START + SECOND)] == [claim.job.id]


async def test_who_leaves_is_silent_at_once(store: Store, clock: ManualClock) -> None:
    await joined(store)
    await started(store)
    clock.advance(SECOND)

    await store.jobs.leave(WORKER, clock.now())

    assert len(await store.jobs.left_behind(ENGINE, START + SECOND)) == 1


async def test_joining_again_is_not_an_error(store: Store) -> None:
    """Its answer may have been lost."""
    await joined(store)
    await joined(store, at=START + SECOND)
    await started(store)

    assert await store.jobs.left_behind(ENGINE, OVER) == []


async def test_a_sign_of_life_is_answered_with_what_is_to_end(store: Store) -> None:
    await joined(store)
    first, second = await started(store), await started(store)
    await store.jobs.request_cancel(first.job.id, Reason.CLIENT_GONE, START)

    beat = await store.jobs.heartbeat(WORKER, START)

    assert beat.cancels == {first.job.id: Reason.CLIENT_GONE}
    assert beat.holds == {first.job.id, second.job.id}
    assert (await store.jobs.heartbeat(LATER_WORKER, START)).holds == frozenset()


async def test_what_is_left_is_looked_after_where_its_engine_is(store: Store) -> None:
    here, elsewhere = await started(store), await started(store, "engine-b")
    await enqueued(store.jobs)
    unnamed = await claimed(store.jobs)
    ended = await started(store)
    await store.jobs.finish(ended, SUCCESS, START)

    left = await store.jobs.left_behind(ENGINE, START)

    assert {job.id for job in left} == {here.job.id, unnamed.job.id}
    assert elsewhere.job.id not in {job.id for job in left}


async def test_a_job_on_an_engine_that_nobody_attends_is_out_of_reach_after_a_while(store: Store) -> None:
    await joined(store)
    elsewhere = await started(store, "engine-b")
    await started(store)

    async def out_of_reach(now: datetime) -> list[str]:
        jobs = await store.jobs.out_of_reach(ENGINE, now - 60 * SECOND, now)
        return [job.id for job in jobs]

    assert await out_of_reach(OVER + 59 * SECOND) == []
    assert await out_of_reach(OVER + 61 * SECOND) == [elsewhere.job.id]


async def test_who_takes_over_has_the_same_attempt(store: Store) -> None:
    claim = await started(store)
    [job] = await store.jobs.left_behind(ENGINE, START)

    taken = await store.jobs.take_over(job, LATER_WORKER)

    assert taken is not None
    assert (taken.job.id, taken.attempt, taken.worker) == (claim.job.id, 1, LATER_WORKER)
    assert taken.job == await store.jobs.get(job.id)
    assert await store.jobs.begin(taken, START) is Fence.HELD
    assert len(await store.jobs.events(job.id)) == 3


async def test_of_several_that_would_take_over_one_does(store: Store) -> None:
    await started(store)
    [job] = await store.jobs.left_behind(ENGINE, START)

    taken = await asyncio.gather(*(store.jobs.take_over(job, WorkerId(f"run_{n}")) for n in range(8)))

    assert sum(claim is not None for claim in taken) == 1


async def test_nobody_takes_over_from_itself(store: Store) -> None:
    """A clock that jumps ahead may make a worker seem silent to itself."""
    await started(store)
    [job] = await store.jobs.left_behind(ENGINE, START)

    assert await store.jobs.take_over(job, WORKER) is None


@pytest.mark.parametrize("change", ["finish", "requeue", "begin"])
async def test_what_has_moved_on_is_not_taken_over(store: Store, change: str) -> None:
    claim = await started(store)
    [job] = await store.jobs.left_behind(ENGINE, START)
    match change:
        case "finish":
            await store.jobs.finish(claim, SUCCESS, START)
        case "requeue":
            await store.jobs.requeue(claim, Reason.HOST_LOST, "It went.", START, START)
        case _:
            await store.jobs.begin(claim, START)

    assert await store.jobs.take_over(job, LATER_WORKER) is None


async def test_who_was_taken_over_writes_nothing_any_more(store: Store) -> None:
    late = await started(store)
    [job] = await store.jobs.left_behind(ENGINE, START)
    taken = await store.jobs.take_over(job, LATER_WORKER)
    assert taken is not None
    await store.jobs.begin(taken, START)
    before = (await store.jobs.get(job.id), await store.jobs.events(job.id))

    frame = Frame(1, Stream.OUTPUT, START, b"late")
    fences = [
        await store.jobs.begin(late, START),
        await store.jobs.finish(late, SUCCESS, START),
        await store.jobs.requeue(late, Reason.HOST_LOST, "It went.", START, START),
        await store.logs.append(late, [frame], PROGRESS),
    ]

    assert set(fences) == {Fence.LOST}
    assert (await store.jobs.get(job.id), await store.jobs.events(job.id)) == before
    assert await store.logs.read(job.id, 0, 100) == []
    assert job.sandbox_id is not None
    stay = await store.jobs.stay(job.sandbox_id)
    assert stay is not None
    assert stay.progress == Progress()


async def test_who_takes_over_finds_the_terms_and_the_progress(store: Store) -> None:
    claim = await started(store)
    sandbox_id = claim.job.sandbox_id
    assert sandbox_id is not None
    row = sandbox_of(claim)

    stay = await store.jobs.stay(sandbox_id)
    assert stay == Stay(replace(row, id=sandbox_id), TERMS, Progress())
    await store.logs.append(claim, [Frame(1, Stream.OUTPUT, START, b"x")], PROGRESS)

    stay = await store.jobs.stay(sandbox_id)
    assert stay is not None
    assert stay.progress == PROGRESS
    [job] = await store.jobs.left_behind(ENGINE, START)
    await store.jobs.take_over(job, LATER_WORKER)
    stay = await store.jobs.stay(sandbox_id)
    assert stay is not None
    assert stay.row.worker == LATER_WORKER


async def test_before_the_hand_over_there_are_no_terms(store: Store) -> None:
    await enqueued(store.jobs)
    claim = await claimed(store.jobs)
    row = sandbox_of(claim)
    await store.jobs.name_sandbox(claim, row)

    assert await store.jobs.stay(row.id) == Stay(row, None, Progress())


async def test_of_a_sandbox_that_is_gone_nothing_is_kept(store: Store) -> None:
    claim = await started(store)
    assert claim.job.sandbox_id is not None
    assert await store.jobs.earlier_sandbox(claim.job.id) == claim.job.sandbox_id

    await store.jobs.sandbox_gone(claim.job.sandbox_id, START)
    await store.jobs.sandbox_gone(claim.job.sandbox_id, START)

    assert await store.jobs.stay(claim.job.sandbox_id) is None
    assert await store.jobs.earlier_sandbox(claim.job.id) is None
    assert await store.jobs.sandboxes_living([claim.job.sandbox_id]) == frozenset()
    assert await store.jobs.sandboxes_left(ENGINE, OVER) == []


async def test_a_sandbox_is_left_when_neither_its_worker_nor_a_live_job_has_it(store: Store) -> None:
    await joined(store)
    claim = await started(store)
    await started(store, "engine-b")

    async def left(now: datetime) -> list[str]:
        return [row.id for row in await store.jobs.sandboxes_left(ENGINE, now)]

    assert await left(OVER) == []
    await store.jobs.finish(claim, SUCCESS, START)
    assert await left(OVER - SECOND) == []
    assert await left(OVER) == [claim.job.sandbox_id]


async def test_the_sandbox_of_a_job_put_back_is_left(store: Store) -> None:
    claim = await started(store)
    await store.jobs.requeue(claim, Reason.HOST_LOST, "It went.", START, START)
    await claimed(store.jobs)

    assert [row.id for row in await store.jobs.sandboxes_left(ENGINE, START)] == [claim.job.sandbox_id]


async def test_the_clock_of_the_server_tells_who_is_silent(
    store_url: str, sealing_key: SealingKey, clock: ManualClock
) -> None:
    """On PostgreSQL. The caller's clock stands still in the past, as one that is wrong might."""
    store = open_store(store_url, [sealing_key], clock)
    await joined(store)
    await started(store)
    await store.jobs.heartbeat(WORKER, START)

    left = await store.jobs.left_behind(ENGINE, START + timedelta(days=365 * 100))
    await store.close()

    assert len(left) == (0 if store_url.startswith("postgresql") else 1)


async def test_what_the_server_calls_due_is_told_by_the_callers_clock(
    store_url: str, sealing_key: SealingKey, clock: ManualClock
) -> None:
    store = open_store(store_url, [sealing_key], clock)
    real = datetime.now(UTC)
    now = real if store_url.startswith("postgresql") else START
    await enqueued(store.jobs, now, run_at=now + timedelta(hours=1))

    due = await store.jobs.next_due(START)
    await store.close()

    assert due is not None
    assert abs(due - (START + timedelta(hours=1))) < timedelta(minutes=5)


async def test_jobs_that_cannot_be_opened_do_not_hide_the_others(
    store: Store, store_url: str, clock: ManualClock, sealing_key: SealingKey
) -> None:
    claim = await started(store)
    other = open_store(store_url, [sealing_key, generate()], clock, given_time=True)
    sealed_anew = open_store(store_url, [generate(), sealing_key], clock, given_time=True)
    await enqueued(sealed_anew.jobs)
    foreign = await claimed(sealed_anew.jobs)

    left = await other.jobs.left_behind(ENGINE, START)
    await other.close()
    await sealed_anew.close()

    assert {job.id for job in left} == {claim.job.id, foreign.job.id}


# Leashes


async def test_a_job_that_nobody_asks_for_is_off_its_leash(store: Store) -> None:
    job = await enqueued(store.jobs, leash=10 * SECOND)
    await enqueued(store.jobs)

    assert await store.jobs.unleashed(START + 9 * SECOND) == []
    assert await store.jobs.unleashed(START + 10 * SECOND) == [job.id]


async def test_whoever_asks_has_the_whole_leash_again(store: Store) -> None:
    """A little more is written, so that not every asking need be."""
    job = await enqueued(store.jobs, leash=8 * SECOND)

    await store.jobs.touch(job.id, START + 4 * SECOND)
    assert await store.jobs.unleashed(START + 12 * SECOND) == []
    assert await store.jobs.unleashed(START + 13 * SECOND) == [job.id]


async def test_asking_again_soon_writes_nothing(store: Store) -> None:
    job = await enqueued(store.jobs, leash=8 * SECOND)
    await store.jobs.touch(job.id, START + 4 * SECOND)
    commits = 0

    def count(_: Connection) -> None:
        nonlocal commits
        commits += 1

    event.listen(store.database.engines.writing, "commit", count)

    await store.jobs.touch(job.id, START + 5 * SECOND)
    assert commits == 0
    await store.jobs.touch(job.id, START + 6 * SECOND)
    assert commits == 1


async def test_a_leash_is_not_longer_because_the_clock_went_backwards(store: Store) -> None:
    job = await enqueued(store.jobs, leash=10 * SECOND)
    past = START - timedelta(hours=1)

    await store.jobs.touch(job.id, past)

    assert await store.jobs.unleashed(past + 12 * SECOND) == [job.id]


async def test_an_ended_job_has_no_leash_and_one_whose_end_was_asked_for_is_not_asked_again(
    store: Store,
) -> None:
    await enqueued(store.jobs, leash=SECOND)
    await enqueued(store.jobs, START + SECOND, leash=SECOND)
    ended, asked = await claimed(store.jobs), await claimed(store.jobs)
    await store.jobs.finish(ended, SUCCESS, START)
    await store.jobs.request_cancel(asked.job.id, Reason.CLIENT_GONE, START)

    assert await store.jobs.unleashed(START + timedelta(hours=1)) == []


async def test_a_start_of_the_service_begins_all_leashes_anew(store: Store) -> None:
    job = await enqueued(store.jobs, leash=10 * SECOND)

    await joined(store, at=START + timedelta(hours=1))

    assert await store.jobs.unleashed(START + timedelta(hours=1)) == []
    assert await store.jobs.unleashed(START + timedelta(hours=1, seconds=12)) == [job.id]
