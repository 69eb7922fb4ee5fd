"""The tables of the queue. What cannot be, the database refuses: their constraints repeat `chaser.jobs.job`."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Text, text
from sqlmodel import Field

from chaser.jobs.job import ENDED, LIVE, TRANSITIONS, Status
from chaser.jobs.logs import Stream
from chaser.sandboxes.spec import WorkspaceMode
from chaser.store.columns import Document, Ident, Instant, Words
from chaser.store.table_row import TableRow, among, checks, job_reference, partial, table_of

LIVING = among("status", LIVE)
"""A worker has it."""
READY = "status = 'queued' AND ready"
UNHOUSED = f"{READY} AND profile IS NULL"
"""Only a slot is missing."""
IN_LANE = f"{READY} AND lane IS NOT NULL"
"""See `chaser.store.lanes`."""
ASLEEP = "status = 'queued' AND NOT ready AND behind = 0"
"""It waits for its time."""
AGAIN = f"{ASLEEP} AND attempt > 0"
"""It waits for the end of its backoff."""
LATE = "status = 'queued' AND queue_until IS NOT NULL"
LEASHED = "finished_at IS NULL AND leash_until IS NOT NULL"


def transition_check() -> str:
    """`TRANSITIONS` as a constraint. A job's first line comes from nowhere, and a NULL would pass any comparison."""
    pairs = sorted(
        (source.value, target.value) for source, targets in TRANSITIONS.items() for target in targets
    )
    steps = [("none", Status.QUEUED.value), *pairs]
    return (
        "coalesce(from_status, 'none') || ' ' || to_status IN ("
        + ", ".join(f"'{source} {target}'" for source, target in steps)
        + ")"
    )


_JOB_CHECKS = {
    "status_known": among("status", Status),
    "end_has_time": f"({among('status', ENDED)}) = (finished_at IS NOT NULL)",
    "bad_end_has_reason": "(status IN ('cancelled', 'failed')) = (reason IS NOT NULL)",
    "result_only_at_end": "result IS NULL OR finished_at IS NOT NULL",
    # Each run that a job's `retry` granted is one attempt more than it had.
    "attempts_in_bounds": "attempt >= 0 AND attempt <= max_attempts + retries",
    "retries_in_bounds": "retries >= 0 AND retries <= attempt AND (retries = 0 OR retry IS NOT NULL)",
    "live_is_claimed": f"NOT ({LIVING}) OR (attempt >= 1 AND worker IS NOT NULL)",
    "starting_has_not_begun": "status <> 'starting' OR started_at IS NULL",
    "running_has_begun": "status <> 'running' OR started_at IS NOT NULL",
    "queued_holds_nothing": (
        "status <> 'queued' OR (attempt < max_attempts + retries AND worker IS NULL AND sandbox_id IS NULL"
        " AND handed_over_at IS NULL AND started_at IS NULL AND cancel_requested IS NULL)"
    ),
    "ready_is_queued": "NOT ready OR (status = 'queued' AND behind = 0)",
    "behind_is_queued": "behind >= 0 AND (behind = 0 OR status = 'queued')",
    "unclaimed_is_untouched": (
        "attempt >= 1 OR (sandbox_id IS NULL AND handed_over_at IS NULL AND started_at IS NULL)"
    ),
    "priority_in_bounds": "priority >= -100 AND priority <= 100",
    "key_has_fingerprint": "idempotency_key IS NULL OR sealed IS NOT NULL",
    "workspace_has_mode": "(workspace_id IS NULL) = (workspace_mode IS NULL)",
    "workspace_mode_known": among("workspace_mode", WorkspaceMode),
    "leash_has_end": "(leash_ms IS NULL) = (leash_until IS NULL)",
}


class JobsTable(TableRow, table=True):
    __table_args__ = (
        *checks(_JOB_CHECKS),
        partial(
            "uq_jobs_idempotency_key", "idempotency_key", where="idempotency_key IS NOT NULL", unique=True
        ),
        partial("uq_jobs_origin", "origin", where="origin IS NOT NULL", unique=True),
        partial("ix_jobs_rounds", "priority", "round", where=IN_LANE),
        partial("ix_jobs_lane", "lane", "priority", "round", where=IN_LANE),
        partial("ix_jobs_open", "status", where="finished_at IS NULL"),
        partial("ix_jobs_live", "worker", "id", where=LIVING),
        partial("ix_jobs_due", "run_at", "created_at", "id", where=ASLEEP),
        partial("ix_jobs_again", "queued_at", "id", where=AGAIN),
        partial("ix_jobs_late", "queue_until", "id", where=LATE),
        partial("ix_jobs_leash", "leash_until", where=LEASHED),
        partial("ix_jobs_workspace_id", "workspace_id", "id", where="workspace_id IS NOT NULL"),
    )

    id: str = Field(sa_column=Column(Ident, primary_key=True))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    status: str = Field(sa_column=Column(Text, nullable=False))
    reason: str | None = Field(sa_column=Column(Text))
    message: str | None = Field(sa_column=Column(Words))
    input: dict[str, Any] = Field(sa_column=Column(Document, nullable=False))
    sealed: bytes | None = Field(sa_column=Column(LargeBinary))
    """Environment, secrets, stdin and the request's fingerprint together; none if the job has none of them."""
    result: dict[str, Any] | None = Field(sa_column=Column(Document))
    attempt: int = Field(sa_column=Column(Integer, nullable=False))
    max_attempts: int = Field(sa_column=Column(Integer, nullable=False))
    priority: int = Field(sa_column=Column(Integer, nullable=False))
    key_id: str | None = Field(sa_column=Column(Ident))
    idempotency_key: str | None = Field(sa_column=Column(Text))
    origin: str | None = Field(sa_column=Column(Text))
    worker: str | None = Field(sa_column=Column(Ident))
    """The start of the service that works on it, or did last."""
    sandbox_id: str | None = Field(sa_column=Column(Ident))
    cancel_requested: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    run_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    queue_until: datetime | None = Field(sa_column=Column(Instant))
    started_at: datetime | None = Field(sa_column=Column(Instant))
    handed_over_at: datetime | None = Field(sa_column=Column(Instant))
    finished_at: datetime | None = Field(sa_column=Column(Instant))
    profile: str | None = Field(sa_column=Column(Text))
    workspace_id: str | None = Field(sa_column=Column(Ident))
    """Of a workspace that may be gone by now."""
    workspace_mode: str | None = Field(sa_column=Column(Text))
    concurrency_key: str | None = Field(sa_column=Column(Text))
    retry: dict[str, Any] | None = Field(sa_column=Column(Document))
    retries: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    leash_ms: int | None = Field(sa_column=Column(BigInteger))
    leash_until: datetime | None = Field(sa_column=Column(Instant))
    retry_of: str | None = Field(sa_column=Column(Ident))
    queued_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    ready: bool = Field(sa_column=Column(Boolean, nullable=False))
    behind: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    """In how many lines a turn that it has taken has not come. Queued, not ready and behind nobody: it waits for its time."""
    setback_reason: str | None = Field(sa_column=Column(Text))
    setback_message: str | None = Field(sa_column=Column(Words))
    """Why the last attempt that failed did; the two come together."""
    history: int = Field(sa_column=Column(Integer, nullable=False))
    """The number of the last line of its history."""
    lane: str | None = Field(sa_column=Column(Text))
    tenant: str | None = Field(sa_column=Column(Text))
    round: int = Field(sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    """Those of its priority that are in an earlier one start before it."""


class TransitionsTable(TableRow, table=True):
    """One line of a job's history. Never changed."""

    __table_args__ = (
        *checks({"step_is_legal": transition_check()}),
        Index("ix_transitions_at", "at", "job_id", "seq"),
    )

    job_id: str = Field(sa_column=job_reference(primary_key=True))
    seq: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    attempt: int = Field(sa_column=Column(Integer, nullable=False))
    from_status: str | None = Field(sa_column=Column(Text))
    to_status: str = Field(sa_column=Column(Text, nullable=False))
    reason: str | None = Field(sa_column=Column(Text))
    message: str | None = Field(sa_column=Column(Words))


class TurnsTable(TableRow, table=True):
    """A job's place in a line: `key:…` is a concurrency key's, `workspace:…` a workspace's. It goes when the job ends.

    `holding`: its turn has come. Shared turns hold together, an exclusive one alone.
    """

    __table_args__ = (
        Index("ix_turns_job_id", "job_id"),
        partial("uq_turns_key", "key", where="holding AND NOT shared", unique=True),
        partial("ix_turns_exclusive", "key", "number", where="NOT shared"),
        partial("ix_turns_waiting", "key", "number", where="NOT holding"),
    )

    key: str = Field(sa_column=Column(Ident, primary_key=True))
    number: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    job_id: str = Field(sa_column=job_reference())
    shared: bool = Field(sa_column=Column(Boolean, nullable=False))
    holding: bool = Field(sa_column=Column(Boolean, nullable=False))


class WorkersTable(TableRow, table=True):
    """One start of one service process, and until when it is taken to be alive."""

    id: str = Field(sa_column=Column(Ident, primary_key=True))
    seat: str = Field(sa_column=Column(Text, nullable=False))
    """The data directory, which one process at a time holds."""
    started_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    lease_until: datetime = Field(sa_column=Column(Instant, nullable=False))


class SandboxesTable(TableRow, table=True):
    """A sandbox, named before it is made; `gone_at` when the engine has confirmed its end."""

    __table_args__ = (
        *checks(
            {
                "belongs_to_attempt": "(job_id IS NULL) = (attempt IS NULL) AND (attempt IS NULL OR attempt >= 1)",
                "only_jobs_progress": "job_id IS NOT NULL OR (terms IS NULL AND progress IS NULL)",
            }
        ),
        partial("uq_sandboxes_job_id", "job_id", where="gone_at IS NULL", unique=True),
        partial("ix_sandboxes_engine_id", "engine_id", where="gone_at IS NULL"),
        Index("ix_sandboxes_job_id", "job_id"),
    )

    id: str = Field(sa_column=Column(Ident, primary_key=True))
    job_id: str | None = Field(sa_column=job_reference(nullable=True))
    """None for one that serves no job: it looks into a workspace, or was made ahead of its need."""
    attempt: int | None = Field(sa_column=Column(Integer))
    worker: str = Field(sa_column=Column(Ident, nullable=False))
    engine_id: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    gone_at: datetime | None = Field(sa_column=Column(Instant))
    terms: bytes | None = Field(sa_column=Column(LargeBinary))
    """What must be known of the launch once it has been handed over, sealed."""
    progress: dict[str, Any] | None = Field(sa_column=Column(Document))
    """How far its output is in frames."""


class LogFramesTable(TableRow, table=True):
    """A piece of a job's output; a gap has no data and counts what is left out."""

    __table_args__ = checks(
        {
            "stream_known": among("stream", Stream),
            "counted_from_one": "seq >= 1",
            "gap_has_no_data": "skipped >= 0 AND (stream <> 'gap' OR length(data) = 0)",
            "step_counted_from_zero": "step >= 0",
            "belongs_to_attempt": "attempt >= 1",
        }
    )

    job_id: str = Field(sa_column=job_reference(primary_key=True))
    seq: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    stream: str = Field(sa_column=Column(Text, nullable=False))
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    skipped: int = Field(sa_column=Column(BigInteger, nullable=False))
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    step: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    attempt: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("1")))


jobs = table_of(JobsTable)
transitions = table_of(TransitionsTable)
turns = table_of(TurnsTable)
workers = table_of(WorkersTable)
sandboxes = table_of(SandboxesTable)
log_frames = table_of(LogFramesTable)

Index(
    "ix_jobs_claim",
    jobs.c.priority.desc(),
    jobs.c.round,
    jobs.c.id,
    sqlite_where=text(READY),
    postgresql_where=text(READY),
)
Index(
    "ix_jobs_claim_unhoused",
    jobs.c.priority.desc(),
    jobs.c.round,
    jobs.c.id,
    sqlite_where=text(UNHOUSED),
    postgresql_where=text(UNHOUSED),
)
"""The order of the queue, and of those in it that need no sandbox. Here and not above, since a descending column can only
be named once it is there."""
