"""The job: its states, the transitions between them, and the row's shape.

`chaser.store.tables` repeats `TRANSITIONS` as constraints and `docs/states.md` draws them; a test holds the three together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from chaser.ids import JobId, KeyId, SandboxId, WorkerId
from chaser.jobs.reason import Reason
from chaser.sandboxes.spec import WorkspaceUse


class Status(StrEnum):
    """What drives a job. Few on purpose; `Reason` does the reporting."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in ENDED


ENDED = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})
LIVE = frozenset({Status.STARTING, Status.RUNNING})
"""The states in which a sandbox may exist."""

TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.STARTING, Status.FAILED, Status.CANCELLED}),
    Status.STARTING: frozenset(
        {Status.QUEUED, Status.RUNNING, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED}
    ),
    Status.RUNNING: frozenset({Status.QUEUED, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED}),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
}
"""`starting → succeeded` is a run so short that its begin and its end are learned of together."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """The parts of a request that are sealed at rest and shown nowhere: never in a log, a repr or an answer."""

    env: Mapping[str, str]
    masked: Mapping[str, str]
    stdin: str

    def __repr__(self) -> str:
        return "Secrets(…)"


NO_SECRETS = Secrets(env={}, masked={}, stdin="")


@dataclass(frozen=True, slots=True)
class Retry:
    """When a command that has begun may be run again: for these reasons, `most` times beyond the first run.

    The pause before a next run is random between none and `backoff`, doubled for each run up to `backoff_most`.
    """

    on: frozenset[Reason]
    most: int
    backoff: timedelta
    backoff_most: timedelta


RETRIABLE = frozenset({Reason.NONZERO_EXIT, Reason.RUN_TIMEOUT, Reason.HOST_LOST, Reason.OUT_OF_MEMORY})
"""The reasons that a `Retry` may name."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that is to be written."""

    id: JobId
    kind: str
    input: Mapping[str, object]
    """The request with its secret parts taken out (their names stay, their values are `***`)."""
    secrets: Secrets
    created_at: datetime
    queue_until: datetime | None
    """When a job that has not begun to start by then ends with `queue_timeout`; none: it may wait for ever."""
    run_at: datetime | None = None
    """When it is to run, by the wall clock; none: at once."""
    profile: str | None = None
    """The profile whose cap it counts against; none for a job that needs no sandbox."""
    workspace: WorkspaceUse | None = None
    concurrency_key: str | None = None
    """Of the jobs with the same key one at a time is live, in the order in which they became due."""
    retry: Retry | None = None
    leash: timedelta | None = None
    """The job is cancelled when nobody has asked for it for so long; none: it needs nobody."""
    retry_of: JobId | None = None
    """The ended job that this one repeats."""
    max_attempts: int = 3
    priority: int = 0
    lane: str | None = None
    """Where several share the slots: of the same priority, each lane's first job starts before any lane's second. None: it
    is in nobody's, and goes by its age."""
    tenant: str | None = None
    """Whose lane that is; one may have several."""
    key_id: KeyId | None = None
    """The API key that made it; none for jobs that the service makes itself."""
    idempotency_key: str | None = None
    fingerprint: str | None = None
    """A digest of the request's body, to tell a repetition from a conflict; set with `idempotency_key`, sealed at rest."""
    origin: str | None = None
    """The outside thing that this job is owed to, such as `github/workflow_job/123`; at most one job each."""


@dataclass(frozen=True, slots=True)
class Setback:
    """Why an attempt has failed, after which the job went back to the queue."""

    reason: Reason
    message: str
    """What a person can do about it, in a sentence."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is stored."""

    id: JobId
    kind: str
    status: Status
    reason: Reason | None
    message: str | None
    """What a person can do about `reason`, in a sentence."""
    input: Mapping[str, object]
    secrets: Secrets
    result: Mapping[str, object] | None
    attempt: int
    """How many times it has been claimed; every write of a worker names the attempt that it belongs to."""
    max_attempts: int
    priority: int
    key_id: KeyId | None
    idempotency_key: str | None
    origin: str | None
    worker: WorkerId | None
    """Who works on it, or did last."""
    profile: str | None
    workspace: WorkspaceUse | None
    concurrency_key: str | None
    retry: Retry | None
    retries: int
    """How many runs `retry` has granted so far."""
    leash: timedelta | None
    retry_of: JobId | None
    sandbox_id: SandboxId | None
    cancel_requested: Reason | None
    created_at: datetime
    run_at: datetime
    """When it is, or was, to run; after a failed attempt: when the next may begin."""
    queued_at: datetime
    """When it last entered the queue."""
    ready: bool
    """Queued, its time has come, and it is first in every line that it stands in: only a slot is missing."""
    queue_until: datetime | None
    started_at: datetime | None
    """When the command began, as far as known."""
    handed_over_at: datetime | None
    """When the launch was about to be sent to the sandbox. From here on it may have begun."""
    finished_at: datetime | None
    setback: Setback | None = None
    """The last one, whatever has become of the job since."""
    lane: str | None = None
    tenant: str | None = None

    @property
    def may_be_started_again(self) -> bool:
        """Whether attempts are left. A run that `retry` granted is not one of the `max_attempts`."""
        return self.attempt < self.max_attempts + self.retries

    @property
    def waits_in_line(self) -> bool:
        """Whether others may have to wait for its end."""
        return self.concurrency_key is not None or self.workspace is not None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a job ends: what `finish` writes."""

    status: Status
    reason: Reason | None
    message: str | None
    result: Mapping[str, object]
