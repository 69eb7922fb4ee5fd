"""What tells one kind of job from another: how its launch is made, and how its end is read. Nothing else."""

from typing import Protocol

import structlog

from chaser.errors import Unavailable
from chaser.jobs.job import Job, Verdict
from chaser.sandboxes.ending import Ending
from chaser.sandboxes.spec import Launch, SandboxSpec

log = structlog.stdlib.get_logger()


class Kind(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def patient(self) -> bool:
        """Whether a next attempt waits for as long as the outside has asked for (a rate limit, say). One whose caller
        waits for the answer does not: better to fail soon."""
        ...

    def spec(self, job: Job) -> SandboxSpec:
        """The sandbox that the job needs. Raises `Refused` if it cannot be had any more (its profile is gone)."""
        ...

    async def launch(self, job: Job) -> Launch:
        """What to hand over, made when the sandbox is ready: the place for a call that must come late (a mint).

        Raises `Refused` or `Unavailable`; then nothing has been handed over.
        """
        ...

    async def settle(self, job: Job) -> None:
        """Undo what `launch` made outside, after the attempt has ended, however it ended. May run twice.

        Raises `Unavailable`; the caller logs it, and the sweeps repair.
        """
        ...

    def verdict(self, job: Job, ending: Ending) -> Verdict:
        """How the job ends; the caller adds to `result` what it measured (timings, byte counts, image)."""
        ...


async def settle(kind: Kind, job: Job) -> None:
    """`kind.settle`, where an outside that does not answer holds nothing up: its sweeps look again."""
    try:
        await kind.settle(job)
    except Unavailable as error:
        log.warning(
            "What the job made outside may be left; the sweeps look again.",
            action="settle_later",
            job_id=job.id,
            error=error.message,
        )
