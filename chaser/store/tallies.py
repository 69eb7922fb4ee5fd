"""How the queue and GitHub's demands stand at this moment, counted: for `/metrics`, by `chaser.api.context.Looking`."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, case, func, select

from chaser.clock import Clock
from chaser.measures import Labels, Measure, Sort
from chaser.runners.demand import ENDED, State
from chaser.store.columns import rule
from chaser.store.database import Database
from chaser.store.job_tables import READY
from chaser.store.tables import demands, jobs

_OPEN_STATES = tuple(state for state in State if state not in ENDED)
"""Those that have ended are as many as are kept, and tell nothing of now."""

_JOBS = (
    select(jobs.c.status, jobs.c.profile, func.count())
    .where(jobs.c.finished_at.is_(None))
    .group_by(jobs.c.status, jobs.c.profile)
    .order_by(jobs.c.status, jobs.c.profile)
)
_SINCE = case((jobs.c.run_at > jobs.c.queued_at, jobs.c.run_at), else_=jobs.c.queued_at)
_OLDEST = (
    select(jobs.c.profile, func.min(_SINCE))
    .where(rule(READY))
    .group_by(jobs.c.profile)
    .order_by(jobs.c.profile)
)
_DEMANDS = (
    select(demands.c.state, func.count().label("number"))
    .where(demands.c.state.in_([state.value for state in _OPEN_STATES]))
    .group_by(demands.c.state)
)


class Tallies:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def measures(self) -> Sequence[Measure]:
        now = self._clock.now()
        return await self._database.read(
            lambda connection: (_jobs(connection), _oldest(connection, now), _demands(connection))
        )


def _jobs(connection: Connection) -> Measure:
    found = connection.execute(_JOBS)
    return Measure(
        "chaser_jobs",
        "Jobs that have not ended, of all services on the database, by status and by profile (none: they need no sandbox).",
        Sort.GAUGE,
        {(("status", status), *_of(profile)): count for status, profile, count in found},
    )


def _oldest(connection: Connection, now: datetime) -> Measure:
    """A clock that went backwards makes no wait negative."""
    found = connection.execute(_OLDEST)
    return Measure(
        "chaser_oldest_wait_seconds",
        "How long the job that has waited longest for a slot has waited. More than minutes: raise limits.max_running or "
        "the profile's max_running, or add a machine.",
        Sort.GAUGE,
        {_of(profile): max(0.0, (now - since).total_seconds()) for profile, since in found},
    )


def _demands(connection: Connection) -> Measure:
    found: dict[str, int] = {row.state: row.number for row in connection.execute(_DEMANDS)}
    return Measure(
        "chaser_github_demands",
        "Workflow jobs of GitHub's that are for this service and have not ended, by state: docs/states.md has them.",
        Sort.GAUGE,
        {(("state", state.value),): found.get(state.value, 0) for state in _OPEN_STATES},
    )


def _of(profile: str | None) -> Labels:
    return () if profile is None else (("profile", profile),)
