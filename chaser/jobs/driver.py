"""Drives one claimed job to the next state of its row: to its end, or back to the queue.

A write that finds its row moved on ends the work. What was made goes only after the row says how it ended, so that a
crash in between leaves something to look at.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog

from chaser.clock import Clock
from chaser.errors import Refused, Unavailable
from chaser.jobs.attempt import Attempts, Lost, held
from chaser.jobs.completion import Completion
from chaser.jobs.insist import insist
from chaser.jobs.job import LIVE, Job, Retry, Status, Verdict
from chaser.jobs.kind import AnyKind, SandboxKind, ServiceKind
from chaser.jobs.ledger import Ledger
from chaser.jobs.ports import Claim, JobStore, Stay
from chaser.jobs.reason import Reason
from chaser.jobs.retry import backoff
from chaser.jobs.settlements import Settlements
from chaser.measures import Measure, Sort
from chaser.sandboxes.ending import Ending, Exited, NotBegun, Stopped, Vanished
from chaser.sandboxes.removals import Removals
from chaser.sandboxes.stop import Stop, StopRequested

log = structlog.stdlib.get_logger()

Outcome = Ending | NotBegun | Verdict | Refused | Unavailable
"""What an attempt came to: an end, or a reason for another attempt."""


class Driver:
    def __init__(
        self,
        kinds: Mapping[str, AnyKind],
        store: JobStore,
        attempts: Attempts,
        removals: Removals,
        completion: Completion,
        clock: Clock,
    ) -> None:
        self._kinds = kinds
        self._store = store
        self._attempts = attempts
        self._removals = removals
        self._completion = completion
        self._clock = clock
        self._settlements = Settlements()
        self._ends = Counter[tuple[str, Status, Reason | None]]()

    def measures(self) -> Sequence[Measure]:
        return (
            Measure(
                "chaser_job_ends_total",
                "Jobs that ended in this process, by kind, status and reason: docs/states.md says what to do about each.",
                Sort.COUNTER,
                {
                    (("kind", kind), ("status", status), ("reason", reason or "")): count
                    for (kind, status, reason), count in self._ends.items()
                },
            ),
        )

    async def drive(self, claim: Claim, stop: Stop, stay: Stay | None = None) -> None:
        """Work on a claim until its row has moved on; with `stay`, on a sandbox that another process has begun.

        Cancelling this leaves a sandbox that has been handed its launch as it is, to be taken over.
        """
        ledger = Ledger(claim.job, self._clock, self._clock.now())
        try:
            outcome = await self._outcome(claim, stop, stay, ledger)
            await insist(lambda: self._settle_row(claim, outcome, ledger))
        except Lost:
            log.warning("Somebody else works on this job; stopped.", action="job_lost", job_id=claim.job.id)
            if not ledger.handed_over or await insist(lambda: self._over(claim)):
                self._remove(ledger)
        except asyncio.CancelledError:
            if not ledger.handed_over:
                self._remove(ledger)
            raise
        else:
            self._remove(ledger)
        finally:
            self._completion.changed(claim.job.id)

    async def _over(self, claim: Claim) -> bool:
        """Whether nobody needs the attempt's sandbox any more: its end was written, by us with the answer lost, or by
        another."""
        job = await self._store.get(claim.job.id)
        return job is None or job.status not in LIVE or job.attempt != claim.attempt

    def _remove(self, ledger: Ledger) -> None:
        if ledger.sandbox_id is not None:
            self._removals.remove(ledger.sandbox_id)

    async def _outcome(self, claim: Claim, stop: Stop, stay: Stay | None, ledger: Ledger) -> Outcome:
        kind = self._kinds.get(claim.job.kind)
        try:
            match kind:
                case None:
                    return _unknown(claim.job.kind)
                case ServiceKind():
                    return await stop.guard(kind.perform(claim.job))
                case SandboxKind():
                    return await self._attempted(claim, kind, stop, stay, ledger)
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

    async def _attempted(
        self, claim: Claim, kind: SandboxKind[Any], stop: Stop, stay: Stay | None, ledger: Ledger
    ) -> Outcome:
        try:
            if stay is None:
                return await self._attempts.make(claim, kind, stop, ledger)
            return await self._attempts.take_over(claim, kind, stay, stop, ledger)
        finally:
            # What runs on when this service stops still needs what was made for it outside.
            if ledger.sandbox_id is not None and not (_stopping() and ledger.handed_over):
                await self._settlements.settle(kind, claim.job)

    async def _settle_row(self, claim: Claim, outcome: Outcome, ledger: Ledger) -> None:
        """Write the end, or the way back to the queue."""
        match outcome:
            case NotBegun(message=message):
                await self._again(claim, Reason.HOST_LOST, message, ledger)
            case Unavailable(reason=reason, message=message) if ledger.handed_over:
                await self._finish(claim, _failed(reason, message), ledger)
            case Unavailable(reason=reason, message=message, retry_after=retry_after):
                await self._again(claim, reason, message, ledger, self._asked_for(claim.job, retry_after))
            case Refused(reason=reason, message=message):
                await self._finish(claim, _failed(reason, message), ledger)
            case Verdict():
                await self._finish(claim, outcome, ledger)
            case Exited() | Stopped() | Vanished():
                await self._ended(claim, self._verdict(claim.job, outcome), ledger)

    def _verdict(self, job: Job, ending: Ending) -> Verdict:
        match self._kinds[job.kind], ending:
            case SandboxKind() as kind, _:
                return kind.verdict(job, ending)
            case _, Stopped(reason=reason, message=message):
                return Verdict(Status.CANCELLED, reason, message, {})
            case kind, _:
                raise TypeError(f"{kind.name} has no sandbox that could end")

    def _asked_for(self, job: Job, retry_after: float | None) -> timedelta:
        """How long the outside asks to wait, where the kind has the patience."""
        kind = self._kinds[job.kind]
        patient = isinstance(kind, SandboxKind) and kind.patient
        return timedelta(seconds=retry_after or 0) if patient else timedelta()

    async def _ended(self, claim: Claim, verdict: Verdict, ledger: Ledger) -> None:
        """To the verdict, unless the caller has asked for another run in such a case."""
        retry = _granted(claim.job, verdict)
        if retry is None:
            return await self._finish(claim, verdict, ledger)
        assert verdict.reason is not None
        pause = backoff(claim.job.retries + 1, retry.backoff, retry.backoff_most)
        message = f"{verdict.message or ''} It is run again, as its retry asks.".strip()
        return await self._requeue(claim, verdict.reason, message, pause, retried=True)

    async def _again(
        self, claim: Claim, reason: Reason, message: str, ledger: Ledger, at_least: timedelta = timedelta()
    ) -> None:
        """Back to the queue, if attempts are left; not before `at_least` where the outside has named a time."""
        if not claim.job.may_be_started_again:
            return await self._finish(claim, _failed(reason, message), ledger)
        if ledger.sandbox_id is not None:
            await self._attempts.cleared(ledger.sandbox_id)
        return await self._requeue(
            claim, reason, message, max(at_least, backoff(claim.attempt)), retried=False
        )

    async def _requeue(
        self, claim: Claim, reason: Reason, message: str, pause: timedelta, *, retried: bool
    ) -> None:
        now = self._clock.now()
        held(await self._store.requeue(claim, reason, message, now + pause, now, retried=retried))
        log.info(
            "An attempt has failed; the job is queued again.",
            action="job_requeued",
            job_id=claim.job.id,
            attempt=claim.attempt,
            reason=reason,
        )

    async def _finish(self, claim: Claim, verdict: Verdict, ledger: Ledger) -> None:
        now = self._clock.now()
        measured = ledger.result(now) if isinstance(self._kinds.get(claim.job.kind), SandboxKind) else {}
        whole = Verdict(verdict.status, verdict.reason, verdict.message, {**measured, **verdict.result})
        held(await self._store.finish(claim, whole, now))
        self._ends[claim.job.kind, verdict.status, verdict.reason] += 1
        log.info(
            "A job has ended.",
            action="job_ended",
            job_id=claim.job.id,
            status=verdict.status,
            reason=verdict.reason,
        )


def _granted(job: Job, verdict: Verdict) -> Retry | None:
    """The caller's wish for another run, if it covers this end and is not used up."""
    retry = job.retry
    if retry is None or verdict.status is not Status.FAILED or verdict.reason not in retry.on:
        return None
    return retry if job.retries < retry.most else None


def _stopping() -> bool:
    """Whether this task is being cancelled: the service lets go of it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _failed(reason: Reason, message: str) -> Verdict:
    return Verdict(Status.FAILED, reason, message, {"exit_code": None})


def _unknown(kind: str) -> Verdict:
    return _failed(
        Reason.INTERNAL_ERROR,
        f"This version of Chaser knows no kind {kind!r}; a newer one may have written this job.",
    )
