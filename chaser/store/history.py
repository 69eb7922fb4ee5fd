"""The history of jobs: one line for every change of state, written in the same transaction as the change."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, insert, select

from chaser.ids import JobId
from chaser.jobs.job import Status
from chaser.jobs.ports import Event
from chaser.jobs.reason import Reason
from chaser.store.tables import transitions

_of_job = transitions.c.job_id == bindparam("of_job")
_last_status = (
    select(transitions.c.to_status)
    .where(_of_job)
    .order_by(transitions.c.seq.desc())
    .limit(1)
    .scalar_subquery()
)
_APPEND = insert(transitions).from_select(
    ["job_id", "seq", "at", "attempt", "from_status", "to_status", "reason", "message"],
    select(
        bindparam("of_job", type_=transitions.c.job_id.type),
        func.coalesce(func.max(transitions.c.seq), 0) + 1,
        bindparam("at", type_=transitions.c.at.type),
        bindparam("attempt", type_=transitions.c.attempt.type),
        _last_status,
        bindparam("to_status", type_=transitions.c.to_status.type),
        bindparam("reason", type_=transitions.c.reason.type),
        bindparam("message", type_=transitions.c.message.type),
    ).where(_of_job),
)
"""From the state that the last line ended in, so that a step that is not in `TRANSITIONS` cannot be recorded."""

_EVENTS = select(transitions).where(_of_job).order_by(transitions.c.seq)


def record(
    connection: Connection,
    job_id: str,
    attempt: int,
    status: Status,
    at: datetime,
    reason: Reason | None = None,
    message: str | None = None,
) -> None:
    """Append the step to `status`. The caller has changed the job's row, so nobody else is appending."""
    connection.execute(
        _APPEND,
        {
            "of_job": job_id,
            "at": at,
            "attempt": attempt,
            "to_status": status.value,
            "reason": reason,
            "message": message,
        },
    )


def events(connection: Connection, job_id: JobId) -> Sequence[Event]:
    return [
        Event(
            seq=row.seq,
            at=row.at,
            attempt=row.attempt,
            from_status=None if row.from_status is None else Status(row.from_status),
            to_status=Status(row.to_status),
            reason=None if row.reason is None else Reason(row.reason),
            message=row.message,
        )
        for row in connection.execute(_EVENTS, {"of_job": job_id})
    ]
