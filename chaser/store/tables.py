"""The tables. What cannot be, the database refuses: its constraints repeat `chaser.jobs.job`.

The classes say what a row holds; queries are Core statements on the `Table` objects at the end: every write is one
known statement, and tracking objects would only cost. Migrations hold literal text; tests hold them against this module.
"""

import re
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.orm import declared_attr
from sqlmodel import Field, SQLModel

from chaser.jobs.job import ENDED, LIVE, TRANSITIONS, Status
from chaser.jobs.ports import Stream
from chaser.runners.inbox import Decision
from chaser.store.columns import Document, Ident, Instant, Words

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _among(column: str, values: frozenset[Status] | type[Status | Stream | Decision]) -> str:
    return f"{column} IN ({', '.join(repr(value.value) for value in sorted(values))})"


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
    "status_known": _among("status", Status),
    "end_has_time": f"({_among('status', ENDED)}) = (finished_at IS NOT NULL)",
    "bad_end_has_reason": "(status IN ('cancelled', 'failed')) = (reason IS NOT NULL)",
    "result_only_at_end": "result IS NULL OR finished_at IS NOT NULL",
    "attempts_in_bounds": "attempt >= 0 AND attempt <= max_attempts",
    "live_is_claimed": f"NOT ({_among('status', LIVE)}) OR (attempt >= 1 AND worker IS NOT NULL)",
    "running_has_begun": "status <> 'running' OR started_at IS NOT NULL",
    "queued_holds_nothing": (
        "status <> 'queued' OR (attempt < max_attempts AND worker IS NULL AND sandbox_id IS NULL"
        " AND handed_over_at IS NULL AND started_at IS NULL)"
    ),
    "unclaimed_is_untouched": (
        "attempt >= 1 OR (sandbox_id IS NULL AND handed_over_at IS NULL AND started_at IS NULL)"
    ),
    "priority_in_bounds": "priority >= -100 AND priority <= 100",
    "key_has_fingerprint": "idempotency_key IS NULL OR sealed IS NOT NULL",
}


def _checks(rules: dict[str, str]) -> tuple[CheckConstraint, ...]:
    return tuple(CheckConstraint(rule, name=name) for name, rule in rules.items())


class _Row(SQLModel):
    metadata = metadata

    @declared_attr.directive
    def __tablename__(cls) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]  # noqa: N805
        """`LogFramesTable` is the table `log_frames`."""
        return re.sub("(?<!^)(?=[A-Z])", "_", cls.__name__.removesuffix("Table")).lower()


class InstanceTable(_Row, table=True):
    """The installation itself: one row."""

    __table_args__ = _checks({"single": "slot = 1"})

    slot: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    id: str = Field(sa_column=Column(Ident, nullable=False))
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    canary: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """The id, sealed: opening it shows at start whether the sealing keys belong to this database."""


class ApiKeysTable(_Row, table=True):
    __table_args__ = _checks({"digest_is_sha256": "length(digest) = 32"})

    id: str = Field(sa_column=Column(Ident, primary_key=True))
    name: str = Field(sa_column=Column(Text, nullable=False))
    public: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    scopes: list[str] = Field(sa_column=Column(Document, nullable=False))
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    profiles: list[str] | None = Field(sa_column=Column(Document))
    max_running: int | None = Field(sa_column=Column(Integer))
    own_jobs: bool = Field(sa_column=Column(Boolean, nullable=False))
    expires_at: datetime | None = Field(sa_column=Column(Instant))
    revoked_at: datetime | None = Field(sa_column=Column(Instant))


class JobsTable(_Row, table=True):
    __table_args__ = (
        *_checks(_JOB_CHECKS),
        Index(
            "uq_jobs_idempotency_key",
            "idempotency_key",
            unique=True,
            sqlite_where=text("idempotency_key IS NOT NULL"),
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
        Index(
            "uq_jobs_origin",
            "origin",
            unique=True,
            sqlite_where=text("origin IS NOT NULL"),
            postgresql_where=text("origin IS NOT NULL"),
        ),
        Index(
            "ix_jobs_open",
            "status",
            sqlite_where=text("finished_at IS NULL"),
            postgresql_where=text("finished_at IS NULL"),
        ),
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
    """The start of the service that claimed it last."""
    sandbox_id: str | None = Field(sa_column=Column(Ident))
    cancel_requested: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    run_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    queue_until: datetime | None = Field(sa_column=Column(Instant))
    started_at: datetime | None = Field(sa_column=Column(Instant))
    handed_over_at: datetime | None = Field(sa_column=Column(Instant))
    finished_at: datetime | None = Field(sa_column=Column(Instant))


def _job_reference(*, primary_key: bool = False) -> Column[str]:
    return Column(Ident, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=primary_key, nullable=False)


class TransitionsTable(_Row, table=True):
    """One line of a job's history. Never changed."""

    __table_args__ = _checks({"step_is_legal": transition_check()})

    job_id: str = Field(sa_column=_job_reference(primary_key=True))
    seq: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    attempt: int = Field(sa_column=Column(Integer, nullable=False))
    from_status: str | None = Field(sa_column=Column(Text))
    to_status: str = Field(sa_column=Column(Text, nullable=False))
    reason: str | None = Field(sa_column=Column(Text))
    message: str | None = Field(sa_column=Column(Words))


class SandboxesTable(_Row, table=True):
    """A sandbox, named before it is made; `gone_at` when the engine has confirmed its end."""

    __table_args__ = (
        *_checks({"belongs_to_attempt": "attempt >= 1"}),
        Index(
            "uq_sandboxes_job_id",
            "job_id",
            unique=True,
            sqlite_where=text("gone_at IS NULL"),
            postgresql_where=text("gone_at IS NULL"),
        ),
    )

    id: str = Field(sa_column=Column(Ident, primary_key=True))
    job_id: str = Field(sa_column=_job_reference())
    attempt: int = Field(sa_column=Column(Integer, nullable=False))
    worker: str = Field(sa_column=Column(Ident, nullable=False))
    engine_id: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    gone_at: datetime | None = Field(sa_column=Column(Instant))


class LogFramesTable(_Row, table=True):
    """A piece of a job's output; a gap has no data and counts what is left out."""

    __table_args__ = _checks(
        {
            "stream_known": _among("stream", Stream),
            "counted_from_one": "seq >= 1",
            "gap_has_no_data": "skipped >= 0 AND (stream <> 'gap' OR length(data) = 0)",
        }
    )

    job_id: str = Field(sa_column=_job_reference(primary_key=True))
    seq: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    stream: str = Field(sa_column=Column(Text, nullable=False))
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    skipped: int = Field(sa_column=Column(BigInteger, nullable=False))
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class DeliveriesTable(_Row, table=True):
    """A webhook delivery, and what was made of it."""

    __table_args__ = (
        *_checks({"decision_known": _among("decision", Decision)}),
        Index("ix_deliveries_workflow_job_id", "workflow_job_id"),
    )

    guid: str = Field(sa_column=Column(Ident, primary_key=True))
    event: str = Field(sa_column=Column(Words, nullable=False))
    action: str | None = Field(sa_column=Column(Words))
    received_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    installation_id: int | None = Field(sa_column=Column(BigInteger))
    repository: str | None = Field(sa_column=Column(Words))
    workflow_job_id: int | None = Field(sa_column=Column(BigInteger))
    decision: str = Field(sa_column=Column(Text, nullable=False))
    message: str | None = Field(sa_column=Column(Words))
    job_id: str | None = Field(sa_column=Column(Ident, ForeignKey("jobs.id", ondelete="SET NULL")))


def _table(row: type[_Row]) -> Table:
    return cast("Table", vars(row)["__table__"])


instance = _table(InstanceTable)
api_keys = _table(ApiKeysTable)
jobs = _table(JobsTable)
transitions = _table(TransitionsTable)
sandboxes = _table(SandboxesTable)
log_frames = _table(LogFramesTable)
deliveries = _table(DeliveriesTable)

_QUEUED = text("status = 'queued'")
Index(
    "ix_jobs_claim",
    jobs.c.priority.desc(),
    jobs.c.created_at,
    jobs.c.id,
    sqlite_where=_QUEUED,
    postgresql_where=_QUEUED,
)
"""The order of the queue. Here and not above, since a descending column can only be named once it is there."""
