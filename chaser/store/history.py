"""The history of jobs: one line for every change of state; `chaser.store.steps` writes them."""

from collections.abc import Sequence

from sqlalchemy import Connection, Integer, bindparam, select, tuple_

from chaser.ids import JobId, KeyId
from chaser.jobs.job import Status
from chaser.jobs.ports import Change, Event, Mark
from chaser.jobs.reason import Reason
from chaser.store.job_rows import AnyRow
from chaser.store.tables import jobs, transitions

_EVENTS = (
    select(transitions)
    .where(transitions.c.job_id == bindparam("of_job"), transitions.c.seq > bindparam("after"))
    .order_by(transitions.c.seq)
)


_mark = (
    bindparam("after_at", type_=transitions.c.at.type),
    bindparam("after_job", type_=transitions.c.job_id.type),
    bindparam("after_seq", type_=transitions.c.seq.type),
)
_place = (transitions.c.at, transitions.c.job_id, transitions.c.seq)
_CHANGES = (
    select(transitions)
    .where(tuple_(*_place) > tuple_(*_mark))
    .order_by(*_place)
    .limit(bindparam("most", type_=Integer()))
)
_OF_KEY = _CHANGES.join(jobs, jobs.c.id == transitions.c.job_id).where(jobs.c.key_id == bindparam("of_key"))


def events(connection: Connection, job_id: JobId, after: int) -> Sequence[Event]:
    return [_event(row) for row in connection.execute(_EVENTS, {"of_job": job_id, "after": after})]


def changes(connection: Connection, after: Mark, limit: int, key_id: KeyId | None) -> Sequence[Change]:
    values = {"after_at": after.at, "after_job": after.job_id, "after_seq": after.seq, "most": limit}
    rows = connection.execute(_CHANGES if key_id is None else _OF_KEY, {**values, "of_key": key_id})
    return [Change(JobId(row.job_id), _event(row)) for row in rows]


def _event(row: AnyRow) -> Event:
    return Event(
        seq=row.seq,
        at=row.at,
        attempt=row.attempt,
        from_status=None if row.from_status is None else Status(row.from_status),
        to_status=Status(row.to_status),
        reason=None if row.reason is None else Reason(row.reason),
        message=row.message,
    )
