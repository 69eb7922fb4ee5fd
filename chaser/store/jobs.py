"""The durable queue on a database: `chaser.jobs.ports.JobStore`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select

from chaser.clock import Clock
from chaser.ids import JobId, KeyId, SandboxId, WorkerId
from chaser.jobs.job import Job, NewJob, Status, Verdict
from chaser.jobs.ports import (
    FREE,
    Beat,
    Change,
    Claim,
    Enqueued,
    Event,
    Fence,
    Full,
    JobFilter,
    Line,
    Mark,
    SandboxRow,
    Stay,
)
from chaser.jobs.reason import Reason
from chaser.sandboxes.spec import Terms
from chaser.store import (
    claims,
    ends,
    fence,
    history,
    leashes,
    places,
    sandboxes,
    takeovers,
    waiting,
    workers,
)
from chaser.store.arrivals import Arrivals
from chaser.store.database import Database
from chaser.store.enqueue import Conflicting, enqueue, enqueue_all, in_line
from chaser.store.job_rows import AnyRow, job_of, without_secrets
from chaser.store.sealing import Sealer, Unsealable
from chaser.store.tables import jobs

_BY_ID = select(jobs).where(jobs.c.id == bindparam("job_id"))
_COUNTS = select(jobs.c.status, func.count()).where(jobs.c.finished_at.is_(None)).group_by(jobs.c.status)


class Jobs:
    """`clock` is for what is not given the moment."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._arrivals = None if database.engines.server else Arrivals(database, sealer)

    async def enqueue(self, new: NewJob) -> Enqueued:
        if self._arrivals is not None:
            return await self._arrivals.enqueue(new)
        write = self._database.write if in_line(new) else self._database.write_alone
        now = self._database.moment(new.created_at)
        return await write(lambda connection: enqueue(connection, self._sealer, new, now))

    async def enqueue_all(self, new: Sequence[NewJob]) -> Sequence[Enqueued]:
        if not new:
            return ()
        now = self._database.moment(new[0].created_at)
        try:
            return await self._database.write(
                lambda connection: enqueue_all(connection, self._sealer, new, now)
            )
        except Conflicting as undone:
            return (undone.conflict,)

    async def get(self, job_id: JobId) -> Job | None:
        row = await self._database.read(
            lambda connection: connection.execute(_BY_ID, {"job_id": job_id}).one_or_none()
        )
        return self._job(row)

    async def list(self, which: JobFilter) -> Sequence[Job]:
        rows = await self._database.read(lambda connection: _listed(connection, which))
        return [job_of(row, self._sealer) for row in rows]

    async def events(self, job_id: JobId, after: int = 0) -> Sequence[Event]:
        return await self._database.read(lambda connection: history.events(connection, job_id, after))

    async def changes(self, after: Mark, limit: int, key_id: KeyId | None = None) -> Sequence[Change]:
        return await self._database.read(lambda connection: history.changes(connection, after, limit, key_id))

    async def claim(
        self, worker: WorkerId, now: datetime, full: Full = FREE, most: int = 1
    ) -> Sequence[Claim]:
        moment = self._database.moment(now)
        while True:
            rows = await self._database.write_alone(
                lambda connection: claims.take(connection, worker, moment, full, most, now)
            )
            claimed = [await self._claimed(row, worker, now) for row in rows]
            taken = [claim for claim in claimed if claim is not None]
            if taken or not rows:
                return taken

    async def _claimed(self, row: AnyRow, worker: WorkerId, now: datetime) -> Claim | None:
        try:
            return Claim(job_of(row, self._sealer), worker)
        except Unsealable as error:
            # It would be the next again for ever; others wait behind it.
            verdict = Verdict(Status.FAILED, Reason.INTERNAL_ERROR, str(error), {})
            await self.finish(Claim(without_secrets(row), worker), verdict, now)
            return None

    async def name_sandbox(self, claim: Claim, row: SandboxRow) -> Fence:
        return await self._database.write(lambda connection: sandboxes.name(connection, claim, row))

    async def name_ahead(self, row: SandboxRow) -> None:
        await self._database.write(lambda connection: sandboxes.name_ahead(connection, row))

    async def assign_sandbox(self, claim: Claim, sandbox_id: SandboxId) -> Fence | None:
        return await self._database.write(lambda connection: sandboxes.assign(connection, claim, sandbox_id))

    async def hand_over(self, claim: Claim, terms: Terms, at: datetime) -> Fence:
        return await self._database.write(
            lambda connection: sandboxes.hand_over(connection, self._sealer, claim, terms, at)
        )

    async def begin(self, claim: Claim, at: datetime) -> Fence:
        return await self._database.write_alone(lambda connection: fence.begin(connection, claim, at))

    async def finish(self, claim: Claim, verdict: Verdict, at: datetime) -> Fence:
        write = self._database.write if claim.job.waits_in_line else self._database.write_alone
        return await write(lambda connection: ends.finish(connection, claim, verdict, at))

    async def requeue(
        self,
        claim: Claim,
        reason: Reason,
        message: str,
        run_at: datetime,
        at: datetime,
        *,
        retried: bool = False,
    ) -> Fence:
        now = self._database.moment(at)
        again = ends.Again(reason, message, run_at - at, retried=retried)
        return await self._database.write(lambda connection: ends.requeue(connection, claim, again, at, now))

    async def sandbox_gone(self, sandbox_id: SandboxId, at: datetime) -> None:
        await self._database.write(lambda connection: sandboxes.gone(connection, sandbox_id, at))

    async def request_cancel(self, job_id: JobId, reason: Reason, at: datetime) -> Job | None:
        row = await self._database.write(
            lambda connection: ends.request_cancel(connection, job_id, reason, at)
        )
        return self._job(row)

    async def spare(self, claim: Claim, reason: Reason) -> Fence:
        return await self._database.write_alone(lambda connection: fence.spare(connection, claim, reason))

    async def promote(self, now: datetime) -> int:
        moment, total = self._database.moment(now), 0
        while True:
            woken, ready = await self._database.write(lambda connection: waiting.promote(connection, moment))
            total += ready
            if woken < waiting.BATCH:
                return total

    async def expire(self, now: datetime) -> Sequence[JobId]:
        moment, ended = self._database.moment(now), list[JobId]()
        while True:
            rows = await self._database.write(lambda connection: waiting.expire(connection, moment, now))
            ended += [JobId(row.id) for row in rows]
            if len(rows) < waiting.BATCH:
                return ended

    async def next_due(self, now: datetime) -> datetime | None:
        given = self._database.moment(now)
        return await self._database.read(lambda connection: waiting.next_due(connection, given, now))

    async def counts(self) -> Mapping[Status, int]:
        rows = await self._database.read(lambda connection: connection.execute(_COUNTS).all())
        found = {Status(status): count for status, count in rows}
        return {status: found.get(status, 0) for status in Status if not status.ended}

    async def position(self, job_id: JobId) -> int | None:
        return await self._database.read(lambda connection: places.position(connection, job_id))

    async def line(self, job_id: JobId) -> Line | None:
        return await self._database.read(lambda connection: places.line(connection, job_id))

    async def touch(self, job_id: JobId, now: datetime) -> None:
        moment = self._database.moment(now)
        if await self._database.read(lambda connection: leashes.short(connection, job_id, moment)):
            await self._database.write(lambda connection: leashes.lengthen(connection, job_id, moment))

    async def unleashed(self, now: datetime) -> Sequence[JobId]:
        moment = self._database.moment(now)
        return await self._database.read(lambda connection: leashes.unleashed(connection, moment))

    async def join(self, worker: WorkerId, seat: str, now: datetime) -> None:
        moment = self._database.moment(now)

        def write(connection: Connection) -> None:
            workers.join(connection, worker, seat, moment)
            leashes.begin_anew(connection, moment)

        await self._database.write(write)

    async def heartbeat(self, worker: WorkerId, now: datetime) -> Beat:
        moment = self._database.moment(now)
        return await self._database.write(lambda connection: workers.heartbeat(connection, worker, moment))

    async def leave(self, worker: WorkerId, now: datetime) -> None:
        moment = self._database.moment(now)
        await self._database.write(lambda connection: workers.leave(connection, worker, moment))

    async def left_behind(self, engine_id: str, now: datetime) -> Sequence[Job]:
        moment = self._database.moment(now)
        rows = await self._database.read(
            lambda connection: takeovers.left_behind(connection, engine_id, moment)
        )
        return [self._openable(row) for row in rows]

    async def out_of_reach(self, engine_id: str, until: datetime, now: datetime) -> Sequence[Job]:
        moment = self._database.moment(now)
        rows = await self._database.read(
            lambda connection: takeovers.out_of_reach(connection, engine_id, now - until, moment)
        )
        return [self._openable(row) for row in rows]

    async def take_over(self, job: Job, worker: WorkerId) -> Claim | None:
        row = await self._database.write(lambda connection: takeovers.take_over(connection, job, worker))
        return None if row is None else Claim(self._openable(row), worker)

    async def stay(self, sandbox_id: SandboxId) -> Stay | None:
        return await self._database.read(
            lambda connection: sandboxes.stay(connection, self._sealer, sandbox_id)
        )

    async def earlier_sandbox(self, job_id: JobId) -> SandboxId | None:
        return await self._database.read(lambda connection: sandboxes.of_job(connection, job_id))

    async def sandboxes_living(self, ids: Collection[SandboxId]) -> frozenset[SandboxId]:
        return await self._database.read(lambda connection: sandboxes.living(connection, ids))

    async def sandboxes_left(self, engine_id: str, now: datetime) -> Sequence[SandboxRow]:
        moment = self._database.moment(now)
        return await self._database.read(lambda connection: sandboxes.left(connection, engine_id, moment))

    def _job(self, row: AnyRow | None) -> Job | None:
        return None if row is None else job_of(row, self._sealer)

    def _openable(self, row: AnyRow) -> Job:
        """What cannot be opened must not keep the others from being looked after; whoever starts it finds out."""
        try:
            return job_of(row, self._sealer)
        except Unsealable:
            return without_secrets(row)


def _listed(connection: Connection, which: JobFilter) -> Sequence[AnyRow]:
    query = select(jobs).order_by(jobs.c.id.desc()).limit(which.limit)
    if which.status is not None:
        query = query.where(jobs.c.status == which.status.value)
    if which.kind is not None:
        query = query.where(jobs.c.kind == which.kind)
    if which.key_id is not None:
        query = query.where(jobs.c.key_id == which.key_id)
    if which.workspace_id is not None:
        query = query.where(jobs.c.workspace_id == which.workspace_id)
    if which.before is not None:
        query = query.where(jobs.c.id < which.before)
    return connection.execute(query).all()
