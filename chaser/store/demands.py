"""Demands on a database: `chaser.runners.ports.Demands`, and what bookings need of their rows."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, bindparam, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from chaser.ids import JobId
from chaser.runners import demand as life
from chaser.runners.demand import Clearance, Demand, State
from chaser.runners.event import WorkflowJobEvent
from chaser.runners.inbox import Decision, Delivery, Learned
from chaser.runners.ports import DemandFilter, Story
from chaser.store.columns import rule
from chaser.store.database import Database
from chaser.store.github_tables import UNSETTLED
from chaser.store.job_rows import AnyRow
from chaser.store.tables import deliveries, demands

_SAID = (
    *("action", "status", "conclusion", "run_id", "run_attempt", "name", "workflow_name", "html_url"),
    *("repository", "private", "organization", "installation_id"),
    *("created_at", "started_at", "completed_at", "gated_at", "runner_id", "runner_name"),
)
"""Columns that are called as the fields of a `WorkflowJobEvent`."""

_INSERT = {
    "sqlite": sqlite.insert(demands).on_conflict_do_nothing().returning(demands.c.workflow_job_id),
    "postgresql": postgresql.insert(demands).on_conflict_do_nothing().returning(demands.c.workflow_job_id),
}
_CLASS = 0x64656D61
"""Tells these locks from other advisory ones; any number will do, so long as every Chaser takes the same."""
_LOCK = text("SELECT pg_advisory_xact_lock(:class, :number)")

_key = demands.c.workflow_job_id
_AT_FIRST = frozenset({"workflow_job_id", "stored_at"})
"""What never changes."""
_OF_JOB = select(_key).where(demands.c.job_id == bindparam("of_job"))
_LOCKED = select(demands).where(_key.in_(bindparam("ids", expanding=True))).order_by(_key).with_for_update()
_UPDATE = (
    update(demands)
    .where(_key == bindparam("of_id"))
    .values({each.name: bindparam(f"is_{each.name}") for each in demands.c if each.name not in _AT_FIRST})
)
_UNSETTLED = (
    select(_key).where(demands.c.installation_id == bindparam("installation"), rule(UNSETTLED)).order_by(_key)
)
_OF_RUN = (
    select(demands)
    .where(demands.c.run_id == bindparam("of_run"), demands.c.run_attempt == bindparam("of_attempt"))
    .order_by(_key)
)
_STORY = (
    select(deliveries)
    .where(deliveries.c.workflow_job_id == bindparam("of_id"))
    .order_by(deliveries.c.received_at, deliveries.c.guid)
)


class DemandTable:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, which: DemandFilter) -> Sequence[Demand]:
        return await self._database.read(lambda connection: _listed(connection, which))

    async def story(self, workflow_job_id: int) -> Story | None:
        return await self._database.read(lambda connection: _story(connection, workflow_job_id))

    async def of_run(self, run_id: int, attempt: int) -> Sequence[Demand]:
        which = {"of_run": run_id, "of_attempt": attempt}
        return await self._database.read(lambda connection: read(connection.execute(_OF_RUN, which)))

    async def reached(self, job_id: JobId, state: State, at: datetime) -> None:
        await self._database.write(lambda connection: reach(connection, job_id, state, at))


def lock_owner(connection: Connection, repository: str) -> None:
    """Until the transaction ends, no other exchanges runners among the demands of this owner.

    SQLite has one writer anyway.
    """
    if connection.dialect.name == "postgresql":
        owner = repository.partition("/")[0].lower().encode()
        number = int.from_bytes(blake2b(owner, digest_size=4).digest(), signed=True)
        connection.execute(_LOCK, {"class": _CLASS, "number": number})


def begin(connection: Connection, demand: Demand, stored_at: datetime) -> bool:
    """Write a demand that nothing was heard of yet; whether that is so. Waits for a rival that has not committed yet."""
    values = {"workflow_job_id": demand.id, "stored_at": stored_at, **_values(demand)}
    return connection.execute(_INSERT[connection.dialect.name], values).one_or_none() is not None


def of_job(connection: Connection, job_id: JobId) -> int | None:
    """The demand that the job's runner serves or is meant for."""
    return connection.execute(_OF_JOB, {"of_job": job_id}).scalar_one_or_none()


def locked(connection: Connection, ids: AbstractSet[int]) -> Mapping[int, Demand]:
    """In one order everywhere, so that of two transactions with the same demands one waits for the other."""
    rows = connection.execute(_LOCKED, {"ids": sorted(ids)}) if ids else ()
    return {row.workflow_job_id: demand_of(row) for row in rows}


def unsettled(connection: Connection, installation_id: int) -> Sequence[int]:
    """Demands of an installation that are owed something, or may be."""
    return connection.execute(_UNSETTLED, {"installation": installation_id}).scalars().all()


def write(connection: Connection, demand: Demand) -> None:
    values = {f"is_{name}": value for name, value in _values(demand).items()}
    connection.execute(_UPDATE, {"of_id": demand.id, **values})


def _listed(connection: Connection, which: DemandFilter) -> Sequence[Demand]:
    query = select(demands).order_by(_key.desc()).limit(which.limit)
    if which.state is not None:
        query = query.where(demands.c.state == which.state.value)
    if which.repository is not None:
        query = query.where(demands.c.repository == which.repository)
    if which.before is not None:
        query = query.where(_key < which.before)
    return read(connection.execute(query))


def _story(connection: Connection, workflow_job_id: int) -> Story | None:
    row = connection.execute(select(demands).where(_key == workflow_job_id)).one_or_none()
    if row is None:
        return None
    told = connection.execute(_STORY, {"of_id": workflow_job_id})
    return Story(demand_of(row), [_delivery(each) for each in told])


def reach(connection: Connection, job_id: JobId, state: State, at: datetime) -> None:
    found = of_job(connection, job_id)
    if found is None:
        return
    known = locked(connection, {found}).get(found)
    if known is not None and known.job_id == job_id:
        demand = life.reached(known, state, at)
        if demand != known:
            write(connection, demand)


def _values(demand: Demand) -> dict[str, object]:
    return {
        **{name: getattr(demand.said, name) for name in _SAID},
        "labels": list(demand.said.labels),
        "state": demand.state.value,
        "decision": demand.decision.value,
        "message": demand.message,
        "clearance": demand.clearance.value,
        "profile": demand.profile,
        "job_id": demand.job_id,
        "runners": demand.runners,
        "taken_by": demand.taken_by,
        "setback": demand.setback,
        "seen_at": demand.seen_at,
        "changed_at": demand.changed_at,
        "learned": demand.learned.value,
    }


def read(found: Iterable[AnyRow]) -> Sequence[Demand]:
    return [demand_of(row) for row in found]


def demand_of(row: AnyRow) -> Demand:
    said: dict[str, Any] = {name: getattr(row, name) for name in _SAID}
    return Demand(
        state=State(row.state),
        said=WorkflowJobEvent(job_id=row.workflow_job_id, labels=tuple(row.labels), **said),
        decision=Decision(row.decision),
        message=row.message,
        clearance=Clearance(row.clearance),
        profile=row.profile,
        job_id=None if row.job_id is None else JobId(row.job_id),
        runners=row.runners,
        taken_by=row.taken_by,
        setback=row.setback,
        seen_at=row.seen_at,
        changed_at=row.changed_at,
        learned=Learned(row.learned),
    )


def _delivery(row: AnyRow) -> Delivery:
    return Delivery(
        guid=row.guid,
        event=row.event,
        action=row.action,
        received_at=row.received_at,
        installation_id=row.installation_id,
        repository=row.repository,
        workflow_job_id=row.workflow_job_id,
        decision=Decision(row.decision),
        message=row.message,
        learned=Learned(row.learned),
    )
