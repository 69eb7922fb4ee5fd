"""Sandboxes: named before they are made, and kept in mind until the engine has confirmed their end."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, bindparam, exists, insert, or_, select, update

from chaser.errors import Unavailable
from chaser.ids import JobId, SandboxId, WorkerId
from chaser.jobs.job import LIVE
from chaser.jobs.ports import Claim, Fence, SandboxRow
from chaser.jobs.reason import Reason
from chaser.store.fence import STARTING, change
from chaser.store.job_rows import AnyRow
from chaser.store.tables import jobs, sandboxes

_INSERT = insert(sandboxes)
_OF_JOB = select(sandboxes.c.id).where(
    sandboxes.c.job_id == bindparam("of_job"), sandboxes.c.gone_at.is_(None)
)


def name(connection: Connection, claim: Claim, row: SandboxRow) -> Fence:
    """Raises `Unavailable` while the sandbox of an earlier attempt may still be there."""
    fence = change(connection, claim, {"sandbox_id": row.id}, STARTING)
    if fence is Fence.HELD:
        _refuse_second(connection, row.job_id)
        connection.execute(_INSERT, asdict(row))
    return fence


def gone(connection: Connection, sandbox_id: SandboxId, at: datetime) -> None:
    connection.execute(
        update(sandboxes)
        .where(sandboxes.c.id == sandbox_id, sandboxes.c.gone_at.is_(None))
        .values(gone_at=at)
    )


def living(connection: Connection, ids: Collection[SandboxId]) -> frozenset[SandboxId]:
    rows = connection.execute(
        select(sandboxes.c.id).where(sandboxes.c.id.in_(ids), sandboxes.c.gone_at.is_(None))
    )
    return frozenset(SandboxId(each) for each in rows.scalars())


def left(connection: Connection, worker: WorkerId, engine_id: str) -> Sequence[SandboxRow]:
    rows = connection.execute(
        select(sandboxes)
        .where(
            sandboxes.c.gone_at.is_(None),
            sandboxes.c.engine_id == engine_id,
            sandboxes.c.worker != worker,
        )
        .order_by(sandboxes.c.id)
    )
    return [
        SandboxRow(
            id=SandboxId(row.id),
            job_id=JobId(row.job_id),
            attempt=row.attempt,
            worker=WorkerId(row.worker),
            engine_id=row.engine_id,
            created_at=row.created_at,
        )
        for row in rows
    ]


def jobs_left(connection: Connection, worker: WorkerId, engine_id: str) -> Sequence[AnyRow]:
    """The rows of live jobs that an earlier start than `worker` was working on."""
    here = exists().where(sandboxes.c.id == jobs.c.sandbox_id, sandboxes.c.engine_id == engine_id)
    return connection.execute(
        select(jobs)
        .where(
            jobs.c.finished_at.is_(None),
            jobs.c.status.in_(sorted(LIVE)),
            jobs.c.worker != worker,
            or_(jobs.c.sandbox_id.is_(None), here),
        )
        .order_by(jobs.c.id)
    ).all()


def _refuse_second(connection: Connection, job_id: JobId) -> None:
    earlier = connection.execute(_OF_JOB, {"of_job": job_id}).scalar_one_or_none()
    if earlier is not None:
        raise Unavailable(
            Reason.ENGINE_UNAVAILABLE,
            f"The sandbox {earlier} of an earlier attempt is not confirmed gone; its engine must answer first.",
        )
