"""What every job store promises, on each database: enqueueing, reading, cancelling, waiting."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from chaser.ids import JobId, KeyId
from chaser.jobs.job import NO_SECRETS, Status, Verdict
from chaser.jobs.ports import Conflict, Created, JobFilter, Replayed
from chaser.jobs.reason import Reason
from chaser.store.store import Store
from tests.rows import SECRETS, START, claimed, enqueued, new_job

SECOND = timedelta(seconds=1)
SUCCESS = Verdict(Status.SUCCEEDED, None, None, {"exit_code": 0})


async def test_a_job_is_read_as_it_was_written(store: Store) -> None:
    new = new_job(
        START + timedelta(microseconds=1),
        input={"command": "echo \0 \u2028 é", "limits": {"cpus": 1.5, "disk": None}},
        queue_until=START + SECOND,
        max_attempts=5,
        priority=-100,
        key_id=KeyId("key_1"),
        idempotency_key="once",
        fingerprint="f",
        origin="github/workflow_job/1",
    )

    created = await store.jobs.enqueue(new)

    assert isinstance(created, Created)
    job = await store.jobs.get(new.id)
    assert job == created.job
    assert job is not None
    assert (job.status, job.attempt, job.reason, job.result) == (Status.QUEUED, 0, None, None)
    assert (job.input, job.secrets, job.priority) == (new.input, SECRETS, -100)
    assert (job.created_at, job.run_at, job.queue_until) == (new.created_at, new.created_at, new.queue_until)
    assert (job.key_id, job.idempotency_key, job.origin) == (new.key_id, "once", new.origin)


async def test_there_is_no_job_of_an_unknown_id(store: Store) -> None:
    unknown = JobId("job_unknown")

    assert await store.jobs.get(unknown) is None
    assert await store.jobs.request_cancel(unknown, Reason.CANCELLED_BY_USER, START) is None
    assert await store.jobs.position(unknown) is None
    assert await store.jobs.events(unknown) == []


async def test_the_same_key_with_the_same_body_is_the_same_job(store: Store) -> None:
    first = await enqueued(store.jobs, idempotency_key="k", fingerprint="f")

    again = await store.jobs.enqueue(new_job(idempotency_key="k", fingerprint="f"))

    assert again == Replayed(first)


async def test_the_same_key_with_another_body_is_a_conflict(store: Store) -> None:
    first = await enqueued(store.jobs, idempotency_key="k", fingerprint="f")

    again = await store.jobs.enqueue(new_job(idempotency_key="k", fingerprint="other"))

    assert again == Conflict(first)


async def test_an_origin_has_one_job(store: Store) -> None:
    first = await enqueued(store.jobs, origin="github/workflow_job/7")

    again = await store.jobs.enqueue(new_job(origin="github/workflow_job/7"))

    assert again == Replayed(first)


async def test_a_key_counts_before_an_origin_where_they_name_two_jobs(store: Store) -> None:
    await enqueued(store.jobs, origin="o")
    by_key = await enqueued(store.jobs, idempotency_key="k", fingerprint="f")

    again = await store.jobs.enqueue(new_job(idempotency_key="k", fingerprint="f", origin="o"))

    assert again == Replayed(by_key)


async def test_a_key_still_counts_when_its_job_has_ended(store: Store) -> None:
    first = await enqueued(store.jobs, idempotency_key="k", fingerprint="f")
    await store.jobs.request_cancel(first.id, Reason.CANCELLED_BY_USER, START)

    again = await store.jobs.enqueue(new_job(idempotency_key="k", fingerprint="f"))

    assert isinstance(again, Replayed)
    assert again.job.id == first.id


async def test_of_twenty_at_once_with_one_key_one_makes_the_job(store: Store) -> None:
    answers = await asyncio.gather(
        *(store.jobs.enqueue(new_job(idempotency_key="k", fingerprint="f")) for _ in range(20))
    )

    assert sum(isinstance(answer, Created) for answer in answers) == 1
    assert len({answer.job.id for answer in answers}) == 1
    assert len(await store.jobs.list(JobFilter(limit=100))) == 1


async def test_a_list_is_filtered_and_paged_from_the_newest(store: Store) -> None:
    jobs = [await enqueued(store.jobs, START + n * SECOND, key_id=KeyId(f"key_{n % 2}")) for n in range(5)]
    other = await enqueued(store.jobs, START + 9 * SECOND, kind="github.runner")
    await store.jobs.request_cancel(jobs[0].id, Reason.CANCELLED_BY_USER, START)

    async def ids(which: JobFilter) -> list[JobId]:
        return [job.id for job in await store.jobs.list(which)]

    newest = [job.id for job in reversed(jobs)]
    assert await ids(JobFilter(kind="sandbox.exec", limit=2)) == newest[:2]
    assert await ids(JobFilter(kind="sandbox.exec", before=newest[1])) == newest[2:]
    assert await ids(JobFilter(key_id=KeyId("key_1"))) == [jobs[3].id, jobs[1].id]
    assert await ids(JobFilter(status=Status.CANCELLED)) == [jobs[0].id]
    assert await ids(JobFilter(limit=1)) == [other.id]


async def test_a_queued_job_is_cancelled_at_once(store: Store) -> None:
    job = await enqueued(store.jobs)

    cancelled = await store.jobs.request_cancel(job.id, Reason.CLIENT_GONE, START + SECOND)

    assert cancelled is not None
    assert (cancelled.status, cancelled.reason) == (Status.CANCELLED, Reason.CLIENT_GONE)
    assert cancelled.finished_at == START + SECOND
    assert [event.to_status for event in await store.jobs.events(job.id)] == [Status.QUEUED, Status.CANCELLED]


async def test_a_live_job_is_asked_once_and_keeps_the_first_reason(store: Store) -> None:
    job = await enqueued(store.jobs)
    await claimed(store.jobs)

    await store.jobs.request_cancel(job.id, Reason.CANCELLED_BY_USER, START)
    asked = await store.jobs.request_cancel(job.id, Reason.CLIENT_GONE, START)

    assert asked is not None
    assert (asked.status, asked.cancel_requested) == (Status.STARTING, Reason.CANCELLED_BY_USER)


async def test_an_ended_job_cannot_be_cancelled(store: Store) -> None:
    await enqueued(store.jobs)
    claim = await claimed(store.jobs)
    await store.jobs.finish(claim, SUCCESS, START)
    ended = await store.jobs.get(claim.job.id)

    assert await store.jobs.request_cancel(claim.job.id, Reason.CANCELLED_BY_USER, START) == ended


async def test_a_job_that_has_waited_too_long_ends_with_queue_timeout(store: Store) -> None:
    late = await enqueued(store.jobs, queue_until=START + SECOND)
    patient = await enqueued(store.jobs, queue_until=START + 2 * SECOND)
    endless = await enqueued(store.jobs)

    assert await store.jobs.expire(START + SECOND) == [late.id]
    assert await store.jobs.expire(START + SECOND) == []

    job = await store.jobs.get(late.id)
    assert job is not None
    assert (job.status, job.reason, job.finished_at) == (
        Status.FAILED,
        Reason.QUEUE_TIMEOUT,
        START + SECOND,
    )
    assert job.message
    assert (await store.jobs.events(late.id))[-1].reason is Reason.QUEUE_TIMEOUT
    assert {patient.id, endless.id} == {
        job.id for job in await store.jobs.list(JobFilter(status=Status.QUEUED))
    }


async def test_only_queued_jobs_expire(store: Store) -> None:
    await enqueued(store.jobs, queue_until=START + SECOND)
    await claimed(store.jobs)

    assert await store.jobs.expire(START + 2 * SECOND) == []


async def test_the_next_due_moment_is_the_first_start_or_expiry(store: Store) -> None:
    assert await store.jobs.next_due(START) is None

    await enqueued(store.jobs)
    assert await store.jobs.next_due(START) is None

    await enqueued(store.jobs, run_at=START + 9 * SECOND)
    assert await store.jobs.next_due(START) == START + 9 * SECOND

    await enqueued(store.jobs, queue_until=START + 5 * SECOND)
    assert await store.jobs.next_due(START) == START + 5 * SECOND
    assert await store.jobs.next_due(START + 6 * SECOND) == START + 5 * SECOND


async def test_counts_are_of_jobs_that_have_not_ended(store: Store) -> None:
    assert await store.jobs.counts() == {Status.QUEUED: 0, Status.STARTING: 0, Status.RUNNING: 0}

    for _ in range(4):
        await enqueued(store.jobs)
    running, ended = await claimed(store.jobs), await claimed(store.jobs)
    await store.jobs.begin(running, START)
    await store.jobs.finish(ended, SUCCESS, START)

    assert await store.jobs.counts() == {Status.QUEUED: 2, Status.STARTING: 0, Status.RUNNING: 1}


async def test_the_position_counts_ready_jobs_that_go_first(store: Store) -> None:
    first = await enqueued(store.jobs)
    urgent = await enqueued(store.jobs, START + SECOND, priority=5)
    later = await enqueued(store.jobs, run_at=START + timedelta(hours=1), priority=9)
    last = await enqueued(store.jobs, START + 2 * SECOND)

    positions = {job.id: await store.jobs.position(job.id) for job in (first, urgent, later, last)}

    assert positions == {urgent.id: 0, first.id: 1, last.id: 2, later.id: None}
    await claimed(store.jobs, START + 2 * SECOND)
    assert await store.jobs.position(urgent.id) is None
    assert await store.jobs.position(last.id) == 1


async def test_text_that_no_database_can_hold_is_mended_where_people_wrote_it(store: Store) -> None:
    await enqueued(store.jobs)
    claim = await claimed(store.jobs)

    await store.jobs.finish(claim, Verdict(Status.FAILED, Reason.HOST_LOST, "a\0b\ud800c", {}), START)

    job = await store.jobs.get(claim.job.id)
    assert job is not None
    assert job.message == "a\ufffdb\ufffdc"


async def test_a_job_without_secrets_seals_nothing(store: Store) -> None:
    job = await enqueued(store.jobs, secrets=NO_SECRETS)

    assert job.secrets == NO_SECRETS


async def test_a_time_without_a_zone_is_a_defect(store: Store) -> None:
    with pytest.raises(Exception, match="without a zone"):
        await store.jobs.enqueue(new_job(queue_until=START.replace(tzinfo=None)))


async def test_a_verdict_that_is_no_end_is_refused_by_the_database(store: Store) -> None:
    await enqueued(store.jobs)
    claim = await claimed(store.jobs)

    with pytest.raises(IntegrityError):
        await store.jobs.finish(claim, Verdict(Status.RUNNING, None, None, {}), START)
