"""How far a waiting job is from its start."""

from sqlalchemy import Connection, and_, bindparam, func, not_, or_, select, tuple_

from chaser.ids import JobId
from chaser.jobs.ports import Line
from chaser.store import turns as lines
from chaser.store.columns import rule
from chaser.store.job_tables import READY
from chaser.store.tables import jobs, turns

_ready = rule(READY)
_OWN = select(jobs.c.priority, jobs.c.round, jobs.c.id).where(_ready, jobs.c.id == bindparam("job_id"))
_priority, _round, _id = (
    bindparam(name, type_=column.type)
    for name, column in (
        ("own_priority", jobs.c.priority),
        ("own_round", jobs.c.round),
        ("own_id", jobs.c.id),
    )
)
_before = tuple_(jobs.c.round, jobs.c.id) < tuple_(_round, _id)
_AHEAD = (
    select(func.count())
    .select_from(jobs)
    .where(_ready, or_(jobs.c.priority > _priority, and_(jobs.c.priority == _priority, _before)))
)
_STANDS = (
    select(turns.c.key, turns.c.number)
    .where(turns.c.job_id == bindparam("job_id"), not_(turns.c.holding))
    .order_by(turns.c.key)
)
_of_line = turns.c.key == bindparam("of_key")
_HOLDER = select(turns.c.job_id).where(_of_line).order_by(turns.c.number).limit(1)
_BEFORE = select(func.count()).select_from(turns).where(_of_line, turns.c.number < bindparam("own_number"))


def position(connection: Connection, job_id: JobId) -> int | None:
    own = connection.execute(_OWN, {"job_id": job_id}).one_or_none()
    if own is None:
        return None
    values = {"own_priority": own.priority, "own_round": own.round, "own_id": own.id}
    return connection.execute(_AHEAD, values).scalar_one()


def line(connection: Connection, job_id: JobId) -> Line | None:
    stands = connection.execute(_STANDS, {"job_id": job_id}).first()
    if stands is None:
        return None
    return Line(
        workspace=lines.Line(stands.key).of_workspace,
        holder=JobId(connection.execute(_HOLDER, {"of_key": stands.key}).scalar_one()),
        position=connection.execute(
            _BEFORE, {"of_key": stands.key, "own_number": stands.number}
        ).scalar_one(),
    )
