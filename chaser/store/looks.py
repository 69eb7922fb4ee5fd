"""What is stored of GitHub's jobs and deliveries, for those who look at GitHub: `chaser.runners.ports.Looks`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, or_, select, union, update
from sqlalchemy.dialects import postgresql, sqlite

from chaser.jobs.job import Status
from chaser.runners.demand import OPEN, Demand, State
from chaser.runners.ports import Known
from chaser.runners.registration import Owner
from chaser.store.database import Database
from chaser.store.demands import read
from chaser.store.job_rows import AnyRow
from chaser.store.moments import NOW, later
from chaser.store.tables import deliveries, demands, jobs, looks, redeliveries

OF_LATE = timedelta(days=1)
"""A repository that a demand was for within this time is looked at."""
JUST_NOW = timedelta(hours=1)
"""One that there was any delivery for within this, too: there are many more of these, of jobs for others."""

_PIECE = 500
_UNSETTLED = tuple(state.value for state in sorted(OPEN | {State.RUNNING}))

_due = or_(looks.c.begun_at <= later("ago"), looks.c.begun_at > later("every"))
"""The latter after the clock was set back."""
_TURN = {
    name: insert(looks)
    .values(begun_at=NOW)
    .on_conflict_do_update(index_elements=[looks.c.name], set_={"begun_at": NOW}, where=_due)
    .returning(looks.c.name)
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_ASKED = {
    "sqlite": sqlite.insert(redeliveries).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(redeliveries).on_conflict_do_nothing(),
}
_STORED = select(deliveries.c.guid).where(deliveries.c.guid.in_(bindparam("guids", expanding=True)))
_OPEN = (
    select(demands)
    .where(demands.c.installation_id == bindparam("installation"), demands.c.state.in_(_UNSETTLED))
    .order_by(demands.c.workflow_job_id)
)
_KNOWN = (
    select(demands, jobs.c.status.label("job_status"), jobs.c.cancel_requested)
    .join_from(demands, jobs, demands.c.job_id == jobs.c.id, isouter=True)
    .where(demands.c.workflow_job_id.in_(bindparam("ids", expanding=True)))
)
_CONFIRM = (
    update(demands)
    .where(
        demands.c.workflow_job_id.in_(bindparam("ids", expanding=True)),
        demands.c.action == bindparam("so"),
        or_(demands.c.gated_at.is_(None), demands.c.gated_at < bindparam("at")),
    )
    .values(gated_at=bindparam("at"))
)
_LIVELY = union(
    select(demands.c.installation_id, demands.c.repository).where(
        demands.c.changed_at > bindparam("of_late"), demands.c.installation_id.is_not(None)
    ),
    select(demands.c.installation_id, demands.c.repository).where(
        demands.c.state.in_(_UNSETTLED), demands.c.installation_id.is_not(None)
    ),
    select(deliveries.c.installation_id, deliveries.c.repository).where(
        deliveries.c.received_at > bindparam("just_now"),
        deliveries.c.installation_id.is_not(None),
        deliveries.c.workflow_job_id.is_not(None),
    ),
)


class LookTable:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def turn(self, name: str, every: timedelta, now: datetime) -> bool:
        """One statement, so that of two services one is told no."""
        values = {"name": name, "now": self._database.moment(now), "ago": -every, "every": every}
        return await self._database.write_alone(
            lambda connection: (
                connection.execute(_TURN[connection.dialect.name], values).one_or_none() is not None
            )
        )

    async def unheard(self, guids: Collection[str]) -> frozenset[str]:
        return await self._database.read(lambda connection: _unheard(connection, list(guids)))

    async def asked_again(self, guid: str, at: datetime) -> None:
        values = {"guid": guid, "asked_at": at}
        await self._database.write_alone(
            lambda connection: connection.execute(_ASKED[connection.dialect.name], values)
        )

    async def unsettled(self, installation_id: int) -> Sequence[Demand]:
        return await self._database.read(
            lambda connection: read(connection.execute(_OPEN, {"installation": installation_id}))
        )

    async def known(self, ids: Collection[int]) -> Mapping[int, Known]:
        return await self._database.read(lambda connection: _known(connection, sorted(ids)))

    async def confirmed(self, action: str, ids: Collection[int], at: datetime) -> None:
        values = {"ids": sorted(ids), "so": action, "at": at}
        await self._database.write_alone(lambda connection: connection.execute(_CONFIRM, values))

    async def lively(self, now: datetime) -> Sequence[Owner]:
        since = {"of_late": now - OF_LATE, "just_now": now - JUST_NOW}
        return await self._database.read(
            lambda connection: [
                Owner(row.installation_id, row.repository, None) for row in connection.execute(_LIVELY, since)
            ]
        )


def _unheard(connection: Connection, guids: list[str]) -> frozenset[str]:
    unheard = set(guids)
    for start in range(0, len(guids), _PIECE):
        unheard.difference_update(
            connection.execute(_STORED, {"guids": guids[start : start + _PIECE]}).scalars()
        )
    return frozenset(unheard)


def _known(connection: Connection, ids: list[int]) -> Mapping[int, Known]:
    found: dict[int, Known] = {}
    for start in range(0, len(ids), _PIECE):
        for row in connection.execute(_KNOWN, {"ids": ids[start : start + _PIECE]}):
            found[row.workflow_job_id] = Known(read([row])[0], _has_runner(row))
    return found


def _has_runner(row: AnyRow) -> bool:
    if row.job_status is None:
        return False
    status = Status(row.job_status)
    return status is Status.SUCCEEDED or (not status.ended and row.cancel_requested is None)
