"""How an attempt ends: the job with it, or back in the queue; and how a job ends that nobody works on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, case, null, select, update

from chaser.ids import JobId
from chaser.jobs.job import LIVE, Status, Verdict
from chaser.jobs.notices import CancelAsked, LookAtQueue
from chaser.jobs.ports import Claim, Fence
from chaser.jobs.reason import Reason
from chaser.store import fence, lanes, turns
from chaser.store.job_rows import AnyRow, workspace_of
from chaser.store.moments import NOW, later
from chaser.store.notices import job_changed, tell
from chaser.store.steps import Step, was
from chaser.store.tables import jobs

_COUNTED = {"history": jobs.c.history + 1}
_END: dict[str, ColumnElement[Any]] = {
    "status": bindparam("end_status"),
    "reason": bindparam("end_reason"),
    "message": bindparam("end_message", type_=jobs.c.message.type),
    "finished_at": bindparam("end_at", type_=jobs.c.finished_at.type),
    **_COUNTED,
}
# Not IS NULL: SQLite 3.40 answers that wrongly within RETURNING, going by another column's NOT NULL.
_has_begun = jobs.c.started_at == jobs.c.started_at
_SINCE = case((_has_begun, was(Status.RUNNING)), else_=was(Status.STARTING))
_FINISH = Step(
    update(jobs)
    .where(fence.held(LIVE))
    .values(result=bindparam("end_result", type_=jobs.c.result.type), **_END),
    _SINCE,
    tells=job_changed,
)
_DROP = Step(
    update(jobs)
    .where(jobs.c.id == bindparam("ended"), jobs.c.status == was(Status.QUEUED))
    .values(ready=False, behind=0, **_END),
    was(Status.QUEUED),
    tells=job_changed,
)
"""The end of a job that waits."""

_AGAIN = (
    update(jobs)
    .where(fence.held(LIVE))
    .values(
        status=Status.QUEUED.value,
        worker=null(),
        sandbox_id=null(),
        handed_over_at=null(),
        started_at=null(),
        run_at=later("pause"),
        queued_at=NOW,
        queue_until=jobs.c.queue_until + (later("pause") - jobs.c.run_at),
        ready=bindparam("at_once", type_=jobs.c.ready.type),
        round=lanes.ANEW,
        retries=jobs.c.retries + bindparam("granted", type_=jobs.c.retries.type),
        setback_reason=bindparam("failed_for", type_=jobs.c.setback_reason.type),
        setback_message=bindparam("failed_with", type_=jobs.c.setback_message.type),
        **_COUNTED,
    )
)
_REQUEUE = {
    source: Step(_AGAIN, was(source), tells=job_changed) for source in (Status.STARTING, Status.RUNNING)
}
"""It keeps its turns, so it is behind nobody. As long as it might wait at first, it may wait again."""

_LINES = select(jobs.c.concurrency_key, jobs.c.workspace_id, jobs.c.workspace_mode).where(
    jobs.c.id == bindparam("job_id")
)
_LOCKED = select(jobs).where(jobs.c.id == bindparam("job_id")).with_for_update()
_ASK = update(jobs).where(jobs.c.id == bindparam("asked")).values(cancel_requested=bindparam("why"))


def finish(connection: Connection, claim: Claim, verdict: Verdict, at: datetime) -> Fence:
    """For a job without lines this is one statement on PostgreSQL."""
    lines = turns.lines_of(claim.job.concurrency_key, claim.job.workspace)
    turns.lock(connection, lines)
    end = _ended(verdict.status, verdict.reason, verdict.message, at)
    values = {**fence.names(claim), **end, "end_result": dict(verdict.result)}
    if not _FINISH.take(connection, values, at, verdict.reason, verdict.message):
        return Fence.LOST
    if lines:
        turns.give_up(connection, [claim.job.id])
    return Fence.HELD


@dataclass(frozen=True, slots=True)
class Again:
    """Why, and after how long, a job is to run again."""

    reason: Reason
    message: str
    pause: timedelta
    retried: bool
    """Because its caller asked for retries."""


def requeue(connection: Connection, claim: Claim, again: Again, at: datetime, now: datetime | None) -> Fence:
    """`now` is what `NOW` is bound to. In the queue nobody would see that a job's end was asked for, so it ends here."""
    turns.lock(connection, turns.lines_of(claim.job.concurrency_key, claim.job.workspace))
    row = fence.locked(connection, claim)
    if row is None or not (again.retried or row.status == Status.STARTING):
        return Fence.LOST
    if row.cancel_requested is not None:
        return finish(
            connection, claim, Verdict(Status.CANCELLED, Reason(row.cancel_requested), None, {}), at
        )
    at_once = again.pause <= timedelta()
    values = {
        **fence.names(claim),
        "now": now,
        "pause": max(again.pause, timedelta()),
        "at_once": at_once,
        "granted": int(again.retried),
        "failed_for": again.reason,
        "failed_with": again.message,
    }
    _REQUEUE[Status(row.status)].take(connection, values, at, again.reason, again.message)
    tell(connection, [LookAtQueue()] if at_once else [])
    return Fence.HELD


def request_cancel(connection: Connection, job_id: JobId, reason: Reason, at: datetime) -> AnyRow | None:
    """The row as it is afterwards; none: there is no such job."""
    found = connection.execute(_LINES, {"job_id": job_id}).one_or_none()
    if found is None:
        return None
    turns.lock(connection, turns.lines_of(found.concurrency_key, workspace_of(found)))
    row = connection.execute(_LOCKED, {"job_id": job_id}).one()
    if row.status == Status.QUEUED:
        drop(connection, [row], Status.CANCELLED, reason, None, at)
    elif row.status in LIVE and row.cancel_requested is None:
        connection.execute(_ASK, {"asked": job_id, "why": reason.value})
        tell(connection, [CancelAsked(job_id, reason)])
    return connection.execute(_LOCKED, {"job_id": job_id}).one()


def drop(
    connection: Connection,
    rows: Sequence[AnyRow],
    status: Status,
    reason: Reason,
    message: str | None,
    at: datetime,
) -> None:
    """End jobs that wait, whose rows and lines are locked."""
    for row in rows:
        values = {"ended": row.id, **_ended(status, reason, message, at)}
        _DROP.take(connection, values, at, reason, message)
    turns.give_up(
        connection, [row.id for row in rows if turns.lines_of(row.concurrency_key, workspace_of(row))]
    )


def _ended(status: Status, reason: Reason | None, message: str | None, at: datetime) -> dict[str, object]:
    return {"end_status": status.value, "end_reason": reason, "end_message": message, "end_at": at}
