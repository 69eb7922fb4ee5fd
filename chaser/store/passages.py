"""The ways of workflow jobs, put together from what each table keeps of them: `chaser.runners.latency.Passages`."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, case, select

from chaser.jobs.job import Status
from chaser.runners.latency import Passage, Stage
from chaser.store.columns import Instant
from chaser.store.database import Database
from chaser.store.job_rows import AnyRow
from chaser.store.tables import demands, jobs, runners, transitions

_TOLD = demands.c.runner_name.is_not(None)
"""Until a runner has the job, GitHub gives the time of its making as that of its begin."""

_MOMENTS = {
    Stage.CREATED: demands.c.created_at,
    Stage.DELIVERED: demands.c.seen_at,
    Stage.STORED: demands.c.stored_at,
    Stage.PLANNED: jobs.c.created_at,
    Stage.STARTED: transitions.c.at,
    Stage.PREPARED: runners.c.prepared_at,
    Stage.MINTED: runners.c.minted_at,
    Stage.ONLINE: runners.c.online_at,
    Stage.RUNNING: case((_TOLD, demands.c.started_at)),
    Stage.COMPLETED: demands.c.completed_at,
}
_began = and_(
    transitions.c.job_id == jobs.c.id,
    transitions.c.attempt == jobs.c.attempt,
    transitions.c.to_status == Status.STARTING.value,
)
_registered = and_(runners.c.job_id == jobs.c.id, runners.c.attempt == jobs.c.attempt)
_ALL = (
    select(jobs.c.profile, *(column.label(stage.value) for stage, column in _MOMENTS.items()))
    .select_from(demands)
    .outerjoin(jobs, jobs.c.id == demands.c.job_id)
    .outerjoin(transitions, _began)
    .outerjoin(runners, _registered)
)
_OF = _ALL.where(demands.c.workflow_job_id == bindparam("of_id"))
_BEGUN = (
    _ALL.where(
        # What has begun was heard of then, and not before. Its state follows from its runner: asked for as well, it would have
        # SQLite go through all that have ever ended.
        demands.c.changed_at >= bindparam("since", type_=Instant()),
        demands.c.started_at >= bindparam("since", type_=Instant()),
        demands.c.runner_name == runners.c.name,
    )
    .order_by(demands.c.changed_at.desc())
    .limit(bindparam("most"))
)


class PassageTables:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, workflow_job_id: int) -> Passage | None:
        row = await self._database.read(
            lambda connection: connection.execute(_OF, {"of_id": workflow_job_id}).one_or_none()
        )
        return None if row is None else _passage(row)

    async def begun(self, since: datetime, profile: str | None, most: int) -> Sequence[Passage]:
        return await self._database.read(lambda connection: _begun(connection, since, profile, most))


def _begun(connection: Connection, since: datetime, profile: str | None, most: int) -> Sequence[Passage]:
    query = _BEGUN if profile is None else _BEGUN.where(jobs.c.profile == profile)
    return [_passage(row) for row in connection.execute(query, {"since": since, "most": most})]


def _passage(row: AnyRow) -> Passage:
    moments = {stage: at for stage in Stage if (at := getattr(row, stage.value)) is not None}
    if Stage.PLANNED in moments and Stage.STORED in moments:
        # What is first heard of and what it is owed are written together.
        moments[Stage.PLANNED] = max(moments[Stage.PLANNED], moments[Stage.STORED])
    return Passage(row.profile, moments)
