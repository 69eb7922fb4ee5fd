"""Runners as whoever looks after them from outside must know them: `chaser.runners.ports.Wards`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, func, select

from chaser.ids import JobId
from chaser.jobs.job import LIVE, Status
from chaser.jobs.reason import Reason
from chaser.runners.decide import KIND
from chaser.runners.demand import State
from chaser.runners.inbox import Decision
from chaser.runners.policy import Level
from chaser.runners.registration import Owner, owner_in
from chaser.runners.wards import Standing, Ward
from chaser.store import ends
from chaser.store.columns import rule
from chaser.store.github_tables import UNREMOVED
from chaser.store.job_rows import AnyRow
from chaser.store.job_tables import LIVING
from chaser.store.looks import LookTable
from chaser.store.runners import RunnerTable, remove, runner_of
from chaser.store.tables import demands, jobs, runners

_PIECE = 500

_OPEN = (
    select(
        runners,
        jobs.c.attempt.label("latest"),
        jobs.c.status,
        jobs.c.input,
        jobs.c.cancel_requested,
        jobs.c.finished_at,
        demands.c.state,
        demands.c.changed_at,
    )
    .join_from(runners, jobs, runners.c.job_id == jobs.c.id)
    .join(demands, demands.c.job_id == jobs.c.id, isouter=True)
    .where(rule(UNREMOVED), runners.c.begun_at > bindparam("begun_after"))
    .order_by(runners.c.job_id)
)
_OWNERS = (
    select(demands.c.installation_id, demands.c.repository, demands.c.organization, demands.c.private)
    .where(
        demands.c.changed_at > bindparam("changed_after"),
        demands.c.installation_id.is_not(None),
        demands.c.decision == Decision.ACCEPTED.value,
    )
    .distinct()
)
_STANDINGS = select(jobs.c.id, jobs.c.attempt, jobs.c.status, jobs.c.finished_at).where(
    jobs.c.id.in_(bindparam("ids", expanding=True)), jobs.c.kind == KIND
)
_ATTEMPT = (
    select(jobs.c.status, jobs.c.cancel_requested)
    .where(jobs.c.id == bindparam("of_job"), jobs.c.attempt == bindparam("of_attempt"))
    .with_for_update()
)
_OUTLIVED = (
    select(func.count())
    .select_from(jobs)
    .join(runners, (runners.c.job_id == jobs.c.id) & (runners.c.attempt == jobs.c.attempt))
    .where(rule(LIVING), runners.c.removed_at < bindparam("removed_before"))
)


class WardTable(RunnerTable):
    async def turn(self, name: str, every: timedelta, now: datetime) -> bool:
        return await LookTable(self._database).turn(name, every, now)

    async def open(self, since: datetime) -> Sequence[Ward]:
        rows = await self._database.read(
            lambda connection: connection.execute(_OPEN, {"begun_after": since}).all()
        )
        return [_ward(row) for row in rows]

    async def owners(self, since: datetime) -> Sequence[Owner]:
        rows = await self._database.read(
            lambda connection: connection.execute(_OWNERS, {"changed_after": since}).all()
        )
        return [
            Owner(
                row.installation_id,
                row.repository,
                row.organization,
                Level.ORGANIZATION if row.private else Level.REPOSITORY,
            )
            for row in rows
        ]

    async def standings(self, ids: Collection[JobId]) -> Mapping[JobId, Standing]:
        return await self._database.read(lambda connection: _standings(connection, sorted(set(ids))))

    async def condemned(self, job_id: JobId, attempt: int, reason: Reason, at: datetime) -> bool:
        def write(connection: Connection) -> bool:
            named = {"of_job": job_id, "of_attempt": attempt}
            row = connection.execute(_ATTEMPT, named).one_or_none()
            remove(connection, job_id, attempt, at)
            if row is None or Status(row.status) not in LIVE or row.cancel_requested is not None:
                return False
            ends.request_cancel(connection, job_id, reason, at)
            return True

        return await self._database.write(write)

    async def outlived(self, before: datetime) -> int:
        return await self._database.read(
            lambda connection: connection.execute(_OUTLIVED, {"removed_before": before}).scalar_one()
        )


def _standings(connection: Connection, ids: Sequence[JobId]) -> Mapping[JobId, Standing]:
    found: dict[JobId, Standing] = {}
    for start in range(0, len(ids), _PIECE):
        for row in connection.execute(_STANDINGS, {"ids": ids[start : start + _PIECE]}):
            live = Status(row.status) in LIVE
            found[JobId(row.id)] = Standing(row.attempt, live, row.finished_at)
    return found


def _ward(row: AnyRow) -> Ward:
    return Ward(
        row=runner_of(row),
        owner=owner_in(row.input),
        live=Status(row.status) in LIVE and row.latest == row.attempt,
        ended_at=row.finished_at,
        ending=row.cancel_requested is not None,
        serves=None if row.state is None else State(row.state),
        served_at=row.changed_at,
    )
