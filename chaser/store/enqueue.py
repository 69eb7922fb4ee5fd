"""Writing new jobs so that an idempotency key, or an origin, has one job, whoever else writes at the same time."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, bindparam, null, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from chaser.ids import JobId
from chaser.jobs.job import NewJob
from chaser.jobs.ports import Conflict, Created, Enqueued, Replayed
from chaser.store import lanes, turns
from chaser.store.job_rows import COLUMNS, AnyRow, fingerprint_of, fresh, job_of, values_of
from chaser.store.moments import later
from chaser.store.notices import look_if_ready
from chaser.store.sealing import Sealer
from chaser.store.steps import Step
from chaser.store.tables import jobs


def _insert(
    table_insert: postgresql.Insert | sqlite.Insert, its_round: ColumnElement[int], *columns: str
) -> Step:
    values = {name: bindparam(f"new_{name}", type_=jobs.c[name].type) for name in (*COLUMNS, *columns)}
    made = {**values, "round": its_round, "leash_until": later("new_leash")}
    return Step(table_insert.values(**made).on_conflict_do_nothing(), null(), tells=look_if_ready)


_INSERTS = {"sqlite": sqlite.insert(jobs), "postgresql": postgresql.insert(jobs)}
_OUTSIDE = {name: _insert(made, lanes.OUTSIDE) for name, made in _INSERTS.items()}
_INSIDE = {name: _insert(made, lanes.INSIDE, "lane", "tenant") for name, made in _INSERTS.items()}
_EARLIER = (
    select(jobs)
    .where(or_(jobs.c.idempotency_key == bindparam("key"), jobs.c.origin == bindparam("origin")))
    # Where one job has the key and another the origin, the key is what the caller named.
    .order_by((jobs.c.idempotency_key == bindparam("key")).desc().nulls_last())
    .limit(1)
)


class Conflicting(Exception):  # not an error: it undoes a batch
    def __init__(self, conflict: Conflict) -> None:
        super().__init__()
        self.conflict = conflict


def in_line(new: NewJob) -> bool:
    """Whether it stands in one. What does not is written by one statement on PostgreSQL."""
    return bool(_lines(new))


def enqueue(connection: Connection, sealer: Sealer, new: NewJob, now: datetime | None) -> Enqueued:
    return enqueue_each(connection, sealer, [new], now)[0]


def enqueue_each(
    connection: Connection, sealer: Sealer, new: Sequence[NewJob], now: datetime | None
) -> Sequence[Enqueued]:
    """The insert waits for a rival that has not committed yet, and then gives way to it."""
    turns.lock(connection, [line for each in new for line in _lines(each)])
    # In one order everywhere, so that of two batches with the same keys one waits for the other, and not each for each.
    by_key = sorted(new, key=lambda each: each.idempotency_key or "")
    made = _inserted(connection, sealer, by_key, now)
    ready = _queued(connection, [each for each in new if each.id in made])
    return [
        Created(fresh(each, ready=ready[each.id])) if each.id in made else _earlier(connection, sealer, each)
        for each in new
    ]


def enqueue_all(
    connection: Connection, sealer: Sealer, new: Sequence[NewJob], now: datetime | None
) -> Sequence[Enqueued]:
    """Raises `Conflicting`."""
    answers = enqueue_each(connection, sealer, new, now)
    for answer in answers:
        if isinstance(answer, Conflict):
            raise Conflicting(answer)
    return answers


def _inserted(
    connection: Connection, sealer: Sealer, new: Sequence[NewJob], now: datetime | None
) -> Collection[str]:
    """The ids of those that were not there."""
    database = connection.dialect.name
    values = [_values(each, sealer, now) for each in new]
    if all(each.lane is None for each in new):
        rows = _OUTSIDE[database].take_all(connection, values, [each.created_at for each in new])
        return {row.id for row in rows}
    # One by one, since each one's round goes by those before it.
    return {
        row.id
        for each, its in zip(new, values, strict=True)
        for row in (_OUTSIDE if each.lane is None else _INSIDE)[database].take(
            connection, its, each.created_at
        )
    }


def _values(new: NewJob, sealer: Sealer, now: datetime | None) -> dict[str, object]:
    values = {f"new_{name}": value for name, value in values_of(new, sealer).items()}
    return {
        **values,
        "new_ready": _due(new) and not _lines(new),
        "new_round": lanes.number(new.created_at),
        "new_leash": new.leash,
        "now": now,
    }


def _queued(connection: Connection, new: Sequence[NewJob]) -> dict[JobId, bool]:
    """Let those that are due take their turns; returns which are ready."""
    behind = {
        each.id: turns.take(connection, each.id, _lines(each)) for each in new if _due(each) and _lines(each)
    }
    turns.wake(connection, behind)
    return {each.id: _due(each) and not behind.get(each.id) for each in new}


def _due(new: NewJob) -> bool:
    """By the clock of whoever made it. What is not due by then is promoted by the store's."""
    return new.run_at is None or new.run_at <= new.created_at


def _lines(new: NewJob) -> Sequence[turns.Line]:
    return turns.lines_of(new.concurrency_key, new.workspace)


def _earlier(connection: Connection, sealer: Sealer, new: NewJob) -> Replayed | Conflict:
    row: AnyRow = connection.execute(_EARLIER, {"key": new.idempotency_key, "origin": new.origin}).one()
    job = job_of(row, sealer)
    by_key = new.idempotency_key is not None and job.idempotency_key == new.idempotency_key
    return Conflict(job) if by_key and fingerprint_of(row, sealer) != new.fingerprint else Replayed(job)
