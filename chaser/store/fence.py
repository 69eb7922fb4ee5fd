"""Writes that take effect only while the job is still at the attempt, and with the worker, that makes them."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, bindparam, literal_column, null, select, update

from chaser.jobs.job import LIVE, Status
from chaser.jobs.ports import Claim, Fence
from chaser.jobs.reason import Reason
from chaser.store.job_rows import AnyRow
from chaser.store.notices import job_changed
from chaser.store.steps import Step, was
from chaser.store.tables import jobs

STARTING = frozenset({Status.STARTING})


def held(states: frozenset[Status]) -> ColumnElement[bool]:
    """The condition that every write of a worker carries; `names` fills it."""
    return and_(
        jobs.c.id == bindparam("held_job"),
        jobs.c.attempt == bindparam("held_attempt"),
        jobs.c.worker == bindparam("held_worker"),
        jobs.c.status.in_([literal_column(f"'{state.value}'") for state in sorted(states)]),
    )


def names(claim: Claim) -> dict[str, object]:
    return {"held_job": claim.job.id, "held_attempt": claim.attempt, "held_worker": claim.worker}


_NAME = update(jobs).where(held(STARTING)).values(sandbox_id=bindparam("sandbox"))
_HAND_OVER = (
    update(jobs)
    .where(held(STARTING))
    .values(handed_over_at=bindparam("at", type_=jobs.c.handed_over_at.type))
    .returning(jobs.c.sandbox_id)
)
_BEGIN = Step(
    update(jobs)
    .where(held(STARTING))
    .values(
        status=Status.RUNNING.value,
        history=jobs.c.history + 1,
        started_at=bindparam("at", type_=jobs.c.started_at.type),
    ),
    was(Status.STARTING),
    tells=job_changed,
)
_SPARE = (
    update(jobs)
    .where(held(LIVE), jobs.c.cancel_requested == bindparam("asked_for"))
    .values(cancel_requested=null())
)
_RUNS = select(jobs.c.id).where(held(frozenset({Status.RUNNING})))
_HOLD = select(jobs.c.id).where(held(LIVE)).with_for_update(read=True)
_LOCK = select(jobs).where(held(LIVE)).with_for_update()


def name_sandbox(connection: Connection, claim: Claim, sandbox_id: str) -> Fence:
    changed = connection.execute(_NAME, {**names(claim), "sandbox": sandbox_id})
    return Fence.HELD if changed.rowcount else Fence.LOST


def hand_over(connection: Connection, claim: Claim, at: datetime) -> AnyRow | None:
    """The row, with its `sandbox_id`; none if the fence is lost."""
    return connection.execute(_HAND_OVER, {**names(claim), "at": at}).one_or_none()


def begin(connection: Connection, claim: Claim, at: datetime) -> Fence:
    if _BEGIN.take(connection, {**names(claim), "at": at}, at):
        return Fence.HELD
    begun_already = connection.execute(_RUNS, names(claim)).first()
    return Fence.LOST if begun_already is None else Fence.HELD


def spare(connection: Connection, claim: Claim, reason: Reason) -> Fence:
    changed = connection.execute(_SPARE, {**names(claim), "asked_for": reason.value})
    return Fence.HELD if changed.rowcount else Fence.LOST


def hold(connection: Connection, claim: Claim) -> Fence:
    """Whether the attempt is still live; if so, it stays so until this transaction ends."""
    return Fence.LOST if connection.execute(_HOLD, names(claim)).first() is None else Fence.HELD


def locked(connection: Connection, claim: Claim) -> AnyRow | None:
    """The row, if the attempt is still live; nobody else changes it until this transaction ends."""
    return connection.execute(_LOCK, names(claim)).one_or_none()
