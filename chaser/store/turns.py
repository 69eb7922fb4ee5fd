"""The lines in which jobs wait for each other: one for each concurrency key, and one for each workspace.

A job takes its turns when its time comes, keeps them from attempt to attempt, so that nobody overtakes it, and gives them
up when it ends. An exclusive turn comes when nobody is before it, a shared one when nobody exclusive is. That it has come
is written down, and how many of a job's turns have not is in its row: so a claim looks at no line.

A transaction that touches lines locks them first, before it locks any job's row; so no two can wait for each other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    not_,
    select,
    text,
    update,
)

from chaser.ids import JobId
from chaser.jobs.notices import LookAtQueue
from chaser.sandboxes.spec import WorkspaceMode, WorkspaceUse
from chaser.store import lanes
from chaser.store.columns import rule
from chaser.store.notices import tell
from chaser.store.tables import jobs, turns

_LOCKS = 256
"""Lines share this many locks, so that a batch of any size fits into the server's table of locks."""
_CLASS = 0x6C696E65
"""Tells these locks from other advisory ones; any number will do, so long as every Chaser takes the same."""
_LOCK = text("SELECT pg_advisory_xact_lock(:class, number) FROM unnest(CAST(:numbers AS int[])) AS number")

_key = bindparam("of_key", type_=turns.c.key.type)
_of_line = turns.c.key == _key
_exclusive = rule("NOT shared")
_waiting = rule("NOT holding")
_shared = bindparam("is_shared", type_=turns.c.shared.type)


def _first(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
    return select(func.min(turns.c.number)).where(_of_line, *conditions).correlate(None).scalar_subquery()


_LAST = select(func.max(turns.c.number)).where(_of_line).scalar_subquery()
_TAKE = (
    insert(turns)
    .from_select(
        ["key", "number", "job_id", "shared", "holding"],
        select(
            _key,
            func.coalesce(_LAST, 0) + 1,
            bindparam("of_job", type_=turns.c.job_id.type),
            _shared,
            case(
                (_shared, not_(exists().where(_of_line, _exclusive))),
                else_=not_(exists().where(_of_line)),
            ),
        ),
    )
    .returning(turns.c.holding)
)
_GIVE_UP = delete(turns).where(turns.c.job_id == bindparam("of_job")).returning(turns.c.key)
_ADMIT_FIRST = (
    update(turns)
    .where(_of_line, turns.c.number == _first(), _exclusive, _waiting)
    .values(holding=True)
    .returning(turns.c.job_id)
)
_ADMIT_SHARED = (
    update(turns)
    .where(
        _of_line,
        turns.c.number < func.coalesce(_first(_exclusive), literal_column("9223372036854775807")),
        _waiting,
    )
    .values(holding=True)
    .returning(turns.c.job_id)
)
_WAKE = (
    update(jobs)
    .where(jobs.c.id == bindparam("woken"))
    .values(
        ready=bindparam("is_ready", type_=jobs.c.ready.type), behind=bindparam("waits_for"), round=lanes.ANEW
    )
)
_MOVE_UP = (
    update(jobs)
    .where(jobs.c.id == bindparam("moved"), jobs.c.behind > 0)
    .values(behind=jobs.c.behind - 1, ready=jobs.c.behind == 1)
)


@dataclass(frozen=True, slots=True)
class Line:
    key: str
    shared: bool = False
    """Whether the job's turn in it is a shared one."""

    @property
    def of_workspace(self) -> bool:
        return self.key.startswith("workspace:")


def lines_of(concurrency_key: str | None, workspace: WorkspaceUse | None) -> tuple[Line, ...]:
    """Those that a job stands in."""
    by_key = () if concurrency_key is None else (Line(f"key:{concurrency_key}"),)
    if workspace is None:
        return by_key
    return (*by_key, Line(f"workspace:{workspace.id}", shared=workspace.mode is WorkspaceMode.COPY))


def lock(connection: Connection, lines: Iterable[Line]) -> None:
    """Before any job's row is locked. SQLite's transaction has locked everything."""
    numbers = sorted({_lock_of(line) for line in lines})
    if numbers and connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"class": _CLASS, "numbers": numbers})


def take(connection: Connection, job_id: JobId, lines: Iterable[Line]) -> int:
    """Take the job's turns in its locked lines; returns how many of them have not come yet."""
    taken = [
        connection.execute(
            _TAKE, {"of_key": line.key, "of_job": job_id, "is_shared": line.shared}
        ).scalar_one()
        for line in lines
    ]
    return taken.count(False)


def wake(connection: Connection, behind: Mapping[JobId, int]) -> int:
    """The time of these jobs has come, and so many of their turns have not; returns how many are ready."""
    if not behind:
        return 0
    rows = [{"woken": job_id, "is_ready": not count, "waits_for": count} for job_id, count in behind.items()]
    connection.execute(_WAKE, rows)
    ready = list(behind.values()).count(0)
    tell(connection, [LookAtQueue()] if ready else [])
    return ready


def give_up(connection: Connection, job_ids: Iterable[str]) -> None:
    """The turns of jobs that have ended, in locked lines; whoever stands behind them moves up."""
    left = {key for job_id in job_ids for key in connection.execute(_GIVE_UP, {"of_job": job_id}).scalars()}
    moved = [job_id for key in sorted(left) for job_id in _admit(connection, key)]
    # In one order everywhere, since who stands in two lines may be moved up by two transactions at once.
    for job_id in sorted(moved):
        connection.execute(_MOVE_UP, {"moved": job_id})
    tell(connection, [LookAtQueue()] if moved else [])


def _admit(connection: Connection, key: str) -> Sequence[str]:
    """Those of a line whose turn has come by now."""
    first = connection.execute(_ADMIT_FIRST, {"of_key": key}).scalars().all()
    return first or connection.execute(_ADMIT_SHARED, {"of_key": key}).scalars().all()


def _lock_of(line: Line) -> int:
    return int.from_bytes(blake2b(line.key.encode(errors="surrogatepass"), digest_size=4).digest()) % _LOCKS
