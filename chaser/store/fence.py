"""Writes that take effect only while the job is still at the attempt that makes them."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, bindparam, or_, select, update

from chaser.jobs.job import LIVE, Status
from chaser.jobs.ports import Claim, Fence
from chaser.jobs.reason import Reason
from chaser.store.history import record
from chaser.store.tables import jobs

STARTING = frozenset({Status.STARTING})


def _held(states: frozenset[Status]) -> ColumnElement[bool]:
    """The condition that every write of a worker carries."""
    return and_(
        jobs.c.id == bindparam("held_job"),
        jobs.c.attempt == bindparam("held_attempt"),
        or_(*(jobs.c.status == state.value for state in sorted(states))),
    )


_UPDATE = {states: update(jobs).where(_held(states)) for states in (STARTING, LIVE)}
_LOCK_LIVE = select(jobs.c.id).where(_held(LIVE)).with_for_update(read=True)
_LOCK_STARTING = select(jobs.c.cancel_requested).where(_held(STARTING)).with_for_update()


def change(
    connection: Connection, claim: Claim, values: Mapping[str, object], states: frozenset[Status] = LIVE
) -> Fence:
    """Write `values` into the job's row, if it is still this attempt's and in one of `states`."""
    changed = connection.execute(_UPDATE[states], {**_names(claim), **values})
    return Fence.HELD if changed.rowcount else Fence.LOST


def move(
    connection: Connection,
    claim: Claim,
    status: Status,
    at: datetime,
    values: Mapping[str, object],
    *,
    states: frozenset[Status] = LIVE,
    reason: Reason | None = None,
    message: str | None = None,
) -> Fence:
    """`change`, to another state, with its line of history."""
    fence = change(connection, claim, {"status": status.value, **values}, states)
    if fence is Fence.HELD:
        record(connection, claim.job.id, claim.attempt, status, at, reason, message)
    return fence


def hold(connection: Connection, claim: Claim) -> Fence:
    """Whether the attempt is still live; if so, it stays so until this transaction ends."""
    found = connection.execute(_LOCK_LIVE, _names(claim)).first()
    return Fence.LOST if found is None else Fence.HELD


def asked_to_end(connection: Connection, claim: Claim) -> Reason | Fence:
    """Why a starting job's end was asked for, or only whether the attempt is still `HELD` or has been `LOST`."""
    found = connection.execute(_LOCK_STARTING, _names(claim)).one_or_none()
    if found is None:
        return Fence.LOST
    return Fence.HELD if found.cancel_requested is None else Reason(found.cancel_requested)


def _names(claim: Claim) -> dict[str, object]:
    return {"held_job": claim.job.id, "held_attempt": claim.attempt}
