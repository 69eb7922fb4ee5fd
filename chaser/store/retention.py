"""Removing what has been kept long enough, in transactions that are short: `chaser.retention.RetentionRows`."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, Text, cast, delete, exists, select

from chaser.ids import JobId, UploadId, first_id
from chaser.store.database import Database
from chaser.store.tables import (
    approvals,
    deliveries,
    demands,
    jobs,
    log_frames,
    redeliveries,
    sandboxes,
    uploads,
    workflow_runs,
)

FRAMES = 256
"""Frames of a log that one transaction removes."""

_NAMED = re.compile(r"upl_[0-9a-z]{26}")
_UNFINISHED = jobs.c.finished_at.is_(None)


class RetentionTables:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def ended_jobs(self, before: datetime, limit: int) -> Sequence[JobId]:
        """Jobs that ended before then, whose sandboxes are confirmed gone; the oldest first."""
        return await self._database.read(lambda connection: _ended(connection, before, limit))

    async def forget_job(self, job_id: JobId) -> None:
        """Remove an ended job with all that is its own; its log, the largest part, first and in pieces."""
        while await self._database.write(lambda connection: _forget_frames(connection, job_id)) == FRAMES:
            pass
        await self._database.write(
            lambda connection: connection.execute(
                delete(jobs).where(jobs.c.id == job_id, jobs.c.finished_at.is_not(None))
            )
        )

    async def forget_deliveries(self, before: datetime, limit: int) -> int:
        """Deliveries that came before then, and whose job has ended, if they have one; returns how many are removed."""
        return await self._database.write(lambda connection: _forget_deliveries(connection, before, limit))

    async def forget_demands(self, before: datetime, limit: int) -> int:
        """Demands of which nothing was heard since then, and whose job has ended, if they have one."""
        return await self._database.write(lambda connection: _forget_demands(connection, before, limit))

    async def forget_sandboxes(self, before: datetime, limit: int) -> int:
        """Sandboxes that served no job, and are confirmed gone since before then. A job's go with the job."""
        return await self._database.write(lambda connection: _forget_sandboxes(connection, before, limit))

    async def expired_uploads(self, before: datetime, limit: int) -> Sequence[UploadId]:
        """Uploads that expired before then, and that no unfinished job names."""
        return await self._database.read(lambda connection: _expired(connection, before, limit))

    async def forget_uploads(self, ids: Collection[UploadId]) -> None:
        await self._database.write(
            lambda connection: connection.execute(delete(uploads).where(uploads.c.id.in_(ids)))
        )

    async def known(self, ids: Collection[str]) -> frozenset[str]:
        """Those of `ids` that are a job's or an upload's."""
        return await self._database.read(lambda connection: _known(connection, ids))


def _ended(connection: Connection, before: datetime, limit: int) -> Sequence[JobId]:
    """Ids are ordered by age, so those that could be meant are at the beginning of the primary key."""
    living = exists().where(sandboxes.c.job_id == jobs.c.id, sandboxes.c.gone_at.is_(None))
    found = connection.execute(
        select(jobs.c.id)
        .where(jobs.c.id < first_id("job", before), jobs.c.finished_at < before, ~living)
        .order_by(jobs.c.id)
        .limit(limit)
    )
    return [JobId(each) for each in found.scalars()]


def _forget_frames(connection: Connection, job_id: JobId) -> int:
    mine = log_frames.c.job_id == job_id
    first = select(log_frames.c.seq).where(mine).order_by(log_frames.c.seq).limit(FRAMES)
    return connection.execute(delete(log_frames).where(mine, log_frames.c.seq.in_(first))).rowcount


def _forget_deliveries(connection: Connection, before: datetime, limit: int) -> int:
    waiting = exists().where(jobs.c.id == deliveries.c.job_id, _UNFINISHED)
    old = (
        select(deliveries.c.guid)
        .where(deliveries.c.received_at < before, ~waiting)
        .order_by(deliveries.c.received_at)
        .limit(limit)
    )
    connection.execute(delete(redeliveries).where(redeliveries.c.asked_at < before))
    return connection.execute(delete(deliveries).where(deliveries.c.guid.in_(old))).rowcount


def _forget_demands(connection: Connection, before: datetime, limit: int) -> int:
    waiting = exists().where(jobs.c.id == demands.c.job_id, _UNFINISHED)
    old = (
        select(demands.c.workflow_job_id)
        .where(demands.c.changed_at < before, ~waiting)
        .order_by(demands.c.changed_at)
        .limit(limit)
    )
    # What is known of their runs goes with them: it can be asked for again.
    connection.execute(delete(workflow_runs).where(workflow_runs.c.read_at < before))
    connection.execute(delete(approvals).where(approvals.c.approved_at < before))
    return connection.execute(delete(demands).where(demands.c.workflow_job_id.in_(old))).rowcount


def _forget_sandboxes(connection: Connection, before: datetime, limit: int) -> int:
    old = (
        select(sandboxes.c.id)
        .where(sandboxes.c.job_id.is_(None), sandboxes.c.gone_at < before)
        .order_by(sandboxes.c.id)
        .limit(limit)
    )
    return connection.execute(delete(sandboxes).where(sandboxes.c.id.in_(old))).rowcount


def _expired(connection: Connection, before: datetime, limit: int) -> Sequence[UploadId]:
    found = connection.execute(
        select(uploads.c.id).where(uploads.c.expires_at < before).order_by(uploads.c.expires_at)
    )
    expired = [UploadId(each) for each in found.scalars()]
    named = _named(connection) if expired else frozenset[str]()
    return [each for each in expired if each not in named][:limit]


def _named(connection: Connection) -> frozenset[str]:
    """Every upload's id that stands anywhere in the input of an unfinished job."""
    text = cast(jobs.c.input, Text)
    inputs = connection.execute(select(text).where(_UNFINISHED, text.contains("upl_", autoescape=True)))
    return frozenset(each for written in inputs.scalars() for each in _NAMED.findall(written))


def _known(connection: Connection, ids: Collection[str]) -> frozenset[str]:
    found = [
        connection.execute(select(table.c.id).where(table.c.id.in_(ids))).scalars().all()
        for table in (jobs, uploads)
    ]
    return frozenset(each for page in found for each in page)
