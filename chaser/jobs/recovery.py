"""After a start: what an earlier start of the service left behind on this engine is removed, and its jobs are ended
or queued again. Waits for the engine for as long as it is away: unreachable is not gone."""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.ids import WorkerId
from chaser.jobs.completion import Completion
from chaser.jobs.job import Job, Status, Verdict
from chaser.jobs.kind import Kind, settle
from chaser.jobs.ports import Claim, JobStore
from chaser.jobs.reason import Reason
from chaser.sandboxes.host import Host

log = structlog.stdlib.get_logger()

LOST = "The service was restarted while this ran; its sandbox was removed. Send it again if it may run twice."
NEVER = "The service was restarted before it began, and it had no attempt left; send it again."
AGAIN = "The service was restarted before this began; it is queued again."


class Recovery:
    def __init__(
        self,
        kinds: Mapping[str, Kind],
        store: JobStore,
        host: Host,
        completion: Completion,
        clock: Clock,
        worker: WorkerId,
        *,
        wake: Callable[[], None],
    ) -> None:
        self._kinds = kinds
        self._store = store
        self._host = host
        self._completion = completion
        self._clock = clock
        self._worker = worker
        self._wake = wake

    async def run(self) -> None:
        """Until all of it is done once."""
        pause = 0.2
        while True:
            try:
                return await self._sweep()
            except Unavailable as error:
                log.warning(
                    "Cannot look for what was left behind yet.", action="sweep_later", error=error.message
                )
            await asyncio.sleep(pause)
            pause = min(10.0, pause * 2)

    async def _sweep(self) -> None:
        engine_id = await self._host.engine_id()
        rows = await self._store.sandboxes_left(self._worker, engine_id)
        jobs = await self._store.left_behind(self._worker, engine_id)
        for row in rows:
            await self._host.removals.removed(row.id)
        for job in jobs:
            await self._settle(job)
        if rows or jobs:
            log.info(
                "Swept what an earlier start left behind.",
                action="swept",
                sandboxes=len(rows),
                jobs=len(jobs),
            )

    async def _settle(self, job: Job) -> None:
        kind = self._kinds.get(job.kind)
        if kind is not None and job.sandbox_id is not None:
            await settle(kind, job)
        claim, now = Claim(job, self._worker), self._clock.now()
        if job.handed_over_at is None and job.attempt < job.max_attempts:
            await self._store.requeue(claim, Reason.HOST_LOST, AGAIN, now, now)
        else:
            await self._store.finish(claim, _verdict(job), now)
        self._completion.changed(job.id)
        self._wake()


def _verdict(job: Job) -> Verdict:
    nothing: dict[str, object] = {"exit_code": None}
    if job.cancel_requested is not None:
        return Verdict(Status.CANCELLED, job.cancel_requested, None, nothing)
    message = NEVER if job.handed_over_at is None else LOST
    return Verdict(Status.FAILED, Reason.HOST_LOST, message, nothing)
