"""What the queue needs of the outside: declared here, by the one who uses it; `chaser.store` implements it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from chaser.ids import JobId, KeyId, SandboxId, WorkerId, WorkspaceId
from chaser.jobs.job import Job, NewJob, Status, Verdict
from chaser.jobs.reason import Reason
from chaser.sandboxes.ending import StepRun
from chaser.sandboxes.spec import Terms

LEASE = timedelta(seconds=30)
"""How long a worker's silence is forgiven; then others may take over what it held."""
HEARTBEAT = timedelta(seconds=10)
REAP = timedelta(seconds=5)
"""How often expired leases, leashes and leftovers are looked for: nothing tells of a silence."""


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
    """The right of one worker to work on one attempt of a job. Every later write names both, and takes effect only
    while both are the row's: a next attempt, or another worker that has taken this one over, ends it."""

    job: Job
    worker: WorkerId

    @property
    def attempt(self) -> int:
        return self.job.attempt


@dataclass(frozen=True, slots=True)
class Full:
    """What may not start now, since it has as many jobs running on this service as it may."""

    keys: frozenset[KeyId] = frozenset()
    profiles: frozenset[str] = frozenset()
    lanes: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    slots: bool = False
    """Every slot for a sandbox is taken: only jobs that need none may start."""


FREE = Full()


@dataclass(frozen=True, slots=True)
class Beat:
    """A worker's sign of life, answered."""

    cancels: Mapping[JobId, Reason]
    """Those of its live jobs whose end was asked for, by whichever process."""
    holds: frozenset[JobId] = frozenset()
    """All its live jobs. One that the worker does not know of was claimed by a call whose answer was lost."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sandbox's output has been stored. Written in the same transaction as the frames that it counts.

    `offsets` are bytes per pipe, as the engine's log has them, whose output is in stored frames (or was no output);
    a process that takes over reads on from there.
    """

    offsets: Mapping[int, int] = field(default_factory=dict[int, int])
    covered: Mapping[int, int] = field(default_factory=dict[int, int])
    """How many bytes beyond the offset belong to a secret whose mask is stored already; per pipe."""
    seq: int = 0
    """The last frame's."""
    kept_bytes: int = 0
    """Bytes of output in this attempt's frames."""
    skipped_bytes: int = 0
    """Bytes that this attempt's gap frames count."""
    at: datetime | None = None
    """When the last byte before the offsets was read: all there is to go by where the engine's log has lost its begin."""
    steps: tuple[StepRun, ...] = ()
    """The steps that had begun by then."""


@dataclass(frozen=True, slots=True)
class Stay:
    """A sandbox as its row tells of it: what whoever takes it over must know. `terms` are none before the hand-over."""

    row: "SandboxRow"
    terms: Terms | None
    progress: Progress


@dataclass(frozen=True, slots=True)
class Line:
    """Why a queued job is not ready although its time has come: another is before it in a line that both stand in."""

    workspace: bool
    """Whether the line is a workspace's; else it is the concurrency key's."""
    holder: JobId
    """The first in the line."""
    position: int
    """How many are before it."""


class Fence(StrEnum):
    """Whether a fenced write took effect."""

    HELD = "held"
    LOST = "lost"
    """The row has moved on without this attempt: stop, and remove what was made."""


@dataclass(frozen=True, slots=True)
class SandboxRow:
    """A sandbox that was named before it was made. `worker` is the start of the service that made it.

    One that serves no job (it looks into a workspace, or was made ahead of its need) has neither job nor attempt.
    """

    id: SandboxId
    job_id: JobId | None
    attempt: int | None
    worker: WorkerId
    engine_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list. `before` is the id of the last one seen; newest first."""

    status: Status | None = None
    kind: str | None = None
    key_id: KeyId | None = None
    workspace_id: WorkspaceId | None = None
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


@dataclass(frozen=True, slots=True)
class Change:
    """A line of some job's history."""

    job_id: JobId
    event: Event

    @property
    def mark(self) -> "Mark":
        return Mark(self.event.at, self.job_id, self.event.seq)


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in the histories of all jobs, which are ordered by time. Lines of other processes, and of long
    transactions, may still appear before a mark, as far back as their clocks differ and their writes take."""

    at: datetime
    job_id: str = ""
    seq: int = 0


class JobStore(Protocol):
    """The durable queue. Each method is one transaction; when it returns, the write is on disk.

    Times that are compared with other processes' (leases, what is due) are the database's own on PostgreSQL; on SQLite,
    which has one process, they are the `now` that is given.
    """

    async def enqueue(self, new: NewJob) -> Enqueued: ...

    async def enqueue_all(self, new: Sequence[NewJob]) -> Sequence[Enqueued]:
        """All in one transaction, in order; where one is a `Conflict`, nothing is written, and only it is returned."""
        ...

    async def get(self, job_id: JobId) -> Job | None: ...

    async def list(self, which: JobFilter) -> Sequence[Job]: ...

    async def events(self, job_id: JobId, after: int = 0) -> Sequence[Event]:
        """The history from after the line of number `after`."""
        ...

    async def changes(self, after: Mark, limit: int, key_id: KeyId | None = None) -> Sequence[Change]:
        """The histories of all jobs, or of a key's, from after the mark, in order."""
        ...

    async def claim(
        self, worker: WorkerId, now: datetime, full: Full = FREE, most: int = 1
    ) -> Sequence[Claim]:
        """The ready jobs of the highest priority, lane by lane and oldest first, moved to `starting` with their attempts
        counted.

        Jobs of what is `full` are passed over; jobs whose `queue_until` has passed are left to `expire`. At the most one
        where more could make something full: a key, a profile, a lane or a tenant with a cap.
        """
        ...

    async def name_sandbox(self, claim: Claim, row: SandboxRow) -> Fence:
        """Record the sandbox that is about to be made (and in `Job.sandbox_id`)."""
        ...

    async def name_ahead(self, row: SandboxRow) -> None:
        """Record a sandbox that is about to be made for a job yet to come."""
        ...

    async def assign_sandbox(self, claim: Claim, sandbox_id: SandboxId) -> Fence | None:
        """Give a sandbox that was made ahead to the attempt (and record it in `Job.sandbox_id`). None: it is not there
        to be given any more; somebody removes it."""
        ...

    async def hand_over(self, claim: Claim, terms: Terms, at: datetime) -> Fence:
        """Record that the launch is about to be sent, and what must be known of it afterwards."""
        ...

    async def begin(self, claim: Claim, at: datetime) -> Fence:
        """`starting → running`: the command has begun. Held too where it is running already (it was taken over)."""
        ...

    async def finish(self, claim: Claim, verdict: Verdict, at: datetime) -> Fence:
        """To the verdict's end state; whoever stands behind it in a line moves up."""
        ...

    async def requeue(
        self,
        claim: Claim,
        reason: Reason,
        message: str,
        run_at: datetime,
        at: datetime,
        *,
        retried: bool = False,
    ) -> Fence:
        """Back to `queued`: from `starting` after an infrastructure fault; from `running` too if `retried`, which counts
        in `Job.retries`. It keeps its places in its lines.

        The caller has checked that attempts are left; a run that `retried` grants is one more than `max_attempts`.
        `sandbox_id` and `handed_over_at` are cleared, and it may wait as long as at first. A job whose end was asked for
        meanwhile is cancelled instead.
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

    async def spare(self, claim: Claim, reason: Reason) -> Fence:
        """Take back that its end was asked for, for this reason: the run goes on."""
        ...

    async def promote(self, now: datetime) -> int:
        """Make ready what has become due and is first in its lines; returns how many."""
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
        """How many ready jobs are ahead of a ready one; none if it is not ready."""
        ...

    async def line(self, job_id: JobId) -> Line | None:
        """What a queued job waits behind; none if it is first in every line."""
        ...

    async def touch(self, job_id: JobId, now: datetime) -> None:
        """Somebody has asked for the job: its leash begins anew. Costs nothing where there is none."""
        ...

    async def unleashed(self, now: datetime) -> Sequence[JobId]:
        """Unfinished jobs whose leash has run out."""
        ...

    # Workers: who holds what, and until when.

    async def join(self, worker: WorkerId, seat: str, now: datetime) -> None:
        """Begin a worker's lease. Earlier workers of the same `seat` (a data directory, locked by its one process) are
        known to be dead: their leases end. Leashes begin anew, since nobody could ask while no service ran."""
        ...

    async def heartbeat(self, worker: WorkerId, now: datetime) -> Beat:
        """Renew the lease."""
        ...

    async def leave(self, worker: WorkerId, now: datetime) -> None:
        """End the lease: what the worker still holds is free to be taken over."""
        ...

    async def left_behind(self, engine_id: str, now: datetime) -> Sequence[Job]:
        """Live jobs of workers whose lease has run out, whose sandbox is on that engine or is not named yet."""
        ...

    async def out_of_reach(self, engine_id: str, until: datetime, now: datetime) -> Sequence[Job]:
        """Live jobs whose sandbox is on another engine, and whose worker's lease ran out before `until`."""
        ...

    async def take_over(self, job: Job, worker: WorkerId) -> Claim | None:
        """Make `worker` the one that works on the attempt that `job` shows; none: the row has moved on since, or it is
        that worker's own already."""
        ...

    async def stay(self, sandbox_id: SandboxId) -> Stay | None:
        """The sandbox's row; none if it is confirmed gone or was never named."""
        ...

    async def earlier_sandbox(self, job_id: JobId) -> SandboxId | None:
        """The job's sandbox that is not confirmed gone yet, if there is one."""
        ...

    async def sandboxes_living(self, ids: Collection[SandboxId]) -> frozenset[SandboxId]:
        """Those of `ids` that have been named and are not confirmed gone."""
        ...

    async def sandboxes_left(self, engine_id: str, now: datetime) -> Sequence[SandboxRow]:
        """Sandboxes on that engine, not confirmed gone, of workers whose lease has run out, that no live job holds."""
        ...
