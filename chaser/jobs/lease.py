"""Keeps this process's right to what it works on: a sign of life every few seconds, which also brings the ends that were
asked for through other processes. One that falls silent loses its jobs to the others, and its late writes take no effect."""

import asyncio
from collections.abc import Callable

import structlog

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.ids import JobId, WorkerId
from chaser.jobs.ports import HEARTBEAT, JobStore
from chaser.jobs.reason import Reason

log = structlog.stdlib.get_logger()


class Lease:
    """`stop_running` tells a run of this process to end; `held` is told what the store has as this worker's."""

    def __init__(
        self,
        store: JobStore,
        clock: Clock,
        worker: WorkerId,
        seat: str,
        *,
        stop_running: Callable[[JobId, Reason], None],
        held: Callable[[frozenset[JobId]], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._worker = worker
        self._seat = seat
        self._stop_running = stop_running
        self._held = held

    async def take(self) -> None:
        """Before any job is claimed. Raises `Unavailable`."""
        await self._store.join(self._worker, self._seat, self._clock.now())

    async def keep(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(HEARTBEAT.total_seconds())
            try:
                await self.beat()
            except Unavailable as error:
                log.warning("Cannot renew the lease.", action="lease_unrenewed", error=error.message)

    async def beat(self) -> None:
        beat = await self._store.heartbeat(self._worker, self._clock.now())
        for job_id, reason in beat.cancels.items():
            self._stop_running(job_id, reason)
        self._held(beat.holds)

    async def end(self) -> None:
        """What still runs is free to be taken over at once. Where the store is away, the lease runs out by itself."""
        try:
            await self._store.leave(self._worker, self._clock.now())
        except Unavailable as error:
            log.warning("Could not end the lease.", action="lease_left", error=error.message)
