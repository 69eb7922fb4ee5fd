"""Jobs as clients see them."""

from chaser.api.context import Api
from chaser.api.results import Result, short_result, whole_result
from chaser.api.schemas.jobs import EventAnswer, JobAnswer, Waiting
from chaser.api.waiting import waiting
from chaser.jobs.job import Job, Status
from chaser.jobs.ports import Event


async def job_answer(api: Api, job: Job) -> JobAnswer:
    """The whole job, with its result once it has ended."""
    return _job(job, await whole_result(api, job), await waiting(api, job, position=True))


async def job_line(api: Api, job: Job) -> JobAnswer:
    """The job as a list shows it: without what is long, or long to find out."""
    return _job(job, short_result(api, job), await waiting(api, job, position=False))


def event_answer(event: Event) -> EventAnswer:
    return EventAnswer(
        seq=event.seq,
        at=event.at,
        attempt=event.attempt,
        from_status=event.from_status,
        to_status=event.to_status,
        reason=event.reason,
        message=event.message,
    )


def _job(job: Job, result: Result | None, why: Waiting | None) -> JobAnswer:
    here = f"/v1/jobs/{job.id}"
    links = {
        "self": here,
        **{name: f"{here}/{name}" for name in ("logs", "events", "artifacts", "cancel", "retry")},
    }
    return JobAnswer(
        id=job.id,
        kind=job.kind,
        status=job.status,
        reason=job.reason,
        message=job.message,
        input=dict(job.input),
        result=None if result is None else dict(result),
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        run_at=job.run_at,
        priority=job.priority,
        concurrency_key=job.concurrency_key,
        idempotency_key=job.idempotency_key,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        next_attempt_at=job.run_at if job.status is Status.QUEUED and job.attempt else None,
        waiting=why,
        workspace_id=job.workspace.id if job.workspace else None,
        session_id=job.sandbox_id,
        retry_of=job.retry_of,
        links=links,
    )
