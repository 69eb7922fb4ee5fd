"""Demands whose runner has ended without having served them, on a database: `chaser.runners.ports.UnservedDemands`."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select

from chaser.clock import Clock
from chaser.jobs.job import Status
from chaser.jobs.reason import Reason
from chaser.runners.demand import OWED
from chaser.runners.inbox import Recorded
from chaser.runners.unserved import EndedRunner, Unserved
from chaser.store import demands as rows
from chaser.store.bookings import Bookings
from chaser.store.database import Database
from chaser.store.job_rows import AnyRow
from chaser.store.looks import LookTable
from chaser.store.sealing import Sealer
from chaser.store.tables import demands, jobs

BATCH = 100

_UNSERVED = (
    select(
        demands,
        jobs.c.status.label("ended_as"),
        jobs.c.reason,
        jobs.c.message.label("ended_because"),
        jobs.c.handed_over_at,
        jobs.c.finished_at,
    )
    .join_from(demands, jobs, demands.c.job_id == jobs.c.id, isouter=True)
    .where(
        demands.c.state.in_([state.value for state in sorted(OWED)]),
        or_(demands.c.job_id.is_(None), jobs.c.finished_at.is_not(None)),
    )
    .order_by(demands.c.workflow_job_id)
    .limit(BATCH)
)


class RenewalTable:
    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def turn(self, name: str, every: timedelta, now: datetime) -> bool:
        return await LookTable(self._database).turn(name, every, now)

    async def unserved(self) -> Sequence[Unserved]:
        found = await self._database.read(lambda connection: connection.execute(_UNSERVED).all())
        return [Unserved(rows.demand_of(row), _ended(row)) for row in found]

    async def renew(self, unserved: Unserved, setback: str, pause: timedelta, at: datetime) -> Recorded:
        now = self._database.moment(at)
        return await self._database.write(
            lambda connection: Bookings(connection, self._sealer, self._clock, at, now).renew(
                unserved.demand, setback, pause
            )
        )


def _ended(row: AnyRow) -> EndedRunner | None:
    if row.ended_as is None:
        return None
    return EndedRunner(
        status=Status(row.ended_as),
        reason=None if row.reason is None else Reason(row.reason),
        message=row.ended_because,
        handed_over=row.handed_over_at is not None,
        finished_at=row.finished_at,
    )
