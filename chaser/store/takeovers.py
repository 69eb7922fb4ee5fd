"""Jobs that a worker has fallen silent on, and who works on them then."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, exists, or_, select, update

from chaser.ids import WorkerId
from chaser.jobs.job import Job
from chaser.store.columns import rule
from chaser.store.job_rows import AnyRow
from chaser.store.job_tables import LIVING
from chaser.store.moments import later
from chaser.store.tables import jobs, sandboxes
from chaser.store.workers import silent

_live = rule(LIVING)
_own_sandbox = sandboxes.c.id == jobs.c.sandbox_id
_here = sandboxes.c.engine_id == bindparam("engine")
_LEFT = select(jobs).where(
    _live, silent(jobs.c.worker), or_(jobs.c.sandbox_id.is_(None), exists().where(_own_sandbox, _here))
)
_OUT_OF_REACH = select(jobs).where(
    _live, silent(jobs.c.worker, later("ago")), exists().where(_own_sandbox, ~_here)
)
_TAKE_OVER = (
    update(jobs)
    .where(
        jobs.c.id == bindparam("taken"),
        jobs.c.attempt == bindparam("seen_attempt"),
        jobs.c.worker == bindparam("seen_worker"),
        jobs.c.status == bindparam("seen_status"),
        jobs.c.finished_at.is_(None),
    )
    .values(worker=bindparam("by"))
    .returning(*jobs.c)
)
_SANDBOX_TOO = update(sandboxes).where(sandboxes.c.id == bindparam("taken")).values(worker=bindparam("by"))


def left_behind(connection: Connection, engine_id: str, now: datetime | None) -> Sequence[AnyRow]:
    return _by_age(connection.execute(_LEFT, {"engine": engine_id, "now": now}))


def out_of_reach(
    connection: Connection, engine_id: str, silence: timedelta, now: datetime | None
) -> Sequence[AnyRow]:
    """Those of workers whose lease ran out longer ago than `silence`."""
    return _by_age(connection.execute(_OUT_OF_REACH, {"engine": engine_id, "ago": -silence, "now": now}))


def take_over(connection: Connection, job: Job, worker: WorkerId) -> AnyRow | None:
    """The row, with its new worker; none: it has moved on, or is that worker's already."""
    if job.worker == worker:
        return None
    seen = {"seen_attempt": job.attempt, "seen_worker": job.worker, "seen_status": job.status.value}
    row = connection.execute(_TAKE_OVER, {"taken": job.id, "by": worker, **seen}).one_or_none()
    if row is not None and row.sandbox_id is not None:
        connection.execute(_SANDBOX_TOO, {"taken": row.sandbox_id, "by": worker})
    return row


def _by_age(rows: Iterable[AnyRow]) -> Sequence[AnyRow]:
    """Sorted here: asked to sort by id, SQLite would read all jobs in that order to find the few."""
    return sorted(rows, key=lambda row: row.id)
