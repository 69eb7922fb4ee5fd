"""Why a queued job waits."""

from chaser.api.context import Api
from chaser.api.schemas.jobs import Because, Waiting
from chaser.jobs.job import Job, Status
from chaser.jobs.reason import Reason


async def waiting(api: Api, job: Job, *, position: bool) -> Waiting | None:
    """`position` of a job that only waits for a slot is counted, which takes time where the queue is long."""
    if job.status is not Status.QUEUED:
        return None
    if job.run_at > api.clock.now():
        return _for_time(job)
    since = max(job.queued_at, job.run_at)
    if not job.ready and (line := await api.jobs.line(job.id)) is not None:
        because = Because.WORKSPACE_BUSY if line.workspace else Because.CONCURRENCY_KEY
        return Waiting(because=because, since=since, position=line.position, holder=line.holder)
    held = api.held()
    if held is not None:
        return Waiting(because=held, since=since)
    ahead = await api.jobs.position(job.id) if position else None
    return Waiting(because=Because.CAPACITY, since=since, position=ahead)


def _for_time(job: Job) -> Waiting:
    failed = job.setback
    if failed is None:
        return Waiting(because=Because.SCHEDULED, since=job.queued_at, until=job.run_at)
    away = failed.reason is Reason.ENGINE_UNAVAILABLE
    return Waiting(
        because=Because.ENGINE_UNAVAILABLE if away else Because.BACKOFF,
        since=job.queued_at,
        until=job.run_at,
        reason=failed.reason,
        message=failed.message,
    )
