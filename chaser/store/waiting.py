"""What time makes of jobs that wait: they become due, or have waited too long."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, func, select

from chaser.ids import JobId
from chaser.jobs.job import Status
from chaser.jobs.reason import Reason
from chaser.store import ends, turns
from chaser.store.columns import rule
from chaser.store.job_rows import AnyRow, workspace_of
from chaser.store.job_tables import AGAIN, ASLEEP, LATE
from chaser.store.moments import NOW
from chaser.store.tables import jobs

BATCH = 500
"""Jobs in one transaction, so that nobody waits long for the writer."""

LATE_MESSAGE = "No slot became free within queue_timeout_ms; raise it, or the number of concurrent runs."

_asleep, _again, _late = (rule(text) for text in (ASLEEP, AGAIN, LATE))


class _Sweep:
    """Finds jobs and locks them: their lines first, and then their rows, held against the same condition again."""

    def __init__(self, condition: ColumnElement[bool], *order: ColumnElement[object]) -> None:
        wanted = (
            jobs.c.id,
            jobs.c.attempt,
            jobs.c.concurrency_key,
            jobs.c.workspace_id,
            jobs.c.workspace_mode,
        )
        self._find = select(*wanted).where(condition).order_by(*order).limit(BATCH)
        self._lock = (
            select(*wanted)
            .where(jobs.c.id.in_(bindparam("found", expanding=True)), condition)
            .order_by(*order)
            .with_for_update(skip_locked=True)
        )

    def rows(self, connection: Connection, now: datetime | None) -> Sequence[AnyRow]:
        found = connection.execute(self._find, {"now": now}).all()
        if not found:
            return ()
        turns.lock(connection, [line for row in found for line in _lines(row)])
        return connection.execute(self._lock, {"now": now, "found": [row.id for row in found]}).all()


_overdue = and_(_late, jobs.c.queue_until <= NOW)
_due = and_(_asleep, jobs.c.run_at <= NOW)
_set_back = and_(_again, jobs.c.queued_at > NOW)
"""The clock went backwards since: the end of the backoff, which was reckoned by it, may be far away."""

_LATE = _Sweep(_overdue, jobs.c.queue_until, jobs.c.id)
_DUE = _Sweep(_due, jobs.c.run_at, jobs.c.created_at, jobs.c.id)
_SET_BACK = _Sweep(_set_back, jobs.c.queued_at, jobs.c.id)
_NEXT = select(
    select(func.min(jobs.c.run_at)).where(_asleep).scalar_subquery().label("due"),
    select(func.min(jobs.c.queue_until)).where(_late).scalar_subquery().label("late"),
    exists().where(_set_back).label("set_back"),
    NOW.label("here"),
)


def expire(connection: Connection, now: datetime | None, at: datetime) -> Sequence[AnyRow]:
    """Up to `BATCH` of them; `now` is what `NOW` is bound to."""
    rows = _LATE.rows(connection, now)
    ends.drop(connection, rows, Status.FAILED, Reason.QUEUE_TIMEOUT, LATE_MESSAGE, at)
    return rows


def promote(connection: Connection, now: datetime | None) -> tuple[int, int]:
    """How many of up to twice `BATCH` were woken, and how many of those are ready."""
    rows = [*_DUE.rows(connection, now), *_SET_BACK.rows(connection, now)]
    behind = {JobId(row.id): _behind(connection, row) for row in rows}
    return len(behind), turns.wake(connection, behind)


def next_due(connection: Connection, given: datetime | None, now: datetime) -> datetime | None:
    """By the clock of whoever asks, whose `now` it is; `given` is what `NOW` is bound to."""
    row = connection.execute(_NEXT, {"now": given}).one()
    if row.set_back:
        return now
    first = min((moment for moment in (row.due, row.late) if moment is not None), default=None)
    return None if first is None else now + (first - row.here)


def _behind(connection: Connection, row: AnyRow) -> int:
    """A job that was live before has kept its turns."""
    return 0 if row.attempt else turns.take(connection, row.id, _lines(row))


def _lines(row: AnyRow) -> Sequence[turns.Line]:
    return turns.lines_of(row.concurrency_key, workspace_of(row))
