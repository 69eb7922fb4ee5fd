"""All tables, by name; those of the queue are described in `chaser.store.job_tables`, and those of what GitHub tells in
`chaser.store.github_tables`."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Text
from sqlmodel import Field

from chaser.runners.inbox import Decision, Learned
from chaser.runners.passes import Purpose
from chaser.store.columns import Document, Ident, Instant, Words
from chaser.store.github_tables import (
    approvals,
    demands,
    installations,
    looks,
    redeliveries,
    runners,
    workflow_runs,
)
from chaser.store.job_tables import jobs, log_frames, sandboxes, transitions, turns, workers
from chaser.store.table_row import TableRow, among, checks, job_reference, metadata, partial, table_of

__all__ = [
    "api_keys",
    "approvals",
    "artifacts",
    "deliveries",
    "demands",
    "github_apps",
    "installations",
    "instance",
    "jobs",
    "log_frames",
    "looks",
    "metadata",
    "pulled_images",
    "redeliveries",
    "runners",
    "sandboxes",
    "setup_passes",
    "snapshots",
    "transitions",
    "turns",
    "uploads",
    "workers",
    "workflow_runs",
    "workspaces",
]


class InstanceTable(TableRow, table=True):
    """The installation itself: one row."""

    __table_args__ = checks({"single": "slot = 1"})

    slot: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    id: str = Field(sa_column=Column(Ident, nullable=False))
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    canary: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """The id, sealed: opening it shows at start whether the sealing keys belong to this database."""
    decided_by: str | None = Field(sa_column=Column(Text))
    """The digest of the settings by which it was decided last who is served."""


class ApiKeysTable(TableRow, table=True):
    __table_args__ = checks({"digest_is_sha256": "length(digest) = 32"})

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
    workspace_prefix: str | None = Field(sa_column=Column(Text))


class DeliveriesTable(TableRow, table=True):
    """A webhook delivery, or what a look at GitHub has shown, and what was made of it."""

    __table_args__ = (
        *checks({"decision_known": among("decision", Decision), "learned_known": among("learned", Learned)}),
        Index("ix_deliveries_workflow_job_id", "workflow_job_id"),
        Index("ix_deliveries_job_id", "job_id"),
        Index("ix_deliveries_received_at", "received_at"),
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
    learned: str = Field(sa_column=Column(Text, nullable=False))


class WorkspacesTable(TableRow, table=True):
    """A volume that is kept, on one engine."""

    __table_args__ = (
        *checks(
            {
                "size_has_time": "(size_bytes IS NULL) = (sized_at IS NULL)",
                "size_not_negative": "size_bytes IS NULL OR size_bytes >= 0",
                "quota_not_negative": "quota_bytes IS NULL OR quota_bytes >= 0",
                "ttl_positive": "ttl_ms IS NULL OR ttl_ms > 0",
            }
        ),
        partial("ix_workspaces_expires_at", "expires_at", where="expires_at IS NOT NULL"),
    )

    id: str = Field(sa_column=Column(Ident, primary_key=True))
    name: str = Field(sa_column=Column(Text, nullable=False))
    folded: str = Field(sa_column=Column(Ident, nullable=False, unique=True))
    """The name in lower case: of names that differ in nothing else there is one."""
    engine_id: str | None = Field(sa_column=Column(Text))
    """Where its volume is; none until it is made."""
    image: str | None = Field(sa_column=Column(Text))
    """The image that its jobs run in; none: their profile's."""
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    last_used_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    ttl_ms: int | None = Field(sa_column=Column(BigInteger))
    expires_at: datetime | None = Field(sa_column=Column(Instant))
    size_bytes: int | None = Field(sa_column=Column(BigInteger))
    sized_at: datetime | None = Field(sa_column=Column(Instant))
    quota_bytes: int | None = Field(sa_column=Column(BigInteger))


class SnapshotsTable(TableRow, table=True):
    """What a workspace held at one moment."""

    __table_args__ = (Index("ix_snapshots_workspace_id", "workspace_id"),)

    id: str = Field(sa_column=Column(Ident, primary_key=True))
    workspace_id: str = Field(
        sa_column=Column(Ident, ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False)
    )
    name: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    size_bytes: int | None = Field(sa_column=Column(BigInteger))


class UploadsTable(TableRow, table=True):
    """Bytes that a client has sent for a job to come. They are in a file of the data directory that has this id."""

    __table_args__ = (
        *checks({"size_not_negative": "size_bytes >= 0"}),
        Index("ix_uploads_expires_at", "expires_at"),
    )

    id: str = Field(sa_column=Column(Ident, primary_key=True))
    key_id: str | None = Field(sa_column=Column(Ident))
    size_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    is_tar: bool = Field(sa_column=Column(Boolean, nullable=False))
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    expires_at: datetime = Field(sa_column=Column(Instant, nullable=False))


class ArtifactsTable(TableRow, table=True):
    """A file that was taken out of a job's sandbox; its bytes are in `file`, below the job's folder of artifacts."""

    __table_args__ = checks({"size_not_negative": "size_bytes >= 0"})

    job_id: str = Field(sa_column=job_reference(primary_key=True))
    path: str = Field(sa_column=Column(Ident, primary_key=True))
    size_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    mode: int = Field(sa_column=Column(Integer, nullable=False))
    file: str = Field(sa_column=Column(Text, nullable=False))


class PulledImagesTable(TableRow, table=True):
    """An image that this service has pulled itself, and may remove."""

    engine_id: str = Field(sa_column=Column(Ident, primary_key=True))
    reference: str = Field(sa_column=Column(Ident, primary_key=True))
    image_id: str = Field(sa_column=Column(Text, nullable=False))
    names: list[str] = Field(sa_column=Column(Document, nullable=False))
    used_at: datetime = Field(sa_column=Column(Instant, nullable=False))


class GithubAppsTable(TableRow, table=True):
    """The App that the setup page has made: one at a time."""

    __table_args__ = checks({"single": "slot = 1"})

    slot: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    id: str = Field(sa_column=Column(Ident, nullable=False))
    slug: str = Field(sa_column=Column(Words, nullable=False))
    owner: str = Field(sa_column=Column(Words, nullable=False))
    page: str = Field(sa_column=Column(Words, nullable=False))
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """Its private key and the secrets of its webhook."""
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))


class SetupPassesTable(TableRow, table=True):
    """A pass of the setup page, by the SHA-256 of its word."""

    __table_args__ = checks(
        {
            "purpose_known": among("purpose", Purpose),
            "state_is_bound": "(purpose = 'state') = (bound_to IS NOT NULL)",
        }
    )

    digest: str = Field(sa_column=Column(Ident, primary_key=True))
    purpose: str = Field(sa_column=Column(Text, nullable=False))
    expires_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    bound_to: str | None = Field(sa_column=Column(Ident))


instance = table_of(InstanceTable)
api_keys = table_of(ApiKeysTable)
deliveries = table_of(DeliveriesTable)
workspaces = table_of(WorkspacesTable)
snapshots = table_of(SnapshotsTable)
uploads = table_of(UploadsTable)
artifacts = table_of(ArtifactsTable)
pulled_images = table_of(PulledImagesTable)
github_apps = table_of(GithubAppsTable)
setup_passes = table_of(SetupPassesTable)
