"""Takes ready jobs from the queue as slots become free, makes ready those whose time has come, and ends those whose wait
is over.

It sleeps until it is woken (a job was written, a slot became free) or until the next job is due; a slow look lies
beneath both as the net.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog
from structlog.contextvars import bound_contextvars

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.ids import JobId, KeyId, WorkerId
from chaser.jobs.caps import Caps, Share
from chaser.jobs.completion import Completion
from chaser.jobs.driver import Driver
from chaser.jobs.job import Job
from chaser.jobs.partings import Partings
from chaser.jobs.ports import FREE, Claim, Full, JobStore, Stay
from chaser.jobs.reason import Reason
from chaser.measures import Measure, Sort
from chaser.sandboxes.stop import Stop

log = structlog.stdlib.get_logger()

NET = timedelta(seconds=30)
"""The longest sleep."""
SERVICE_SLOTS = 16
"""Jobs that need no sandbox, at once, where every sandbox's slot is taken: what they do (delete a workspace, write into one)
is not to wait for builds."""
STORE_AWAY = timedelta(seconds=1)
AT_ONCE = datetime.min.replace(tzinfo=UTC)
HELD = timedelta(seconds=5)
"""The longest sleep while no new job may start: nothing tells of room on a disk."""


@dataclass(frozen=True, slots=True)
class Running:
    task: "asyncio.Task[None]"
    claim: Claim
    stop: Stop
    share: Share


@dataclass(frozen=True, slots=True)
class _Room:
    """How many jobs may start at once, none of them of what is full."""

    full: Full
    most: int


class Dispatcher:
    def __init__(
        self,
        store: JobStore,
        driver: Driver,
        partings: Partings,
        completion: Completion,
        clock: Clock,
        worker: WorkerId,
        *,
        max_running: int,
        caps: Caps,
        cap_of: Callable[[KeyId], Awaitable[int | None]],
        held: Callable[[], str | None],
    ) -> None:
        """`held` says why no new job may start now (a full disk), none if nothing is in the way."""
        self._store = store
        self._driver = driver
        self._partings = partings
        self._completion = completion
        self._clock = clock
        self._worker = worker
        self._max_running = max_running
        self._caps = caps
        self._cap_of = cap_of
        self._held = held
        self._running: dict[JobId, Running] = {}
        self._early_stops: dict[JobId, Reason] = {}
        self._awake = asyncio.Event()
        self._look = True
        """Whether a ready job may be waiting; false once a claim has found none."""
        self._due: datetime | None = AT_ONCE
        """When the next job becomes due or has waited too long, as far as known; at first, whatever lies there."""
        self._stopping = False

    def wake(self) -> None:
        """A job was written, or may have become due: look at the queue."""
        self._look = True
        self._awake.set()

    def expect(self, at: datetime) -> None:
        """A job was written that becomes due, or has waited too long, at this moment."""
        if self._due is None or at < self._due:
            self._due = at
            self._awake.set()

    def stop_running(self, job_id: JobId, reason: Reason) -> None:
        """Tell a run of this process to end. One that is being claimed at this moment is told when it starts."""
        running = self._running.get(job_id)
        if running is None:
            self._early_stops[job_id] = reason
        else:
            self._partings.part(running.claim, running.stop, reason)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._awake.clear()
            try:
                pause = await self._round()
            except Unavailable as error:
                log.warning("The store does not answer.", action="store_away", error=error.message)
                pause, self._due = STORE_AWAY, AT_ONCE
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

    @property
    def busy(self) -> "frozenset[asyncio.Task[None]]":
        """The work under way."""
        return frozenset(running.task for running in self._running.values())

    def driven(self) -> frozenset[JobId]:
        """The jobs that this process works on."""
        return frozenset(self._running)

    def measures(self) -> Sequence[Measure]:
        return (
            *self._driver.measures(),
            Measure(
                "chaser_slots",
                "Sandboxes that this process runs at most: limits.max_running.",
                Sort.GAUGE,
                {(): self._max_running},
            ),
            Measure(
                "chaser_slots_taken",
                "Of these, how many are in use. It may be more for a while after jobs were taken over.",
                Sort.GAUGE,
                {(): self._housed()},
            ),
        )

    def resume(self, claim: Claim, stay: Stay) -> None:
        """Drive a job that was taken over, beside those of this process's own, whatever their number."""
        if not self._stopping:
            self._start(claim, stay)

    async def _round(self) -> timedelta:
        """Promote, expire and claim all that is due; returns how long there is nothing to do unless woken."""
        # What becomes due while this looks must not fall between the claim and the question for the next.
        began = self._clock.now()
        held = self._held() if self._look else None
        await self._turn_of_time(began)
        if held is not None:
            log.warning("No new job starts.", action="held", why=held)
        elif self._look and not self._stopping:
            await self._fill()
        longest = NET if held is None else HELD
        # What is written from here on says so itself.
        self._due = None
        due = await self._store.next_due(began)
        self._due = min((at for at in (due, self._due) if at is not None), default=None)
        if self._due is None:
            return longest
        return min(longest, max(timedelta(milliseconds=10), self._due - self._clock.now()))

    async def _turn_of_time(self, now: datetime) -> None:
        """What the clock alone changes."""
        if self._due is None or self._due > now:
            return
        for job_id in await self._store.expire(now):
            self._completion.changed(job_id)
        if await self._store.promote(now):
            self._look = True

    async def _fill(self) -> None:
        while (room := self._room()).most:
            self._early_stops.clear()
            # Before the claim, so that a job written meanwhile is looked for again. What is full waits for an end.
            self._look = room.full != FREE
            claims = await self._store.claim(self._worker, self._clock.now(), room.full, room.most)
            if not claims:
                return
            self._look = True
            for claim in claims:
                self._start(claim, None)
            for claim in claims:
                await self._learn_cap(claim.job)

    def _start(self, claim: Claim, stay: Stay | None) -> None:
        job = claim.job
        stop = Stop()
        if (reason := self._early_stops.pop(job.id, job.cancel_requested)) is not None:
            self._partings.part(claim, stop, reason)
        task = asyncio.create_task(self._drive(claim, stop, stay), name=f"job {job.id}")
        self._running[job.id] = Running(task, claim, stop, Share.of(job))
        self._completion.changed(job.id)

    async def _learn_cap(self, job: Job) -> None:
        if job.key_id is None:
            return
        cap = await self._cap_of(job.key_id)
        if job.id in self._running:
            running = self._running[job.id]
            self._running[job.id] = replace(running, share=replace(running.share, key_cap=cap))

    async def _drive(self, claim: Claim, stop: Stop, stay: Stay | None) -> None:
        try:
            with bound_contextvars(job_id=claim.job.id):
                await self._driver.drive(claim, stop, stay)
        finally:
            self._partings.over(claim.job.id)
            del self._running[claim.job.id]
            # An end may have made the next in a line ready.
            self._look = self._look or claim.job.waits_in_line
            # Not `wake`: where all that is ready has been claimed, only the next due time is asked for.
            self._awake.set()

    def _room(self) -> _Room:
        running, housed = [each.share for each in self._running.values()], self._housed()
        slots = housed >= self._max_running
        free = SERVICE_SLOTS - (len(running) - housed) if slots else self._max_running - housed
        most = min(free, self._max_running + SERVICE_SLOTS - len(running))
        full = self._caps.full(running, slots=slots)
        return _Room(full, min(most, 1) if self._caps.one_by_one else most)

    def _housed(self) -> int:
        """How many run in sandboxes."""
        return sum(each.share.profile is not None for each in self._running.values())
