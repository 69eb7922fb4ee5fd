"""Writing a new job so that an idempotency key, or an origin, has one job, whoever else writes at the same time."""

from sqlalchemy import Connection, Select, bindparam, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from chaser.jobs.job import NewJob, Status
from chaser.jobs.ports import Conflict, Created, Enqueued, Replayed
from chaser.store.history import record
from chaser.store.job_rows import AnyRow, fingerprint_of, job_of, values_of
from chaser.store.sealing import Sealer
from chaser.store.tables import jobs

_INSERT = {
    "sqlite": sqlite.insert(jobs).on_conflict_do_nothing().returning(jobs.c.id),
    "postgresql": postgresql.insert(jobs).on_conflict_do_nothing().returning(jobs.c.id),
}
_WRITTEN = select(jobs).where(jobs.c.id == bindparam("job_id"))
_EARLIER: Select[tuple[object, ...]] = (
    select(jobs)
    .where(or_(jobs.c.idempotency_key == bindparam("key"), jobs.c.origin == bindparam("origin")))
    # Where one job has the key and another the origin, the key is what the caller named.
    .order_by((jobs.c.idempotency_key == bindparam("key")).desc().nulls_last())
    .limit(1)
)


def enqueue(connection: Connection, sealer: Sealer, new: NewJob) -> Enqueued:
    """The insert waits for a rival that has not committed yet, and then gives way to it."""
    inserted = connection.execute(_INSERT[connection.dialect.name], values_of(new, sealer)).one_or_none()
    if inserted is None:
        return _earlier(connection, sealer, new)
    record(connection, new.id, 0, Status.QUEUED, new.created_at)
    row = connection.execute(_WRITTEN, {"job_id": new.id}).one()
    return Created(job_of(row, sealer))


def _earlier(connection: Connection, sealer: Sealer, new: NewJob) -> Replayed | Conflict:
    row: AnyRow = connection.execute(_EARLIER, {"key": new.idempotency_key, "origin": new.origin}).one()
    job = job_of(row, sealer)
    by_key = new.idempotency_key is not None and job.idempotency_key == new.idempotency_key
    return Conflict(job) if by_key and fingerprint_of(row, sealer) != new.fingerprint else Replayed(job)
