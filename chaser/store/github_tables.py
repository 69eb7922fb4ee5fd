"""The tables of what GitHub tells: of its workflow jobs, and of where the App is installed."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Text
from sqlmodel import Field

from chaser.runners.demand import CLEAR, ENDED, OPEN, OWED, Clearance, State
from chaser.runners.inbox import Decision, Learned
from chaser.store.columns import Document, Ident, Instant, Words
from chaser.store.table_row import TableRow, among, checks, job_reference, partial, table_of

UNREMOVED = "removed_at IS NULL"
UNSETTLED = f"installation_id IS NOT NULL AND {among('state', OPEN)}"
UNSEEN = f"clearance = 'pending' AND NOT ({among('state', ENDED)})"


class DemandsTable(TableRow, table=True):
    """A workflow job at GitHub that is ours, what GitHub has said of it, and what we owe it."""

    __table_args__ = (
        *checks(
            {
                "state_known": among("state", State),
                "decision_known": among("decision", Decision),
                "clearance_known": among("clearance", Clearance),
                "owed_is_admitted": (
                    f"NOT ({among('state', OWED)}) OR decision = 'accepted' AND {among('clearance', CLEAR)}"
                ),
                "done_had_runner": "state <> 'done' OR runner_id IS NOT NULL OR runner_name IS NOT NULL",
                "end_was_told": "state <> 'done' OR action = 'completed'",
                "runners_not_negative": "runners >= 0",
                "learned_known": among("learned", Learned),
            }
        ),
        partial("uq_demands_job_id", "job_id", where="job_id IS NOT NULL", unique=True),
        partial("ix_demands_unsettled", "installation_id", where=UNSETTLED),
        partial("ix_demands_unseen", "workflow_job_id", where=UNSEEN),
        Index("ix_demands_run_id", "run_id"),
        Index("ix_demands_state", "state", "workflow_job_id"),
        Index("ix_demands_changed_at", "changed_at"),
    )

    workflow_job_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    state: str = Field(sa_column=Column(Text, nullable=False))
    action: str = Field(sa_column=Column(Words, nullable=False))
    """The furthest that GitHub has told."""
    status: str | None = Field(sa_column=Column(Words))
    conclusion: str | None = Field(sa_column=Column(Words))
    run_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    run_attempt: int = Field(sa_column=Column(Integer, nullable=False))
    name: str = Field(sa_column=Column(Words, nullable=False))
    workflow_name: str | None = Field(sa_column=Column(Words))
    html_url: str | None = Field(sa_column=Column(Words))
    labels: list[str] = Field(sa_column=Column(Document, nullable=False))
    repository: str = Field(sa_column=Column(Words, nullable=False))
    private: bool = Field(sa_column=Column(Boolean, nullable=False))
    organization: str | None = Field(sa_column=Column(Words))
    installation_id: int | None = Field(sa_column=Column(BigInteger))
    created_at: datetime | None = Field(sa_column=Column(Instant))
    started_at: datetime | None = Field(sa_column=Column(Instant))
    completed_at: datetime | None = Field(sa_column=Column(Instant))
    gated_at: datetime | None = Field(sa_column=Column(Instant))
    """These four by GitHub's clock."""
    runner_id: int | None = Field(sa_column=Column(BigInteger))
    runner_name: str | None = Field(sa_column=Column(Words))
    decision: str = Field(sa_column=Column(Text, nullable=False))
    message: str | None = Field(sa_column=Column(Words))
    clearance: str = Field(sa_column=Column(Text, nullable=False))
    profile: str | None = Field(sa_column=Column(Text))
    job_id: str | None = Field(sa_column=Column(Ident, ForeignKey("jobs.id", ondelete="SET NULL")))
    """The job whose runner has it, or is meant to: of each job there is one."""
    runners: int = Field(sa_column=Column(Integer, nullable=False))
    taken_by: int | None = Field(sa_column=Column(BigInteger))
    setback: str | None = Field(sa_column=Column(Words))
    """How its last runner ended that did not serve it."""
    seen_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    stored_at: datetime | None = Field(sa_column=Column(Instant))
    """When its row was first written, that is, about to be committed."""
    changed_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    learned: str = Field(sa_column=Column(Text, nullable=False))
    """How the first news of it came."""


class RunnersTable(TableRow, table=True):
    """The runner of a job's latest attempt that came so far as to have one."""

    __table_args__ = (
        *checks(
            {
                "attempt_positive": "attempt > 0",
                "minted_has_id": "(minted_at IS NULL) = (runner_id IS NULL)",
            }
        ),
        partial("ix_runners_unremoved", "job_id", where=UNREMOVED),
    )

    job_id: str = Field(sa_column=job_reference(primary_key=True))
    attempt: int = Field(sa_column=Column(Integer, nullable=False))
    name: str = Field(sa_column=Column(Ident, nullable=False))
    runner_id: int | None = Field(sa_column=Column(BigInteger))
    begun_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    prepared_at: datetime | None = Field(sa_column=Column(Instant))
    minted_at: datetime | None = Field(sa_column=Column(Instant))
    online_at: datetime | None = Field(sa_column=Column(Instant))
    removed_at: datetime | None = Field(sa_column=Column(Instant))
    """When its registration was known to be gone, or never to have been."""


class InstallationsTable(TableRow, table=True):
    """Where the App is installed, or was."""

    id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    account: str | None = Field(sa_column=Column(Words))
    account_type: str | None = Field(sa_column=Column(Words))
    selection: str | None = Field(sa_column=Column(Words))
    suspended_at: datetime | None = Field(sa_column=Column(Instant))
    deleted_at: datetime | None = Field(sa_column=Column(Instant))
    updated_at: datetime | None = Field(sa_column=Column(Instant))
    changed_at: datetime = Field(sa_column=Column(Instant, nullable=False))


class WorkflowRunsTable(TableRow, table=True):
    """What GitHub said of an attempt of a run, when it was asked."""

    __table_args__ = (Index("ix_workflow_runs_read_at", "read_at"),)

    run_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    attempt: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    event: str = Field(sa_column=Column(Words, nullable=False))
    head_repository: str | None = Field(sa_column=Column(Words))
    actor: str | None = Field(sa_column=Column(Words))
    triggering_actor: str | None = Field(sa_column=Column(Words))
    workflow: str = Field(sa_column=Column(Words, nullable=False))
    branch: str | None = Field(sa_column=Column(Words))
    association: str | None = Field(sa_column=Column(Words))
    read_at: datetime = Field(sa_column=Column(Instant, nullable=False))


class ApprovalsTable(TableRow, table=True):
    """Runs that were held, and that somebody has let run."""

    __table_args__ = (Index("ix_approvals_approved_at", "approved_at"),)

    run_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    approved_by: str = Field(sa_column=Column(Text, nullable=False))
    approved_at: datetime = Field(sa_column=Column(Instant, nullable=False))


class RedeliveriesTable(TableRow, table=True):
    """A delivery that GitHub was asked for once more."""

    __table_args__ = (Index("ix_redeliveries_asked_at", "asked_at"),)

    guid: str = Field(sa_column=Column(Ident, primary_key=True))
    asked_at: datetime = Field(sa_column=Column(Instant, nullable=False))


class LooksTable(TableRow, table=True):
    """A look at GitHub that is taken again and again, by one of the services at a time."""

    name: str = Field(sa_column=Column(Ident, primary_key=True))
    begun_at: datetime = Field(sa_column=Column(Instant, nullable=False))


approvals = table_of(ApprovalsTable)
demands = table_of(DemandsTable)
runners = table_of(RunnersTable)
installations = table_of(InstallationsTable)
redeliveries = table_of(RedeliveriesTable)
looks = table_of(LooksTable)
workflow_runs = table_of(WorkflowRunsTable)
