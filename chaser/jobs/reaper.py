"""Looks, every few seconds, for what nobody looks after: jobs whose worker is silent, sandboxes of no job, leashes that
ran out. A job whose sandbox lives on is taken over; one that had not begun goes back to the queue.

Only a process that is attached to a sandbox's engine takes it over or calls it gone: unreachable is not gone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.ids import JobId, WorkerId
from chaser.jobs.completion import Completion
from chaser.jobs.insist import insist
from chaser.jobs.intake import Intake
from chaser.jobs.job import LIVE, Job, Status, Verdict
from chaser.jobs.kind import AnyKind, SandboxKind, settle
from chaser.jobs.ports import REAP, Claim, JobStore, Stay
from chaser.jobs.reason import Reason
from chaser.sandboxes.host import Host

log = structlog.stdlib.get_logger()

NEVER = "The service ended before this began, and it had no attempt left; send it again."
AGAIN = "The service ended before this began; it is queued again."
REMOVED_WITHIN = timedelta(seconds=30)
"""How long the others wait for one sandbox that does not go; it is looked at again later."""
OUT_OF_REACH = "No service that is attached to its engine has answered for {0:g} minutes; start one there, or send it again."


class Reaper:
    def __init__(
        self,
        kinds: Mapping[str, AnyKind],
        store: JobStore,
        host: Host,
        intake: Intake,
        completion: Completion,
        clock: Clock,
        worker: WorkerId,
        *,
        resume: Callable[[Claim, Stay], None],
        driven: Callable[[], Collection[JobId]],
        host_lost_after: timedelta,
    ) -> None:
        """`resume` drives a claim that was taken over, `driven` are those that this process drives; `host_lost_after` is
        how long an engine may have no service."""
        self._kinds = kinds
        self._store = store
        self._host = host
        self._intake = intake
        self._completion = completion
        self._clock = clock
        self._worker = worker
        self._resume = resume
        self._driven = driven
        self._host_lost_after = host_lost_after
        self._undriven: frozenset[JobId] = frozenset()
        self._suspects: frozenset[tuple[JobId, int]] = frozenset()
        """Attempts that the last look found to be this worker's own, and driven by nobody."""
        self._in_hand: set[JobId] = set()
        """Jobs that are on their way back to the queue."""

    def held(self, jobs: frozenset[JobId]) -> None:
        """What this worker holds by the store's word, which may be more than it knows: the answer to a claim, or to a
        take-over, may have got lost."""
        self._undriven = jobs.difference(self._driven(), self._in_hand)

    async def watch(self) -> None:
        """Until cancelled; the first look is at once."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                log.warning(
                    "Cannot look for what was left behind yet.", action="reap_later", error=error.message
                )
            await asyncio.sleep(REAP.total_seconds())

    async def look(self) -> None:
        """Once, at all of it. Raises `Unavailable`; what could not be looked at is looked at the next time."""
        await self._unleashed()
        engine_id = await self._host.engine_id()
        # First: one that was preparing a volume for a job keeps that from going.
        await self._clear_away(engine_id)
        silent = await self._store.left_behind(engine_id, self._clock.now())
        strays = await self._strays()
        async with asyncio.TaskGroup() as together:
            for job in silent:
                together.create_task(self._unless_away(self._left_behind(job), job.id))
            for claim in strays:
                together.create_task(self._unless_away(self._look_after(claim), claim.job.id))
        await self._out_of_reach(engine_id)

    async def _clear_away(self, engine_id: str) -> None:
        removals = self._host.removals
        for row in await self._store.sandboxes_left(engine_id, self._clock.now()):
            if row.id not in removals.under_way:
                log.info("Removing a sandbox that was left behind.", action="left_behind", sandbox_id=row.id)
                removals.remove(row.id)

    async def _unleashed(self) -> None:
        for job_id in await self._store.unleashed(self._clock.now()):
            await self._intake.cancel(job_id, Reason.CLIENT_GONE)

    async def _strays(self) -> Sequence[Claim]:
        """Claims of this worker's own that nothing here knows of. Two looks must find them so: one may be on its way."""
        found: list[Job] = []
        for job_id in self._undriven.difference(self._driven(), self._in_hand):
            job = await self._store.get(job_id)
            if job is not None and job.status in LIVE and job.worker == self._worker:
                found.append(job)
        seen, self._suspects = self._suspects, frozenset((job.id, job.attempt) for job in found)
        strays = [job for job in found if (job.id, job.attempt) in seen and job.id not in self._driven()]
        return [Claim(job, self._worker) for job in strays]

    async def _unless_away(self, work: Awaitable[None], job_id: JobId) -> None:
        try:
            await work
        except Unavailable as error:
            log.warning(
                "Cannot take a job over yet.", action="reap_later", job_id=job_id, error=error.message
            )

    async def _left_behind(self, job: Job) -> None:
        claim = await self._store.take_over(job, self._worker)
        if claim is not None:  # else another was quicker, or it has ended meanwhile
            await self._look_after(claim)

    async def _look_after(self, claim: Claim) -> None:
        """Raises `Unavailable`; then it is found again, as this worker's own."""
        job = claim.job
        stay = None if job.sandbox_id is None else await self._store.stay(job.sandbox_id)
        if stay is not None and job.handed_over_at is not None:
            log.info("Taking over a job that has begun.", action="taken_over", job_id=job.id)
            self._resume(claim, stay)
            return
        self._in_hand.add(job.id)
        try:
            async with asyncio.timeout(REMOVED_WITHIN.total_seconds()):
                await self._not_begun(claim)
        except TimeoutError:
            if job.sandbox_id is not None:
                self._host.removals.remove(job.sandbox_id)
        finally:
            self._in_hand.discard(job.id)

    async def _not_begun(self, claim: Claim) -> None:
        """Nothing of it has run: what was made for it goes, and it is queued again, its attempt counted."""
        job = claim.job
        kind = self._kinds.get(job.kind)
        if job.sandbox_id is not None:
            if isinstance(kind, SandboxKind):
                await settle(kind, job)
            await self._host.removals.removed(job.sandbox_id)
        now = self._clock.now()
        if job.may_be_started_again:
            await self._store.requeue(claim, Reason.HOST_LOST, AGAIN, now, now)
        else:
            await self._store.finish(claim, _lost(job, NEVER), now)
        self._completion.changed(job.id)
        self._intake.awaken()

    async def _out_of_reach(self, engine_id: str) -> None:
        """Jobs on engines that have had no service for too long: they end, and whoever comes back there cleans up."""
        now = self._clock.now()
        for job in await self._store.out_of_reach(engine_id, now - self._host_lost_after, now):
            claim = await self._store.take_over(job, self._worker)
            if claim is not None:
                message = OUT_OF_REACH.format(self._host_lost_after / timedelta(minutes=1))
                verdict = _lost(job, message)
                await insist(lambda claim=claim, verdict=verdict: self._store.finish(claim, verdict, now))
                self._completion.changed(job.id)


def _lost(job: Job, message: str) -> Verdict:
    nothing: dict[str, Any] = {"exit_code": None}
    if job.cancel_requested is not None:
        return Verdict(Status.CANCELLED, job.cancel_requested, None, nothing)
    return Verdict(Status.FAILED, Reason.HOST_LOST, message, nothing)
