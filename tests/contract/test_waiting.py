"""Jobs that wait for a time, or for another try, on each database."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from chaser.ids import JobId, KeyId, WorkspaceId
from chaser.jobs.job import Job, Retry, Status
from chaser.jobs.ports import Fence, Full, JobFilter
from chaser.jobs.reason import Reason
from chaser.sandboxes.spec import WorkspaceMode, WorkspaceUse
from chaser.store import waiting
from chaser.store.store import Store
from tests.rows import START, WORKER, claimed, enqueued, first, new_job

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
RETRY = Retry(frozenset({Reason.NONZERO_EXIT, Reason.RUN_TIMEOUT}), 2, SECOND, 8 * SECOND)


async def read(store: Store, job_id: JobId) -> Job:
    job = await store.jobs.get(job_id)
    assert job is not None
    return job


async def test_what_a_job_needs_is_read_as_it_was_written(store: Store) -> None:
    new = new_job(
        profile="large",
        workspace=WorkspaceUse(WorkspaceId("wsp_1"), WorkspaceMode.COPY),
        concurrency_key="deploy é",
        retry=RETRY,
        leash=timedelta(milliseconds=1500),
        retry_of=JobId("job_before"),
        run_at=START + SECOND,
    )

    created = await store.jobs.enqueue(new)

    job = await read(store, new.id)
    assert created.job == job
    assert (job.profile, job.workspace, job.concurrency_key) == ("large", new.workspace, "deploy é")
    assert (job.retry, job.retries, job.leash, job.retry_of) == (RETRY, 0, new.leash, "job_before")
    assert (job.run_at, job.queued_at, job.ready) == (START + SECOND, START, False)


async def test_a_time_that_has_passed_is_at_once(store: Store) -> None:
    job = await enqueued(store.jobs, run_at=START - HOUR)

    assert job.ready


async def test_a_scheduled_job_is_ready_when_its_time_comes(store: Store) -> None:
    job = await enqueued(store.jobs, run_at=START + 5 * SECOND)

    assert await store.jobs.promote(START + 4 * SECOND) == 0
    assert await store.jobs.promote(START + 5 * SECOND) == 1
    assert await store.jobs.promote(START + 5 * SECOND) == 0
    assert (await read(store, job.id)).ready


async def test_more_than_fit_into_one_transaction_are_woken_and_expire(store: Store) -> None:
    count = waiting.BATCH + 1
    late = START + HOUR
    await store.jobs.enqueue_all([new_job(run_at=START + SECOND, queue_until=late) for _ in range(count)])

    assert await store.jobs.promote(START + SECOND) == count
    assert len(await store.jobs.expire(late)) == count
    assert await store.jobs.list(JobFilter(status=Status.QUEUED)) == []


async def test_jobs_of_what_is_full_are_passed_over(store: Store) -> None:
    await enqueued(store.jobs, profile="large")
    other = await enqueued(store.jobs, START + SECOND, profile="small")
    none = await enqueued(store.jobs, START + 2 * SECOND)
    full = Full(profiles=frozenset({"large"}), keys=frozenset({KeyId("key_busy")}))

    claims = [first(await store.jobs.claim(WORKER, START, full)) for _ in range(3)]

    assert [claim and claim.job.id for claim in claims] == [other.id, none.id, None]


async def test_a_backoff_ends_by_the_clock_or_when_the_clock_is_set_back(store: Store) -> None:
    """Else a clock that was an hour ahead would make the job wait for an hour."""
    await enqueued(store.jobs)
    claim = await claimed(store.jobs)
    await store.jobs.requeue(claim, Reason.HOST_LOST, "It went.", START + 5 * SECOND, START)

    assert await store.jobs.promote(START + 4 * SECOND) == 0
    assert await store.jobs.next_due(START - HOUR) == START - HOUR
    assert await store.jobs.promote(START - HOUR) == 1


async def test_a_scheduled_job_waits_for_its_time_though_the_clock_is_set_back(store: Store) -> None:
    await enqueued(store.jobs, run_at=START + 5 * SECOND)

    assert await store.jobs.promote(START - HOUR) == 0
    assert await store.jobs.next_due(START - HOUR) == START + 5 * SECOND


async def test_a_job_that_is_due_at_once_starts_whatever_the_clock_says(store: Store) -> None:
    await enqueued(store.jobs, START)

    assert await store.jobs.claim(WORKER, START - HOUR, Full())


async def test_what_runs_is_not_run_again_unasked(store: Store) -> None:
    await enqueued(store.jobs, retry=RETRY)
    claim = await claimed(store.jobs)
    await store.jobs.begin(claim, START)

    assert await store.jobs.requeue(claim, Reason.HOST_LOST, "It went.", START, START) is Fence.LOST


async def test_a_retry_runs_what_has_begun_again_and_counts(store: Store) -> None:
    await enqueued(store.jobs, retry=RETRY, max_attempts=1)
    for attempt in (1, 2, 3):
        claim = await claimed(store.jobs)
        assert (claim.attempt, claim.job.retries) == (attempt, attempt - 1)
        await store.jobs.begin(claim, START)
        if attempt < 3:
            fence = await store.jobs.requeue(claim, Reason.NONZERO_EXIT, "Again.", START, START, retried=True)
            assert fence is Fence.HELD

    job = await read(store, claim.job.id)
    assert (job.retries, job.attempt, job.max_attempts) == (2, 3, 1)
    steps = [
        (event.from_status, event.to_status, event.reason) for event in await store.jobs.events(job.id, 3)
    ]
    assert steps[:2] == [
        (Status.RUNNING, Status.QUEUED, Reason.NONZERO_EXIT),
        (Status.QUEUED, Status.STARTING, None),
    ]


async def test_nothing_is_retried_that_did_not_ask_for_it(store: Store) -> None:
    await enqueued(store.jobs)
    claim = await claimed(store.jobs)

    with pytest.raises(IntegrityError):
        await store.jobs.requeue(claim, Reason.NONZERO_EXIT, "Again.", START, START, retried=True)


async def test_a_job_put_back_may_wait_as_long_as_at_first(store: Store) -> None:
    await enqueued(store.jobs, queue_until=START + 10 * SECOND)
    claim = await claimed(store.jobs)

    for _ in range(2):
        await store.jobs.requeue(claim, Reason.HOST_LOST, "It went.", START + HOUR, START + HOUR - SECOND)
        assert (await read(store, claim.job.id)).queue_until == START + HOUR + 10 * SECOND
        await store.jobs.promote(START + HOUR)
        claim = await claimed(store.jobs, START + HOUR)


async def test_the_history_is_read_from_a_line_on(store: Store) -> None:
    await enqueued(store.jobs)
    claim = await claimed(store.jobs)
    await store.jobs.begin(claim, START)

    assert [event.seq for event in await store.jobs.events(claim.job.id, 1)] == [2, 3]
    assert await store.jobs.events(claim.job.id, 3) == []


async def test_jobs_are_listed_by_workspace(store: Store) -> None:
    use = WorkspaceUse(WorkspaceId("wsp_1"), WorkspaceMode.EXCLUSIVE)
    job = await enqueued(store.jobs, workspace=use)
    await enqueued(store.jobs)

    found = await store.jobs.list(JobFilter(workspace_id=WorkspaceId("wsp_1")))

    assert [each.id for each in found] == [job.id]
