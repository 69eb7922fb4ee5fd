"""Sandboxes: named before they are made, and kept in mind until the engine has confirmed their end."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, bindparam, exists, insert, not_, null, select, update

from chaser.errors import Unavailable
from chaser.ids import JobId, SandboxId, WorkerId
from chaser.jobs.ports import Claim, Fence, Progress, SandboxRow, Stay
from chaser.jobs.reason import Reason
from chaser.sandboxes.spec import Terms
from chaser.store import fence
from chaser.store.columns import rule
from chaser.store.job_rows import AnyRow
from chaser.store.job_tables import LIVING
from chaser.store.sealing import Sealer
from chaser.store.stays import opened_terms, progress_document, progress_of, sealed_terms
from chaser.store.tables import jobs, sandboxes
from chaser.store.workers import silent

_living = sandboxes.c.gone_at.is_(None)
_named = sandboxes.c.id == bindparam("sandbox")
_INSERT = insert(sandboxes)
_OF_JOB = select(sandboxes.c.id).where(sandboxes.c.job_id == bindparam("of_job"), _living)
_GONE = (
    update(sandboxes)
    .where(_named, _living)
    # Its secrets are of no more use.
    .values(gone_at=bindparam("at", type_=sandboxes.c.gone_at.type), terms=null(), progress=null())
)
_TERMS = update(sandboxes).where(_named).values(terms=bindparam("sealed"))
_PROGRESS = (
    update(sandboxes)
    .where(sandboxes.c.job_id == bindparam("of_job"), sandboxes.c.attempt == bindparam("of_attempt"), _living)
    .values(progress=bindparam("document", type_=sandboxes.c.progress.type))
)
_AHEAD = (
    select(sandboxes.c.id)
    .where(_named, _living, sandboxes.c.job_id.is_(None), sandboxes.c.worker == bindparam("by"))
    .with_for_update()
)
_ASSIGN = (
    update(sandboxes).where(_named).values(job_id=bindparam("for_job"), attempt=bindparam("for_attempt"))
)
_STAY = select(sandboxes).where(_named, _living)
_held = exists().where(jobs.c.id == sandboxes.c.job_id, jobs.c.sandbox_id == sandboxes.c.id, rule(LIVING))
_LEFT = select(sandboxes).where(
    _living, sandboxes.c.engine_id == bindparam("engine"), silent(sandboxes.c.worker), not_(_held)
)


def name(connection: Connection, claim: Claim, row: SandboxRow) -> Fence:
    """Raises `Unavailable` while the sandbox of an earlier attempt may still be there."""
    held = fence.name_sandbox(connection, claim, row.id)
    if held is Fence.HELD:
        _refuse_second(connection, claim.job.id)
        connection.execute(_INSERT, asdict(row))
    return held


def name_ahead(connection: Connection, row: SandboxRow) -> None:
    connection.execute(_INSERT, asdict(row))


def assign(connection: Connection, claim: Claim, sandbox_id: SandboxId) -> Fence | None:
    """Raises `Unavailable` while the sandbox of an earlier attempt may still be there."""
    if connection.execute(_AHEAD, {"sandbox": sandbox_id, "by": claim.worker}).first() is None:
        return None
    held = fence.name_sandbox(connection, claim, sandbox_id)
    if held is Fence.HELD:
        _refuse_second(connection, claim.job.id)
        given = {"sandbox": sandbox_id, "for_job": claim.job.id, "for_attempt": claim.attempt}
        connection.execute(_ASSIGN, given)
    return held


def hand_over(connection: Connection, sealer: Sealer, claim: Claim, terms: Terms, at: datetime) -> Fence:
    row = fence.hand_over(connection, claim, at)
    if row is None:
        return Fence.LOST
    sandbox_id = SandboxId(row.sandbox_id)
    connection.execute(_TERMS, {"sandbox": sandbox_id, "sealed": sealed_terms(terms, sandbox_id, sealer)})
    return Fence.HELD


def advance(connection: Connection, claim: Claim, progress: Progress) -> None:
    """Note how far the attempt's output is stored; the caller holds the fence."""
    document = progress_document(progress)
    connection.execute(_PROGRESS, {"of_job": claim.job.id, "of_attempt": claim.attempt, "document": document})


def stay(connection: Connection, sealer: Sealer, sandbox_id: SandboxId) -> Stay | None:
    row = connection.execute(_STAY, {"sandbox": sandbox_id}).one_or_none()
    if row is None:
        return None
    terms = None if row.terms is None else opened_terms(row.terms, sandbox_id, sealer)
    return Stay(_row(row), terms, progress_of(row.progress))


def gone(connection: Connection, sandbox_id: SandboxId, at: datetime) -> None:
    connection.execute(_GONE, {"sandbox": sandbox_id, "at": at})


def of_job(connection: Connection, job_id: JobId) -> SandboxId | None:
    found = connection.execute(_OF_JOB, {"of_job": job_id}).scalar_one_or_none()
    return None if found is None else SandboxId(found)


def living(connection: Connection, ids: Collection[SandboxId]) -> frozenset[SandboxId]:
    rows = connection.execute(select(sandboxes.c.id).where(sandboxes.c.id.in_(ids), _living))
    return frozenset(SandboxId(each) for each in rows.scalars())


def left(connection: Connection, engine_id: str, now: datetime | None) -> Sequence[SandboxRow]:
    rows = connection.execute(_LEFT, {"engine": engine_id, "now": now})
    return sorted((_row(row) for row in rows), key=lambda row: row.id)


def _row(row: AnyRow) -> SandboxRow:
    return SandboxRow(
        id=SandboxId(row.id),
        job_id=None if row.job_id is None else JobId(row.job_id),
        attempt=row.attempt,
        worker=WorkerId(row.worker),
        engine_id=row.engine_id,
        created_at=row.created_at,
    )


def _refuse_second(connection: Connection, job_id: JobId) -> None:
    earlier = of_job(connection, job_id)
    if earlier is not None:
        raise Unavailable(
            Reason.ENGINE_UNAVAILABLE,
            f"The sandbox {earlier} of an earlier attempt is not confirmed gone; its engine must answer first.",
        )
