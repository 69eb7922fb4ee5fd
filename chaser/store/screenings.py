"""Runs that are looked at, and what is made of that, on a database: `chaser.runners.ports.Screenings`."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from chaser.clock import Clock
from chaser.jobs.job import NewJob
from chaser.runners.demand import Demand, State
from chaser.runners.inbox import JobNews, Recorded
from chaser.runners.ports import Approval
from chaser.runners.rules import Run, Verdict
from chaser.store import demands as rows
from chaser.store.bookings import Bookings
from chaser.store.columns import rule
from chaser.store.database import Database
from chaser.store.github_tables import UNSEEN
from chaser.store.sealing import Sealer
from chaser.store.table_row import among
from chaser.store.tables import approvals, demands, instance, workflow_runs

_key = demands.c.workflow_job_id
_UNSEEN = select(demands).where(rule(UNSEEN)).order_by(_key).limit(bindparam("most"))
_UNDECIDED = (
    select(demands)
    .where(
        rule(among("state", (State.REFUSED, State.HELD))),
        _key > bindparam("after"),
        demands.c.seen_at > bindparam("since"),
    )
    .order_by(_key)
    .limit(bindparam("most"))
)
_RUN = select(workflow_runs).where(
    workflow_runs.c.run_id == bindparam("of_run"), workflow_runs.c.attempt == bindparam("of_attempt")
)
_KEEP = {
    "sqlite": sqlite.insert(workflow_runs),
    "postgresql": postgresql.insert(workflow_runs),
}
_APPROVE = {
    "sqlite": sqlite.insert(approvals).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(approvals).on_conflict_do_nothing(),
}
"""The first approval stays."""
_HELD = select(_key).where(demands.c.run_id == bindparam("of_run"), rule("state = 'held'"))


class ScreeningTables:
    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def pending(self, limit: int) -> Sequence[Demand]:
        return await self._database.read(
            lambda connection: rows.read(connection.execute(_UNSEEN, {"most": limit}))
        )

    async def run(self, run_id: int, attempt: int) -> Run | None:
        which = {"of_run": run_id, "of_attempt": attempt}
        row = await self._database.read(lambda connection: connection.execute(_RUN, which).one_or_none())
        if row is None:
            return None
        return Run(
            row.event,
            row.head_repository,
            row.actor,
            row.triggering_actor,
            row.workflow,
            row.branch,
            row.association,
        )

    async def keep(self, run_id: int, attempt: int, run: Run, at: datetime) -> None:
        values: dict[str, object] = {"run_id": run_id, "attempt": attempt, **asdict(run), "read_at": at}
        await self._database.write(lambda connection: _keep(connection, values))

    async def judge(
        self, workflow_job_id: int, verdict: Verdict, new: NewJob | None, at: datetime
    ) -> Recorded:
        return await self._database.write(
            lambda connection: self._books(connection, at).judged(workflow_job_id, verdict, new)
        )

    async def approve(self, approval: Approval) -> None:
        await self._database.write(lambda connection: self._approve(connection, approval))

    async def undecided(self, since: datetime, after: int, limit: int) -> Sequence[Demand]:
        which = {"since": since, "after": after, "most": limit}
        return await self._database.read(lambda connection: rows.read(connection.execute(_UNDECIDED, which)))

    async def reconsider(self, news: JobNews, at: datetime) -> Recorded:
        return await self._database.write(lambda connection: self._books(connection, at).reconsidered(news))

    async def settings(self) -> str | None:
        found = select(instance.c.decided_by)
        return await self._database.read(lambda connection: connection.execute(found).scalar_one())

    async def decided_by(self, digest: str) -> None:
        noted = update(instance).values(decided_by=digest)
        await self._database.write(lambda connection: connection.execute(noted))

    def _approve(self, connection: Connection, approval: Approval) -> None:
        connection.execute(_APPROVE[connection.dialect.name], asdict(approval))
        held = connection.execute(_HELD, {"of_run": approval.run_id}).scalars().all()
        self._books(connection, approval.approved_at).approved(frozenset(held))

    def _books(self, connection: Connection, at: datetime) -> Bookings:
        return Bookings(connection, self._sealer, self._clock, at, self._database.moment(at))


def _keep(connection: Connection, values: dict[str, object]) -> None:
    """Over what was known: a question that asks for more may have been put."""
    insert = _KEEP[connection.dialect.name]
    fresh = {
        column.name: insert.excluded[column.name] for column in workflow_runs.c if not column.primary_key
    }
    connection.execute(
        insert.on_conflict_do_update(index_elements=list(workflow_runs.primary_key), set_=fresh), values
    )
