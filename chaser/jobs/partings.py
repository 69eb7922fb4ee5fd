"""Tells runs to end: at once, or when their kind has cleared that with the outside, which may have other work for them."""

import asyncio
from collections.abc import Mapping

import structlog

from chaser.ids import JobId
from chaser.jobs.completion import Completion
from chaser.jobs.insist import insist
from chaser.jobs.kind import AnyKind, InputT, SandboxKind
from chaser.jobs.ports import Claim, JobStore
from chaser.jobs.reason import Reason
from chaser.sandboxes.stop import Stop

log = structlog.stdlib.get_logger()

MESSAGES = {
    Reason.CLIENT_GONE: "The client closed its connection; send `Prefer: respond-async` for a run that outlives it.",
    Reason.CANCELLED_BY_GITHUB: "GitHub cancelled the workflow job.",
    Reason.RUNNER_NOT_ONLINE: (
        "The runner did not listen for jobs in time: read its log, and see that sandboxes reach GitHub."
    ),
    Reason.RUNNER_WITHOUT_JOB: "The runner listened for jobs, and GitHub gave it none in time.",
    Reason.RUNNER_UNKNOWN: "The runner went on, though GitHub no longer knew it.",
    Reason.RUNNER_OFFLINE: "The runner went on, though GitHub heard of it no more.",
    Reason.RUNNER_IDLE: "The runner went on after its job had ended at GitHub.",
}


class Partings:
    def __init__(self, kinds: Mapping[str, AnyKind], store: JobStore, completion: Completion) -> None:
        self._kinds = kinds
        self._store = store
        self._completion = completion
        self._asking: dict[JobId, asyncio.Task[None]] = {}

    def part(self, claim: Claim, stop: Stop, reason: Reason) -> None:
        """Its end was asked for. Asked for again while the outside is being asked, it changes nothing."""
        kind = self._kinds.get(claim.job.kind)
        if not isinstance(kind, SandboxKind) or reason not in kind.asks_first:
            _request(stop, reason)
        elif claim.job.id not in self._asking:
            asking = self._ask_first(claim, kind, stop, reason)
            self._asking[claim.job.id] = asyncio.create_task(asking, name=f"part {claim.job.id}")

    def over(self, job_id: JobId) -> None:
        """The run has ended, or another process goes on with it."""
        asking = self._asking.pop(job_id, None)
        if asking is not None:
            asking.cancel()

    async def _ask_first(self, claim: Claim, kind: SandboxKind[InputT], stop: Stop, reason: Reason) -> None:
        if await insist(lambda: kind.release(claim.job)):
            _request(stop, reason)
            return
        await insist(lambda: self._store.spare(claim, reason))
        log.info(
            "It has other work by now; its end is not asked for any more.",
            action="spared",
            job_id=claim.job.id,
            reason=reason,
        )
        self._asking.pop(claim.job.id, None)
        self._completion.changed(claim.job.id)


def _request(stop: Stop, reason: Reason) -> None:
    stop.request(reason, MESSAGES.get(reason, "It was cancelled by request."))
