"""Taking the next job that is ready."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, bindparam, literal_column, or_, select, update

from chaser.ids import WorkerId
from chaser.jobs.job import Status
from chaser.jobs.ports import Full
from chaser.store.columns import rule
from chaser.store.job_rows import AnyRow
from chaser.store.job_tables import READY
from chaser.store.moments import NOW
from chaser.store.steps import Step, was
from chaser.store.tables import jobs


def _take(*free: ColumnElement[bool]) -> Step:
    """One statement, so that two workers cannot take the same row; PostgreSQL passes over what another holds."""
    first = (
        select(jobs.c.id)
        .where(rule(READY), or_(jobs.c.queue_until.is_(None), jobs.c.queue_until > NOW), *free)
        .order_by(jobs.c.priority.desc(), jobs.c.created_at, jobs.c.id)
        .limit(literal_column("1"))
        .with_for_update(skip_locked=True)
        .correlate(None)
        .scalar_subquery()
    )
    change = (
        update(jobs)
        .where(jobs.c.id == first)
        .values(
            status=Status.STARTING.value,
            attempt=jobs.c.attempt + 1,
            worker=bindparam("by"),
            ready=False,
            history=jobs.c.history + 1,
        )
    )
    return Step(change, was(Status.QUEUED), *jobs.c)


_ANY = _take()
_key_is_free = or_(jobs.c.key_id.is_(None), jobs.c.key_id.not_in(bindparam("keys", expanding=True)))
_FREE = _take(
    _key_is_free,
    or_(jobs.c.profile.is_(None), jobs.c.profile.not_in(bindparam("profiles", expanding=True))),
)
_UNHOUSED = _take(jobs.c.profile.is_(None), _key_is_free)


def take(
    connection: Connection, worker: WorkerId, now: datetime | None, full: Full, at: datetime
) -> AnyRow | None:
    """The row of the next job, claimed; `now` is what `NOW` is bound to. One statement on PostgreSQL."""
    values: dict[str, object] = {"by": worker, "now": now}
    if full == Full():
        rows = _ANY.take(connection, values, at)
    elif full.slots:
        rows = _UNHOUSED.take(connection, {**values, "keys": sorted(full.keys)}, at)
    else:
        busy = {"keys": sorted(full.keys), "profiles": sorted(full.profiles)}
        rows = _FREE.take(connection, {**values, **busy}, at)
    return rows[0] if rows else None
