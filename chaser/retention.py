"""How long things are kept: what has ended, expired or been left behind is removed in small steps, for good."""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Protocol

import structlog

from chaser.blocking import to_its_end
from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.ids import JobId, UploadId

log = structlog.stdlib.get_logger()

BATCH = 50
"""What one look at the store names at once."""
DELIVERIES = 500
"""Deliveries, demands or sandboxes that one transaction removes."""
GRACE = timedelta(hours=1)
"""Between an upload's end, after which no new job may name it, and its removal: a job that just did is stored by then."""
SHORT_GRACE = timedelta(minutes=5)
"""The same where room is wanting."""
STRAY_AGE = timedelta(days=1)
"""A file that no row knows may be one whose row is about to be written; none takes so long."""


@dataclass(frozen=True, slots=True)
class Periods:
    jobs: timedelta = timedelta(days=30)
    deliveries: timedelta = timedelta(days=7)
    every: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many were removed."""

    jobs: int
    deliveries: int
    uploads: int
    strays: int
    demands: int = 0
    sandboxes: int = 0


class RetentionRows(Protocol):
    """What `chaser.store.retention` does for this."""

    async def ended_jobs(self, before: datetime, limit: int) -> Sequence[JobId]: ...

    async def forget_job(self, job_id: JobId) -> None: ...

    async def forget_deliveries(self, before: datetime, limit: int) -> int: ...

    async def forget_demands(self, before: datetime, limit: int) -> int: ...

    async def forget_sandboxes(self, before: datetime, limit: int) -> int: ...

    async def expired_uploads(self, before: datetime, limit: int) -> Sequence[UploadId]: ...

    async def forget_uploads(self, ids: Collection[UploadId]) -> None: ...

    async def known(self, ids: Collection[str]) -> frozenset[str]: ...


class Retention:
    def __init__(
        self, rows: RetentionRows, uploads: Path, artifacts: Path, clock: Clock, periods: Periods
    ) -> None:
        """`uploads` and `artifacts` are the folders of the contents."""
        self._rows = rows
        self._uploads = uploads
        self._artifacts = artifacts
        self._clock = clock
        self._periods = periods
        self._sweeping = asyncio.Lock()

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.sweep()
            except Unavailable as error:
                log.warning("Cannot remove what is old yet.", action="retention_later", error=error.message)
            await asyncio.sleep(self._periods.every.total_seconds())

    async def places(self) -> Sequence[Path]:
        return [self._uploads.parent]

    async def relieve(self, enough: Callable[[], bool]) -> int:
        """What is to go anyway, now and not with the next sweep: the rest was promised to be kept. All of it, since it does
        not go by what is enough."""
        swept = await self.sweep(SHORT_GRACE)
        return swept.jobs + swept.deliveries + swept.demands + swept.uploads + swept.strays

    async def sweep(self, grace: timedelta = GRACE) -> Swept:
        async with self._sweeping:
            return await self._sweep(grace)

    async def _sweep(self, grace: timedelta) -> Swept:
        now = self._clock.now()
        swept = Swept(
            jobs=await self._jobs(now - self._periods.jobs),
            deliveries=await self._in_steps(self._rows.forget_deliveries, now - self._periods.deliveries),
            demands=await self._in_steps(self._rows.forget_demands, now - self._periods.jobs),
            sandboxes=await self._in_steps(self._rows.forget_sandboxes, now - self._periods.deliveries),
            uploads=await self._expired(now - grace),
            strays=await self._strays(now - STRAY_AGE),
        )
        if swept != Swept(0, 0, 0, 0):
            log.info(
                "Removed what was kept long enough.",
                action="retention",
                jobs=swept.jobs,
                deliveries=swept.deliveries,
                demands=swept.demands,
                sandboxes=swept.sandboxes,
                uploads=swept.uploads,
                strays=swept.strays,
            )
        return swept

    async def _jobs(self, before: datetime) -> int:
        """The row goes first: contents that no row names are found by any later sweep, and the reverse is not so."""
        removed = 0
        while found := await self._rows.ended_jobs(before, BATCH):
            for job_id in found:
                await self._rows.forget_job(job_id)
                await to_its_end(lambda job_id=job_id: _remove(self._artifacts / job_id))
            removed += len(found)
        return removed

    async def _in_steps(self, forget: Callable[[datetime, int], Awaitable[int]], before: datetime) -> int:
        removed = 0
        while some := await forget(before, DELIVERIES):
            removed += some
        return removed

    async def _expired(self, before: datetime) -> int:
        removed = 0
        while found := await self._rows.expired_uploads(before, BATCH):
            await self._rows.forget_uploads(found)
            for upload_id in found:
                await to_its_end(lambda upload_id=upload_id: _remove(self._uploads / upload_id))
            removed += len(found)
        return removed

    async def _strays(self, before: datetime) -> int:
        """What a crash has left: files of uploads, and folders of jobs, that no row knows."""
        removed = 0
        for folder in (self._uploads, self._artifacts):
            old = _older(folder, before.timestamp())
            while batch := await to_its_end(lambda old=old: list(islice(old, BATCH))):
                known = await self._rows.known([path.name for path in batch])
                for path in batch:
                    if path.name not in known:
                        await to_its_end(lambda path=path: _remove(path))
                        removed += 1
        return removed


def _older(folder: Path, than: float) -> Iterator[Path]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # an upload that has just got its own name, say
                if entry.stat(follow_symlinks=False).st_mtime < than:
                    yield folder / entry.name


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
