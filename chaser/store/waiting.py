"""The jobs that wait: which is next, which have waited too long, and how many are ahead."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, func, literal_column, or_, select, tuple_, update

from chaser.ids import JobId, KeyId, WorkerId
from chaser.jobs.job import Status
from chaser.jobs.ports import Claim
from chaser.jobs.reason import Reason
from chaser.store.history import record
from chaser.store.job_rows import AnyRow, job_of
from chaser.store.sealing import Sealer, Unsealable
from chaser.store.tables import jobs

_QUEUED = jobs.c.status == literal_column("'queued'")
"""Written out: a partial index serves no query whose condition is a parameter."""

_DUE = and_(
    _QUEUED,
    jobs.c.run_at <= bindparam("now"),
    or_(jobs.c.queue_until.is_(None), jobs.c.queue_until > bindparam("now")),
    jobs.c.cancel_requested.is_(None),
)
_FIRST = (
    select(jobs.c.id)
    .where(_DUE, or_(jobs.c.key_id.is_(None), jobs.c.key_id.not_in(bindparam("paused", expanding=True))))
    .order_by(jobs.c.priority.desc(), jobs.c.created_at, jobs.c.id)
    .limit(1)
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
_TAKE = (
    update(jobs)
    .where(jobs.c.id == _FIRST)
    .values(status=Status.STARTING.value, attempt=jobs.c.attempt + 1, worker=bindparam("worker"))
    .returning(*jobs.c)
)
"""One statement, so that two workers cannot take the same row; PostgreSQL passes over what another holds."""


def claim(
    connection: Connection, sealer: Sealer, worker: WorkerId, now: datetime, paused: frozenset[KeyId]
) -> Claim | None:
    while (row := _take(connection, worker, now, paused)) is not None:
        record(connection, row.id, row.attempt, Status.STARTING, now)
        try:
            return Claim(job_of(row, sealer), worker)
        except Unsealable as error:
            # It would be the next again for ever; others wait behind it.
            _give_up(connection, row, now, str(error))
    return None


def expire(connection: Connection, now: datetime) -> Sequence[JobId]:
    late = select(jobs.c.id).where(_QUEUED, jobs.c.queue_until <= now).with_for_update(skip_locked=True)
    message = "No slot became free within queue_timeout_ms; raise it, or the number of concurrent runs."
    ended = connection.execute(
        update(jobs)
        .where(jobs.c.id.in_(late))
        .values(
            status=Status.FAILED.value, reason=Reason.QUEUE_TIMEOUT.value, message=message, finished_at=now
        )
        .returning(jobs.c.id, jobs.c.attempt)
    ).all()
    for row in ended:
        record(connection, row.id, row.attempt, Status.FAILED, now, Reason.QUEUE_TIMEOUT, message)
    return [JobId(row.id) for row in sorted(ended, key=lambda row: row.id)]


def next_due(connection: Connection, now: datetime) -> datetime | None:
    due = connection.execute(select(func.min(jobs.c.run_at)).where(_QUEUED, jobs.c.run_at > now)).scalar_one()
    late = connection.execute(select(func.min(jobs.c.queue_until)).where(_QUEUED)).scalar_one()
    return min((moment for moment in (due, late) if moment is not None), default=None)


def position(connection: Connection, job_id: JobId, now: datetime) -> int | None:
    own = connection.execute(
        select(jobs.c.priority, jobs.c.created_at, jobs.c.id).where(_QUEUED, jobs.c.id == job_id)
    ).one_or_none()
    if own is None:
        return None
    older = tuple_(jobs.c.created_at, jobs.c.id) < tuple_(
        own.created_at, own.id, types=[jobs.c.created_at.type, jobs.c.id.type]
    )
    ahead = or_(jobs.c.priority > own.priority, and_(jobs.c.priority == own.priority, older))
    count = select(func.count()).select_from(jobs).where(_DUE, ahead)
    return connection.execute(count, {"now": now}).scalar_one()


def _take(connection: Connection, worker: WorkerId, now: datetime, paused: frozenset[KeyId]) -> AnyRow | None:
    return connection.execute(_TAKE, {"worker": worker, "now": now, "paused": sorted(paused)}).one_or_none()


def _give_up(connection: Connection, row: AnyRow, now: datetime, message: str) -> None:
    ended = {
        "status": Status.FAILED.value,
        "reason": Reason.INTERNAL_ERROR.value,
        "message": message,
        "finished_at": now,
    }
    connection.execute(update(jobs).where(jobs.c.id == row.id).values(ended))
    record(connection, row.id, row.attempt, Status.FAILED, now, Reason.INTERNAL_ERROR, message)
