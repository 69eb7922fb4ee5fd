"""Drives one claimed job to the next state of its row: through a sandbox to its end, or back to the queue.

Each side effect lies between two writes: the sandbox is named before it is made, the hand-over is noted before it is
sent. A write that finds its row moved on ends the work and removes what was made.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import structlog

from chaser.clock import Clock
from chaser.errors import Refused, Unavailable
from chaser.ids import new_sandbox_id
from chaser.jobs.completion import Completion
from chaser.jobs.job import Job, Status, Verdict
from chaser.jobs.kind import Kind, settle
from chaser.jobs.ledger import Ledger
from chaser.jobs.ports import Claim, Fence, Frame, JobStore, LogStore, SandboxRow
from chaser.jobs.reason import Reason
from chaser.jobs.retry import backoff
from chaser.sandboxes.ending import Ending, NotBegun
from chaser.sandboxes.host import Host
from chaser.sandboxes.launcher import Prepared
from chaser.sandboxes.output import Output, OutputLimits
from chaser.sandboxes.spec import Launch, SandboxSpec
from chaser.sandboxes.stop import Stop, StopRequested

log = structlog.stdlib.get_logger()
T = TypeVar("T")

CLEAR = timedelta(seconds=5)
"""How long an attempt waits for its sandbox to be gone before the job is queued again."""


Outcome = Ending | NotBegun | Refused | Unavailable
"""What an attempt came to: an end, or a reason for another attempt."""


class Lost(Exception):  # not an error: it unwinds an attempt
    """Another attempt holds the row."""


class Driver:
    def __init__(
        self,
        kinds: Mapping[str, Kind],
        store: JobStore,
        logs: LogStore,
        host: Host,
        completion: Completion,
        clock: Clock,
        output_limits: OutputLimits,
        spool: Path,
    ) -> None:
        """`spool` is a folder for output that waits for the store."""
        self._kinds = kinds
        self._store = store
        self._logs = logs
        self._host = host
        self._completion = completion
        self._clock = clock
        self._output_limits = output_limits
        self._spool = spool

    async def drive(self, claim: Claim, stop: Stop) -> None:
        """Work on a claim until its row has moved on. Cancelling this leaves a sandbox that has begun running."""
        ledger = Ledger(claim.job, self._clock, self._clock.now())
        kind = self._kinds.get(claim.job.kind)
        try:
            if kind is None:
                await self._insist(lambda: self._finish(claim, _unknown(claim.job.kind), ledger))
            else:
                outcome = await self._outcome(claim, kind, stop, ledger)
                await self._insist(lambda: self._settle_row(claim, kind, outcome, ledger))
        except Lost:
            log.warning("Another attempt holds this job; stopped.", action="job_lost", job_id=claim.job.id)
        finally:
            self._completion.changed(claim.job.id)

    async def _outcome(self, claim: Claim, kind: Kind, stop: Stop, ledger: Ledger) -> Outcome:
        try:
            return await self._attempt(claim, kind, stop, ledger)
        except StopRequested as request:
            return request.stopped
        except (Refused, Unavailable) as error:
            return error
        except Lost:
            raise
        except Exception:  # a defect must end this job with a reason, and no other
            log.exception("A defect ended this job.", action="job_defect", job_id=claim.job.id)
            return Refused(
                Reason.INTERNAL_ERROR, "A defect in Chaser ended this job; its log has the details."
            )

    async def _attempt(self, claim: Claim, kind: Kind, stop: Stop, ledger: Ledger) -> Ending | NotBegun:
        spec = kind.spec(claim.job)
        prepared = await stop.guard(self._prepare(claim, spec, ledger))
        handed_over = False
        try:
            launch = await stop.guard(kind.launch(claim.job))
            self._hold(await self._store.hand_over(claim, self._clock.now()))
            handed_over = True
            return await self._run(claim, prepared, spec, launch, stop, ledger)
        finally:
            await self._leave(claim.job, kind, prepared, began=handed_over)

    async def _prepare(self, claim: Claim, spec: SandboxSpec, ledger: Ledger) -> Prepared:
        at = self._clock.monotonic()
        ledger.image = await self._host.images.ensure(spec.image, spec.pull, spec.registries)
        ledger.pull_ms = ledger.since(at)
        at = self._clock.monotonic()
        network = await self._host.networks.named(spec.network)
        now = self._clock.now()
        row = SandboxRow(
            new_sandbox_id(now), claim.job.id, claim.attempt, claim.worker, await self._host.engine_id(), now
        )
        self._hold(await self._store.name_sandbox(claim, row))
        ledger.sandbox_id = row.id
        try:
            prepared = await self._host.launcher.prepare(row.id, spec, ledger.image, network)
        except BaseException:  # a cancel too: what was named is removed, whether it was made or not
            self._host.removals.remove(row.id)
            raise
        ledger.prepare_ms = ledger.since(at)
        return prepared

    async def _run(
        self,
        claim: Claim,
        prepared: Prepared,
        spec: SandboxSpec,
        launch: Launch,
        stop: Stop,
        ledger: Ledger,
    ) -> Ending | NotBegun:
        handed_over = begun_at = self._clock.monotonic()

        async def begun() -> None:
            nonlocal begun_at
            begun_at = self._clock.monotonic()
            ledger.start_ms = round((begun_at - handed_over) * 1000)
            now = self._clock.now()
            self._hold(await self._insist(lambda: self._store.begin(claim, now)))
            self._completion.changed(claim.job.id)

        output = self._output(claim, launch, stop)
        disk = self._host.disk_watch(prepared.container, spec, stop)
        try:
            ending = await self._host.launcher.run(prepared, launch, output, stop, begun)
            ledger.run_ms = ledger.since(begun_at)
            await output.close()
        finally:
            if disk is not None:
                disk.cancel()
            output.abandon()
        ledger.output_bytes = output.total_bytes
        return ending

    def _output(self, claim: Claim, launch: Launch, stop: Stop) -> Output:
        async def append(frames: Sequence[Frame]) -> Fence:
            fence = await self._logs.append(claim, frames)
            self._completion.changed(claim.job.id)
            return fence

        limit = self._output_limits.kill_bytes
        flood = f"It printed more than the {limit} bytes that a run may print, and was killed."
        return Output(
            self._output_limits,
            launch.masked,
            self._clock,
            append,
            self._spool,
            on_flood=lambda: stop.request(Reason.OUTPUT_LIMIT, flood),
            on_lost=lambda: stop.request(Reason.HOST_LOST, "Another attempt holds this job."),
        )

    async def _leave(self, job: Job, kind: Kind, prepared: Prepared, *, began: bool) -> None:
        """After an attempt, however it ended. A service that is stopping leaves a sandbox that has begun alone."""
        stopping = asyncio.current_task()
        if stopping is not None and stopping.cancelling() and began:
            prepared.attachment.close()
            return
        prepared.attachment.close()
        self._host.removals.remove(prepared.id)
        await settle(kind, job)

    async def _settle_row(self, claim: Claim, kind: Kind, outcome: Outcome, ledger: Ledger) -> None:
        """Write the end, or the way back to the queue."""
        match outcome:
            case NotBegun(message=message):
                await self._again(claim, Reason.HOST_LOST, message, ledger)
            case Unavailable(reason=reason, message=message, retry_after=retry_after):
                asked = timedelta(seconds=retry_after or 0) if kind.patient else timedelta()
                await self._again(claim, reason, message, ledger, asked)
            case Refused(reason=reason, message=message):
                await self._finish(
                    claim, Verdict(Status.FAILED, reason, message, {"exit_code": None}), ledger
                )
            case ending:
                await self._finish(claim, kind.verdict(claim.job, ending), ledger)

    async def _again(
        self, claim: Claim, reason: Reason, message: str, ledger: Ledger, at_least: timedelta = timedelta()
    ) -> None:
        """Back to the queue, if attempts are left; not before `at_least` where the outside has named a time."""
        if claim.attempt >= claim.job.max_attempts:
            verdict = Verdict(Status.FAILED, reason, message, {"exit_code": None})
            return await self._finish(claim, verdict, ledger)
        await self._clear(ledger)
        now = self._clock.now()
        log.info(
            "An attempt failed before its command began; the job is queued again.",
            action="job_requeued",
            job_id=claim.job.id,
            attempt=claim.attempt,
            reason=reason,
        )
        self._hold(
            await self._store.requeue(
                claim, reason, message, now + max(at_least, backoff(claim.attempt)), now
            )
        )
        return None

    async def _clear(self, ledger: Ledger) -> None:
        """The next attempt gets no sandbox before this one's is gone. An engine that is away is not waited for."""
        if ledger.sandbox_id is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLEAR.total_seconds()):
                await self._host.removals.removed(ledger.sandbox_id)

    async def _finish(self, claim: Claim, verdict: Verdict, ledger: Ledger) -> None:
        now = self._clock.now()
        result = {**ledger.result(now), **verdict.result}
        whole = Verdict(verdict.status, verdict.reason, verdict.message, result)
        self._hold(await self._store.finish(claim, whole, now))
        log.info(
            "A job has ended.",
            action="job_ended",
            job_id=claim.job.id,
            status=verdict.status,
            reason=verdict.reason,
        )

    def _hold(self, fence: Fence) -> None:
        if fence is Fence.LOST:
            raise Lost

    async def _insist(self, work: Callable[[], Awaitable[T]]) -> T:
        """Until the store answers: what has happened must be written."""
        pause = 0.1
        while True:
            try:
                return await work()
            except Unavailable as error:
                log.warning("The store does not answer.", action="store_away", error=error.message)
            await asyncio.sleep(pause)
            pause = min(5.0, pause * 2)


def _unknown(kind: str) -> Verdict:
    message = f"This version of Chaser knows no kind {kind!r}; a newer one may have written this job."
    return Verdict(Status.FAILED, Reason.INTERNAL_ERROR, message, {"exit_code": None})
