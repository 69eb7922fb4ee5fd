"""What the queue needs of the outside: declared here, by the one who uses it; `chaser.store` implements it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from chaser.ids import JobId, KeyId, SandboxId, WorkerId
from chaser.jobs.job import Job, NewJob, Status, Verdict
from chaser.jobs.reason import Reason


@dataclass(frozen=True, slots=True)
class Created:
    job: Job


@dataclass(frozen=True, slots=True)
class Replayed:
    """The idempotency key, or the origin, is known already, with the same body: this is that job."""

    job: Job


@dataclass(frozen=True, slots=True)
class Conflict:
    """The idempotency key is known already, with another body."""

    job: Job


Enqueued = Created | Replayed | Conflict


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a job, until somebody else's attempt begins. Every later write names it."""

    job: Job
    worker: WorkerId

    @property
    def attempt(self) -> int:
        return self.job.attempt


class Fence(StrEnum):
    """Whether a fenced write took effect."""

    HELD = "held"
    LOST = "lost"
    """The row has moved on without this attempt: stop, and remove what was made."""


@dataclass(frozen=True, slots=True)
class SandboxRow:
    """A sandbox that was named before it was made. `worker` is the start of the service that made it."""

    id: SandboxId
    job_id: JobId
    attempt: int
    worker: WorkerId
    engine_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list. `before` is the id of the last one seen; newest first."""

    status: Status | None = None
    kind: str | None = None
    key_id: KeyId | None = None
    before: JobId | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a job's append-only history."""

    seq: int
    at: datetime
    attempt: int
    from_status: Status | None
    to_status: Status
    reason: Reason | None
    message: str | None


class JobStore(Protocol):
    """The durable queue. Each method is one transaction; when it returns, the write is on disk."""

    async def enqueue(self, new: NewJob) -> Enqueued: ...

    async def get(self, job_id: JobId) -> Job | None: ...

    async def list(self, which: JobFilter) -> Sequence[Job]: ...

    async def events(self, job_id: JobId) -> Sequence[Event]: ...

    async def claim(self, worker: WorkerId, now: datetime, paused_keys: frozenset[KeyId]) -> Claim | None:
        """The due queued job of the highest priority, oldest first, moved to `starting` with its attempt counted.

        Jobs of `paused_keys` (those at their own cap) are passed over; jobs whose `queue_until` has passed are
        left to `expire`, those with a cancel requested to `cancel_queued`.
        """
        ...

    async def name_sandbox(self, claim: Claim, row: SandboxRow) -> Fence:
        """Record the sandbox that is about to be made (and in `Job.sandbox_id`)."""
        ...

    async def hand_over(self, claim: Claim, at: datetime) -> Fence:
        """Record that the launch is about to be sent."""
        ...

    async def begin(self, claim: Claim, at: datetime) -> Fence:
        """`starting → running`: the command has begun."""
        ...

    async def finish(self, claim: Claim, verdict: Verdict, at: datetime) -> Fence:
        """To the verdict's end state."""
        ...

    async def requeue(
        self, claim: Claim, reason: Reason, message: str, run_at: datetime, at: datetime
    ) -> Fence:
        """`starting → queued` after an infrastructure fault, before the hand-over took effect.

        The caller has checked that attempts are left. `sandbox_id` and `handed_over_at` are cleared.
        """
        ...

    async def sandbox_gone(self, sandbox_id: SandboxId, at: datetime) -> None:
        """The engine has confirmed that the sandbox no longer exists."""
        ...

    async def request_cancel(self, job_id: JobId, reason: Reason, at: datetime) -> Job | None:
        """Ask for an end. A queued job is cancelled at once; a live one gets `cancel_requested`; an ended one stays.

        Returns the job as it is afterwards; none: there is no such job.
        """
        ...

    async def expire(self, now: datetime) -> Sequence[JobId]:
        """End, with `queue_timeout`, the queued jobs whose `queue_until` has passed."""
        ...

    async def next_due(self, now: datetime) -> datetime | None:
        """The next moment at which a queued job becomes due or expires; none: nothing is waiting for time."""
        ...

    async def counts(self) -> Mapping[Status, int]:
        """How many jobs are in each of the states that are not ends."""
        ...

    async def position(self, job_id: JobId) -> int | None:
        """How many due jobs are ahead of a queued one; none if it is not queued."""
        ...

    async def left_behind(self, worker: WorkerId, engine_id: str) -> Sequence[Job]:
        """Live jobs whose sandbox belongs to that engine (or that have named none yet) and to an earlier start than `worker`."""
        ...

    async def sandboxes_living(self, ids: Collection[SandboxId]) -> frozenset[SandboxId]:
        """Those of `ids` that have been named and are not confirmed gone."""
        ...

    async def sandboxes_left(self, worker: WorkerId, engine_id: str) -> Sequence[SandboxRow]:
        """Sandboxes on that engine, not yet confirmed gone, made by an earlier start than `worker`."""
        ...


class Stream(StrEnum):
    """Where a frame of a job's log came from."""

    OUTPUT = "output"
    """stdout and stderr through one pipe, in exact order"""
    STDOUT = "stdout"
    STDERR = "stderr"
    GAP = "gap"
    """not output: a frame that says how many bytes are left out here"""


@dataclass(frozen=True, slots=True)
class Frame:
    """A piece of a job's output. `seq` is counted from 1 within the job, without holes.

    A gap frame has no data; `skipped` counts the bytes that are left out at this place.
    """

    seq: int
    stream: Stream
    at: datetime
    data: bytes
    skipped: int = 0


class LogStore(Protocol):
    async def append(self, claim: Claim, frames: Sequence[Frame]) -> Fence:
        """Write frames, in order, all or none."""
        ...

    async def read(self, job_id: JobId, after: int, limit_bytes: int) -> Sequence[Frame]:
        """Frames with `seq > after` in order: at least one if there is one, then as many as fit in `limit_bytes`."""
        ...

    async def ends(self, job_id: JobId, half_bytes: int) -> tuple[Sequence[Frame], Sequence[Frame]]:
        """The first frames up to about `half_bytes`, and the last ones up to about `half_bytes` after those.

        Whole frames, at least those needed to cover the half; none is in both.
        """
        ...
