"""Jobs as clients see them."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from chaser.api.context import Api
from chaser.api.excerpt import MOST, excerpt
from chaser.api.schemas.exec import ExecAnswer, Timings
from chaser.api.schemas.jobs import Because, EventAnswer, JobAnswer, Waiting
from chaser.jobs.job import Job, Status
from chaser.jobs.kinds.exec import NAME as EXEC
from chaser.jobs.ports import Event
from chaser.jobs.row import mapping, optional_integer, optional_text, text


async def exec_answer(api: Api, job: Job) -> ExecAnswer:
    """How an ended run ended, with its output as far as an answer holds it."""
    result = job.result or {}
    shown = await excerpt(api.logs, job.id, optional_integer(result, "output_bytes"))
    return _summary(job).model_copy(
        update={"output": shown.text, "output_truncated": shown.truncated, "output_bytes": shown.total}
    )


async def job_answer(api: Api, job: Job) -> JobAnswer:
    """The whole job, with its result once it has ended."""
    result: Mapping[str, object] | None = None
    if job.status.ended:
        result = (await exec_answer(api, job)).model_dump(mode="json") if job.kind == EXEC else job.result
    return _job(job, result, await _waiting(api, job))


async def job_line(api: Api, job: Job) -> JobAnswer:
    """The job as a list shows it: without what is long."""
    result: Mapping[str, object] | None = None
    if job.status.ended:
        result = _summary(job).model_dump(mode="json", exclude={"output"}) if job.kind == EXEC else job.result
    return _job(job, result, await _waiting(api, job))


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


def _summary(job: Job) -> ExecAnswer:
    """The answer without the output."""
    result = job.result or {}
    return ExecAnswer(
        id=job.id,
        kind=job.kind,
        status=job.status.value,
        reason=job.reason,
        message=job.message,
        exit_code=optional_integer(result, "exit_code"),
        output_truncated=(optional_integer(result, "output_bytes") or 0) > MOST,
        output_bytes=optional_integer(result, "output_bytes") or 0,
        session_id=optional_text(result, "session_id") or job.sandbox_id,
        command=text(job.input, "command"),
        ephemeral=True,
        image=optional_text(result, "image") or optional_text(job.input, "image"),
        image_digest=optional_text(result, "image_digest"),
        artifacts=[],
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        timings=_timings(job, result),
    )


def _timings(job: Job, result: Mapping[str, object]) -> Timings:
    if "timings" not in result:
        return Timings(total_ms=_milliseconds(job.created_at, job.finished_at))
    measured = mapping(result, "timings")
    return Timings(
        queue_ms=optional_integer(measured, "queue_ms"),
        pull_ms=optional_integer(measured, "pull_ms"),
        prepare_ms=optional_integer(measured, "prepare_ms"),
        start_ms=optional_integer(measured, "start_ms"),
        run_ms=optional_integer(measured, "run_ms"),
        total_ms=optional_integer(measured, "total_ms"),
        warm=measured.get("warm") is True,
    )


def _milliseconds(begin: datetime, end: datetime | None) -> int | None:
    return None if end is None else (end - begin) // timedelta(milliseconds=1)


def _job(job: Job, result: Mapping[str, object] | None, waiting: Waiting | None) -> JobAnswer:
    here = f"/v1/jobs/{job.id}"
    links = {"self": here, "logs": f"{here}/logs", "events": f"{here}/events", "cancel": f"{here}/cancel"}
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
        idempotency_key=job.idempotency_key,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        next_attempt_at=job.run_at if job.status is Status.QUEUED and job.attempt else None,
        waiting=waiting,
        session_id=job.sandbox_id,
        links=links,
    )


async def _waiting(api: Api, job: Job) -> Waiting | None:
    if job.status is not Status.QUEUED:
        return None
    if job.run_at > api.clock.now():
        because = Because.BACKOFF if job.attempt else Because.SCHEDULED
        return Waiting(because=because, since=job.created_at, until=job.run_at)
    position = await api.jobs.position(job.id)
    return Waiting(because=Because.CAPACITY, since=max(job.created_at, job.run_at), position=position)
