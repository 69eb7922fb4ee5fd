"""The one way into the queue: write the row, then tell the dispatcher."""

from collections.abc import Callable, Sequence
from datetime import datetime

from chaser.clock import Clock
from chaser.ids import JobId
from chaser.jobs.completion import Completion
from chaser.jobs.job import Job, NewJob
from chaser.jobs.ports import Created, Enqueued, JobStore
from chaser.jobs.reason import Reason


class Intake:
    def __init__(
        self,
        store: JobStore,
        completion: Completion,
        clock: Clock,
        *,
        wake: Callable[[], None],
        expect: Callable[[datetime], None],
        stop_running: Callable[[JobId, Reason], None],
    ) -> None:
        self._store = store
        self._completion = completion
        self._clock = clock
        self._wake = wake
        self._expect = expect
        self._stop_running = stop_running

    async def submit(self, new: NewJob) -> Enqueued:
        """Accept a job: when this returns it is on disk."""
        enqueued = await self._store.enqueue(new)
        self._tell([enqueued])
        return enqueued

    async def submit_all(self, new: Sequence[NewJob]) -> Sequence[Enqueued]:
        """Accept all or none: where one is a `Conflict`, only that is returned."""
        enqueued = await self._store.enqueue_all(new)
        self._tell(enqueued)
        return enqueued

    async def cancel(self, job_id: JobId, reason: Reason) -> Job | None:
        """Ask for a job's end. What runs is told at once; none: there is no such job."""
        job = await self._store.request_cancel(job_id, reason, self._clock.now())
        if job is not None:
            self.cancelled(job_id, reason)
        return job

    def cancelled(self, job_id: JobId, reason: Reason) -> None:
        """Its end was asked for, and that is on disk, whoever wrote it."""
        self._stop_running(job_id, reason)
        self._completion.changed(job_id)
        # Whoever stood behind it in a line may be ready now.
        self._wake()

    def _tell(self, enqueued: Sequence[Enqueued]) -> None:
        """What cannot start yet is no reason to look for what can: of many jobs that are scheduled, each would cost a claim."""
        made = [each.job for each in enqueued if isinstance(each, Created)]
        if any(job.ready for job in made):
            self._wake()
        for job in made:
            if not job.ready:
                self._expect(job.run_at if job.queue_until is None else min(job.run_at, job.queue_until))

    def awaken(self) -> None:
        """Rows were written by another way in (the webhook's inbox): look at the queue now."""
        self._wake()
