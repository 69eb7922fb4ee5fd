"""The durable queue on a database: `chaser.jobs.ports.JobStore`. Each method is one transaction."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select, update

from chaser.clock import Clock
from chaser.ids import JobId, KeyId, SandboxId, WorkerId
from chaser.jobs.job import LIVE, Job, NewJob, Status, Verdict
from chaser.jobs.ports import Claim, Enqueued, Event, Fence, JobFilter, SandboxRow
from chaser.jobs.reason import Reason
from chaser.store import fence, history, sandboxes, waiting
from chaser.store.database import Database
from chaser.store.enqueue import enqueue
from chaser.store.job_rows import job_of
from chaser.store.sealing import Sealer
from chaser.store.tables import jobs

_BY_ID = select(jobs).where(jobs.c.id == bindparam("job_id"))
_UNHELD = {"worker": None, "sandbox_id": None, "handed_over_at": None, "started_at": None}


class Jobs:
    """`clock` tells `position` which jobs are due; every other moment is the caller's."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def enqueue(self, new: NewJob) -> Enqueued:
        return await self._database.write(lambda connection: enqueue(connection, self._sealer, new))

    async def get(self, job_id: JobId) -> Job | None:
        return await self._database.read(lambda connection: self._get(connection, job_id))

    async def list(self, which: JobFilter) -> Sequence[Job]:
        return await self._database.read(lambda connection: self._list(connection, which))

    async def events(self, job_id: JobId) -> Sequence[Event]:
        return await self._database.read(lambda connection: history.events(connection, job_id))

    async def claim(self, worker: WorkerId, now: datetime, paused_keys: frozenset[KeyId]) -> Claim | None:
        return await self._database.write(
            lambda connection: waiting.claim(connection, self._sealer, worker, now, paused_keys)
        )

    async def name_sandbox(self, claim: Claim, row: SandboxRow) -> Fence:
        return await self._database.write(lambda connection: sandboxes.name(connection, claim, row))

    async def hand_over(self, claim: Claim, at: datetime) -> Fence:
        return await self._database.write(
            lambda connection: fence.change(connection, claim, {"handed_over_at": at}, fence.STARTING)
        )

    async def begin(self, claim: Claim, at: datetime) -> Fence:
        return await self._database.write(
            lambda connection: fence.move(
                connection, claim, Status.RUNNING, at, {"started_at": at}, states=fence.STARTING
            )
        )

    async def finish(self, claim: Claim, verdict: Verdict, at: datetime) -> Fence:
        return await self._database.write(lambda connection: _finish(connection, claim, verdict, at))

    async def requeue(
        self, claim: Claim, reason: Reason, message: str, run_at: datetime, at: datetime
    ) -> Fence:
        return await self._database.write(
            lambda connection: _requeue(connection, claim, reason, message, run_at, at)
        )

    async def sandbox_gone(self, sandbox_id: SandboxId, at: datetime) -> None:
        await self._database.write(lambda connection: sandboxes.gone(connection, sandbox_id, at))

    async def request_cancel(self, job_id: JobId, reason: Reason, at: datetime) -> Job | None:
        return await self._database.write(lambda connection: self._cancel(connection, job_id, reason, at))

    async def expire(self, now: datetime) -> Sequence[JobId]:
        return await self._database.write(lambda connection: waiting.expire(connection, now))

    async def next_due(self, now: datetime) -> datetime | None:
        return await self._database.read(lambda connection: waiting.next_due(connection, now))

    async def counts(self) -> Mapping[Status, int]:
        return await self._database.read(_counts)

    async def position(self, job_id: JobId) -> int | None:
        now = self._clock.now()
        return await self._database.read(lambda connection: waiting.position(connection, job_id, now))

    async def left_behind(self, worker: WorkerId, engine_id: str) -> Sequence[Job]:
        rows = await self._database.read(
            lambda connection: sandboxes.jobs_left(connection, worker, engine_id)
        )
        return [job_of(row, self._sealer) for row in rows]

    async def sandboxes_living(self, ids: Collection[SandboxId]) -> frozenset[SandboxId]:
        return await self._database.read(lambda connection: sandboxes.living(connection, ids))

    async def sandboxes_left(self, worker: WorkerId, engine_id: str) -> Sequence[SandboxRow]:
        return await self._database.read(lambda connection: sandboxes.left(connection, worker, engine_id))

    def _get(self, connection: Connection, job_id: JobId) -> Job | None:
        row = connection.execute(_BY_ID, {"job_id": job_id}).one_or_none()
        return None if row is None else job_of(row, self._sealer)

    def _list(self, connection: Connection, which: JobFilter) -> Sequence[Job]:
        query = select(jobs).order_by(jobs.c.id.desc()).limit(which.limit)
        if which.status is not None:
            query = query.where(jobs.c.status == which.status.value)
        if which.kind is not None:
            query = query.where(jobs.c.kind == which.kind)
        if which.key_id is not None:
            query = query.where(jobs.c.key_id == which.key_id)
        if which.before is not None:
            query = query.where(jobs.c.id < which.before)
        return [job_of(row, self._sealer) for row in connection.execute(query)]

    def _cancel(self, connection: Connection, job_id: JobId, reason: Reason, at: datetime) -> Job | None:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update()).one_or_none()
        if row is None:
            return None
        if row.status == Status.QUEUED:
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(_cancelled(reason, at)))
            history.record(connection, job_id, row.attempt, Status.CANCELLED, at, reason)
        elif row.status in LIVE and row.cancel_requested is None:
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(cancel_requested=reason.value))
        return self._get(connection, job_id)


def _finish(connection: Connection, claim: Claim, verdict: Verdict, at: datetime) -> Fence:
    values = {
        "reason": verdict.reason,
        "message": verdict.message,
        "result": dict(verdict.result),
        "finished_at": at,
    }
    return fence.move(
        connection, claim, verdict.status, at, values, reason=verdict.reason, message=verdict.message
    )


def _requeue(
    connection: Connection, claim: Claim, reason: Reason, message: str, run_at: datetime, at: datetime
) -> Fence:
    """A job whose end was asked for meanwhile is cancelled instead: in the queue nobody would take it again."""
    match fence.asked_to_end(connection, claim):
        case Fence.LOST:
            return Fence.LOST
        case Fence.HELD:
            status, values, why, words = Status.QUEUED, {**_UNHELD, "run_at": run_at}, reason, message
        case asked:
            status, values, why, words = Status.CANCELLED, _cancelled(asked, at), asked, None
    return fence.move(connection, claim, status, at, values, states=fence.STARTING, reason=why, message=words)


def _cancelled(reason: Reason, at: datetime) -> dict[str, object]:
    return {"status": Status.CANCELLED.value, "reason": reason.value, "finished_at": at}


def _counts(connection: Connection) -> Mapping[Status, int]:
    rows = connection.execute(
        select(jobs.c.status, func.count()).where(jobs.c.finished_at.is_(None)).group_by(jobs.c.status)
    )
    found = {Status(status): count for status, count in rows}
    return {status: found.get(status, 0) for status in Status if not status.ended}
