"""Taking the next jobs that are ready."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    and_,
    bindparam,
    case,
    exists,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from chaser.ids import WorkerId
from chaser.jobs.job import Status
from chaser.jobs.ports import FREE, Full
from chaser.store.columns import rule
from chaser.store.job_rows import AnyRow
from chaser.store.job_tables import READY
from chaser.store.moments import NOW
from chaser.store.steps import Step, was
from chaser.store.tables import api_keys, jobs

_SIZES = (16, 8, 4, 2, 1)
"""How many rows a claim takes at the most. Written out: PostgreSQL plans for a limit that it knows, or sorts all that wait."""

_some_key_has_a_cap = exists().where(api_keys.c.max_running.is_not(None), api_keys.c.revoked_at.is_(None))
_MOST = case(
    (_some_key_has_a_cap, literal_column("1", Integer())), else_=literal_column(str(_SIZES[0]), Integer())
)
"""Each job of a key counts for the next one where the key has a cap, which only whoever claims one by one can see to."""


class _Among(FunctionElement[bool]):
    """A column's value is one of a query's, which is asked once: then the rows are looked up."""

    inherit_cache = True


@compiles(_Among, "sqlite")
def _listed(element: _Among, compiler: SQLCompiler, **options: object) -> str:
    column, ids = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} IN {ids}"


@compiles(_Among, "postgresql")
def _in_array(element: _Among, compiler: SQLCompiler, **options: object) -> str:
    # An IN would be planned as a join, for which PostgreSQL may read the whole table.
    column, ids = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} = ANY (ARRAY{ids})"


def _chosen(most: int, *free: ColumnElement[bool]) -> ColumnElement[bool]:
    """Those that are next; PostgreSQL passes over what another holds."""
    first = (
        select(jobs.c.id)
        .where(rule(READY), or_(jobs.c.queue_until.is_(None), jobs.c.queue_until > NOW), *free)
        .order_by(jobs.c.priority.desc(), jobs.c.round, jobs.c.id)
        .limit(literal_column(str(most), Integer()))
        .with_for_update(skip_locked=True)
        .correlate(None)
    )
    if most == 1:
        return jobs.c.id == first.scalar_subquery()
    rows = first.cte("first")
    return _Among(jobs.c.id, select(rows.c.id).limit(_MOST).scalar_subquery())


def _take(most: int, *free: ColumnElement[bool]) -> Step:
    """One statement, so that two workers cannot take the same row."""
    change = (
        update(jobs)
        .where(_chosen(most, *free))
        .values(
            status=Status.STARTING.value,
            attempt=jobs.c.attempt + 1,
            worker=bindparam("by"),
            ready=False,
            history=jobs.c.history + 1,
        )
    )
    return Step(change, was(Status.QUEUED), *jobs.c)


_key_is_free = or_(jobs.c.key_id.is_(None), jobs.c.key_id.not_in(bindparam("keys", expanding=True)))
_profile_is_free = or_(jobs.c.profile.is_(None), jobs.c.profile.not_in(bindparam("profiles", expanding=True)))
_lane_is_free = or_(
    jobs.c.lane.is_(None),
    and_(
        jobs.c.lane.not_in(bindparam("lanes", expanding=True)),
        jobs.c.tenant.not_in(bindparam("tenants", expanding=True)),
    ),
)
_ANY = {most: _take(most) for most in _SIZES}
_UNHOUSED = {most: _take(most, jobs.c.profile.is_(None), _key_is_free) for most in _SIZES}
_FREE = _take(1, _key_is_free, _profile_is_free, _lane_is_free)


def take(
    connection: Connection, worker: WorkerId, now: datetime | None, full: Full, most: int, at: datetime
) -> Sequence[AnyRow]:
    """The rows of the next jobs, claimed; `now` is what `NOW` is bound to. One statement on PostgreSQL."""
    values: dict[str, object] = {"by": worker, "now": now}
    size = next(size for size in _SIZES if size <= most)
    if full == FREE:
        rows = _ANY[size].take(connection, values, at)
    elif full.slots:
        rows = _UNHOUSED[size].take(connection, {**values, "keys": sorted(full.keys)}, at)
    else:
        busy = {
            "keys": sorted(full.keys),
            "profiles": sorted(full.profiles),
            "lanes": sorted(full.lanes),
            "tenants": sorted(full.tenants),
        }
        rows = _FREE.take(connection, {**values, **busy}, at)
    return sorted(rows, key=lambda row: (-row.priority, row.round, row.id))
