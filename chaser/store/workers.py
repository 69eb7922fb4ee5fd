"""Who works on jobs, and until when it is taken to be alive."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, not_, select, update
from sqlalchemy import exists as any_row

from chaser.ids import JobId, WorkerId
from chaser.jobs.ports import LEASE, Beat
from chaser.jobs.reason import Reason
from chaser.store.columns import rule
from chaser.store.job_tables import LIVING
from chaser.store.moments import NOW, later
from chaser.store.tables import jobs, workers

_KEPT = timedelta(days=7)
"""How long a worker that is gone is remembered: for as long as others may ask since when it is."""

_JOIN = insert(workers).values(started_at=NOW, lease_until=later("lease"))
_OUST = (
    update(workers)
    .where(
        workers.c.seat == bindparam("of_seat"), workers.c.id != bindparam("by"), workers.c.lease_until > NOW
    )
    .values(lease_until=NOW)
)
_FORGET = delete(workers).where(workers.c.lease_until < later("kept"))
_BEAT = update(workers).where(workers.c.id == bindparam("by")).values(lease_until=later("lease"))
_LEAVE = update(workers).where(workers.c.id == bindparam("by")).values(lease_until=NOW)
_HOLDS = select(jobs.c.id, jobs.c.cancel_requested).where(rule(LIVING), jobs.c.worker == bindparam("by"))


def silent(worker: ColumnElement[str], since: ColumnElement[datetime] = NOW) -> ColumnElement[bool]:
    """Whether a worker's lease ran out before `since`. Of one that is not known any more it did long ago."""
    return not_(any_row().where(workers.c.id == worker, workers.c.lease_until > since))


def join(connection: Connection, worker: WorkerId, seat: str, now: datetime | None) -> None:
    connection.execute(_OUST, {"of_seat": seat, "by": worker, "now": now})
    connection.execute(_FORGET, {"kept": -_KEPT, "now": now})
    # Whoever did not hear that it has joined, joins again.
    if not connection.execute(_BEAT, {"by": worker, "lease": LEASE, "now": now}).rowcount:
        connection.execute(_JOIN, {"id": worker, "seat": seat, "lease": LEASE, "now": now})


def heartbeat(connection: Connection, worker: WorkerId, now: datetime | None) -> Beat:
    connection.execute(_BEAT, {"by": worker, "lease": LEASE, "now": now})
    rows = connection.execute(_HOLDS, {"by": worker}).all()
    return Beat(
        cancels={
            JobId(row.id): Reason(row.cancel_requested) for row in rows if row.cancel_requested is not None
        },
        holds=frozenset(JobId(row.id) for row in rows),
    )


def leave(connection: Connection, worker: WorkerId, now: datetime | None) -> None:
    connection.execute(_LEAVE, {"by": worker, "now": now})
