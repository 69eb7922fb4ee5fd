"""Takes due jobs from the queue as slots become free, and ends those whose wait is over.

It sleeps until it is woken (a job was written, a slot became free) or until the next job is due; a slow look lies
beneath both as the net.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from structlog.contextvars import bound_contextvars

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.ids import JobId, KeyId, WorkerId
from chaser.jobs.completion import Completion
from chaser.jobs.driver import Driver
from chaser.jobs.ports import Claim, JobStore
from chaser.jobs.reason import Reason
from chaser.sandboxes.stop import Stop

log = structlog.stdlib.get_logger()

NET = timedelta(seconds=30)
"""The longest sleep."""
STORE_AWAY = timedelta(seconds=1)
HELD = timedelta(seconds=5)
"""The longest sleep while no new job may start: nothing tells of room on a disk."""

CANCEL_MESSAGES = {
    Reason.CLIENT_GONE: "The client closed its connection; send `Prefer: respond-async` for a run that outlives it.",
    Reason.CANCELLED_BY_GITHUB: "GitHub cancelled the workflow job.",
}


@dataclass(frozen=True, slots=True)
class Running:
    task: "asyncio.Task[None]"
    stop: Stop
    key_id: KeyId | None
    cap: int | None
    """How many jobs its key may have running; none: as many as there are slots."""


class Dispatcher:
    def __init__(
        self,
        store: JobStore,
        driver: Driver,
        completion: Completion,
        clock: Clock,
        worker: WorkerId,
        *,
        max_running: int,
        cap_of: Callable[[KeyId], Awaitable[int | None]],
        held: Callable[[], str | None],
    ) -> None:
        """`held` says why no new job may start now (a full disk), none if nothing is in the way."""
        self._store = store
        self._driver = driver
        self._completion = completion
        self._clock = clock
        self._worker = worker
        self._max_running = max_running
        self._cap_of = cap_of
        self._held = held
        self._running: dict[JobId, Running] = {}
        self._early_stops: dict[JobId, Reason] = {}
        self._awake = asyncio.Event()
        self._look = True
        """Whether a due job may be waiting; false once a claim has found none."""
        self._stopping = False

    def wake(self) -> None:
        """A job was written, or may have become due: look at the queue."""
        self._look = True
        self._awake.set()

    def stop_running(self, job_id: JobId, reason: Reason) -> None:
        """Tell a run of this process to end. One that is being claimed at this moment is told when it starts."""
        running = self._running.get(job_id)
        if running is None:
            self._early_stops[job_id] = reason
        else:
            _request(running.stop, reason)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._awake.clear()
            try:
                pause = await self._round()
            except Unavailable as error:
                log.warning("The store does not answer.", action="store_away", error=error.message)
                pause = STORE_AWAY
            try:
                async with asyncio.timeout(pause.total_seconds()):
                    await self._awake.wait()
            except TimeoutError:
                self._look = True

    async def stop(self) -> None:
        """Take no more; let go of what runs: it goes on in its sandbox."""
        self._stopping = True
        tasks = [running.task for running in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _round(self) -> timedelta:
        """Expire and claim all that is due; returns how long there is nothing to do unless woken."""
        # What becomes due while this looks must not fall between the claim and the question for the next.
        began = self._clock.now()
        held = self._held() if self._look else None
        if self._look:
            for job_id in await self._store.expire(began):
                self._completion.changed(job_id)
        if held is not None:
            log.warning("No new job starts.", action="held", why=held)
        elif self._look and not self._stopping:
            await self._fill()
        longest = NET if held is None else HELD
        due = await self._store.next_due(began)
        if due is None:
            return longest
        return min(longest, max(timedelta(milliseconds=10), due - self._clock.now()))

    async def _fill(self) -> None:
        while len(self._running) < self._max_running:
            self._early_stops.clear()
            # Before the claim, so that a job written meanwhile is looked for again. A paused key's jobs wait for an end.
            paused = self._paused_keys()
            self._look = bool(paused)
            claim = await self._store.claim(self._worker, self._clock.now(), paused)
            if claim is None:
                return
            self._look = True
            await self._begin(claim)

    async def _begin(self, claim: Claim) -> None:
        job = claim.job
        stop = Stop()
        if (reason := self._early_stops.pop(job.id, job.cancel_requested)) is not None:
            _request(stop, reason)
        task = asyncio.create_task(self._drive(claim, stop), name=f"job {job.id}")
        self._running[job.id] = Running(task, stop, job.key_id, None)
        self._completion.changed(job.id)
        if job.key_id is not None:
            cap = await self._cap_of(job.key_id)
            if job.id in self._running:
                self._running[job.id] = Running(task, stop, job.key_id, cap)

    async def _drive(self, claim: Claim, stop: Stop) -> None:
        try:
            with bound_contextvars(job_id=claim.job.id):
                await self._driver.drive(claim, stop)
        finally:
            del self._running[claim.job.id]
            # Not `wake`: where all that is due has been claimed, only the next due time is asked for.
            self._awake.set()

    def _paused_keys(self) -> frozenset[KeyId]:
        """The keys that have as many jobs running as they may."""
        counts: dict[KeyId, int] = {}
        caps: dict[KeyId, int] = {}
        for running in self._running.values():
            if running.key_id is not None and running.cap is not None:
                counts[running.key_id] = counts.get(running.key_id, 0) + 1
                caps[running.key_id] = running.cap
        return frozenset(key for key, count in counts.items() if count >= caps[key])


def _request(stop: Stop, reason: Reason) -> None:
    stop.request(reason, CANCEL_MESSAGES.get(reason, "It was cancelled by request."))
