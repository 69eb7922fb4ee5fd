"""What jobs have made outside, undone after their ends, without an outside that is slow keeping an end from being known."""

import asyncio
from datetime import timedelta
from typing import Any

import structlog

from chaser.jobs.job import Job
from chaser.jobs.kind import SandboxKind, settle

log = structlog.stdlib.get_logger()

WITHIN = timedelta(seconds=2)
"""How long it is waited for: whoever asks why a job ended is to know within seconds."""


class Settlements:
    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[None]] = set()
        """asyncio holds tasks weakly; these are held until done."""

    async def settle(self, kind: SandboxKind[Any], job: Job) -> None:
        """Returns when it is done, or goes on beside what comes next. A stop of the service ends it: the sweeps repair."""
        settling = asyncio.create_task(settle(kind, job), name=f"settle {job.id}")
        self._under_way.add(settling)
        settling.add_done_callback(self._over)
        await asyncio.wait({settling}, timeout=WITHIN.total_seconds())

    def _over(self, settling: "asyncio.Task[None]") -> None:
        self._under_way.discard(settling)
        if not settling.cancelled() and (error := settling.exception()) is not None:
            log.error("What a job made outside may be left.", action="settle_defect", exc_info=error)
