"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_IDENT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_INSTANT = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")


def upgrade() -> None:
    _instance()
    _api_keys()
    _jobs()
    _transitions()
    _sandboxes()
    _log_frames()
    _deliveries()


def _instance() -> None:
    op.create_table(
        "instance",
        sa.Column("slot", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("id", _IDENT, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("canary", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("slot", name="pk_instance"),
        sa.CheckConstraint("slot = 1", name=op.f("ck_instance_single")),
    )


def _api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", _IDENT, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("profiles", sa.JSON()),
        sa.Column("max_running", sa.Integer()),
        sa.Column("own_jobs", sa.Boolean(), nullable=False),
        sa.Column("expires_at", _INSTANT),
        sa.Column("revoked_at", _INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("public", name="uq_api_keys_public"),
        sa.CheckConstraint("length(digest) = 32", name=op.f("ck_api_keys_digest_is_sha256")),
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", _IDENT, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("message", sa.Text()),
        sa.Column("input", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.LargeBinary()),
        sa.Column("result", sa.JSON()),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("key_id", _IDENT),
        sa.Column("idempotency_key", sa.Text()),
        sa.Column("origin", sa.Text()),
        sa.Column("worker", _IDENT),
        sa.Column("sandbox_id", _IDENT),
        sa.Column("cancel_requested", sa.Text()),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("run_at", _INSTANT, nullable=False),
        sa.Column("queue_until", _INSTANT),
        sa.Column("started_at", _INSTANT),
        sa.Column("handed_over_at", _INSTANT),
        sa.Column("finished_at", _INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.CheckConstraint(
            "idempotency_key IS NULL OR sealed IS NOT NULL",
            name=op.f("ck_jobs_key_has_fingerprint"),
        ),
        sa.CheckConstraint(
            "(status IN ('cancelled', 'failed')) = (reason IS NOT NULL)",
            name=op.f("ck_jobs_bad_end_has_reason"),
        ),
        sa.CheckConstraint(
            "(status IN ('cancelled', 'failed', 'succeeded')) = (finished_at IS NOT NULL)",
            name=op.f("ck_jobs_end_has_time"),
        ),
        sa.CheckConstraint(
            "attempt >= 0 AND attempt <= max_attempts", name=op.f("ck_jobs_attempts_in_bounds")
        ),
        sa.CheckConstraint(
            "NOT (status IN ('running', 'starting')) OR (attempt >= 1 AND worker IS NOT NULL)",
            name=op.f("ck_jobs_live_is_claimed"),
        ),
        sa.CheckConstraint(
            "status <> 'running' OR started_at IS NOT NULL", name=op.f("ck_jobs_running_has_begun")
        ),
        sa.CheckConstraint(
            "status <> 'queued' OR (attempt < max_attempts AND worker IS NULL AND sandbox_id IS NULL"
            " AND handed_over_at IS NULL AND started_at IS NULL)",
            name=op.f("ck_jobs_queued_holds_nothing"),
        ),
        sa.CheckConstraint(
            "attempt >= 1 OR (sandbox_id IS NULL AND handed_over_at IS NULL AND started_at IS NULL)",
            name=op.f("ck_jobs_unclaimed_is_untouched"),
        ),
        sa.CheckConstraint("priority >= -100 AND priority <= 100", name=op.f("ck_jobs_priority_in_bounds")),
        sa.CheckConstraint(
            "result IS NULL OR finished_at IS NOT NULL", name=op.f("ck_jobs_result_only_at_end")
        ),
        sa.CheckConstraint(
            "status IN ('cancelled', 'failed', 'queued', 'running', 'starting', 'succeeded')",
            name=op.f("ck_jobs_status_known"),
        ),
    )
    op.create_index(
        "ix_jobs_claim",
        "jobs",
        [sa.text("priority DESC"), "created_at", "id"],
        sqlite_where=sa.text("status = 'queued'"),
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "ix_jobs_open",
        "jobs",
        ["status"],
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_index(
        "uq_jobs_idempotency_key",
        "jobs",
        ["idempotency_key"],
        unique=True,
        sqlite_where=sa.text("idempotency_key IS NOT NULL"),
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.create_index(
        "uq_jobs_origin",
        "jobs",
        ["origin"],
        unique=True,
        sqlite_where=sa.text("origin IS NOT NULL"),
        postgresql_where=sa.text("origin IS NOT NULL"),
    )


def _transitions() -> None:
    op.create_table(
        "transitions",
        sa.Column("job_id", _IDENT, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("from_status", sa.Text()),
        sa.Column("to_status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("message", sa.Text()),
        sa.PrimaryKeyConstraint("job_id", "seq", name="pk_transitions"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_transitions_job_id", ondelete="CASCADE"),
        sa.CheckConstraint(
            "coalesce(from_status, 'none') || ' ' || to_status IN ('none queued',"
            " 'queued cancelled', 'queued failed', 'queued starting',"
            " 'running cancelled', 'running failed', 'running queued', 'running succeeded',"
            " 'starting cancelled', 'starting failed', 'starting queued', 'starting running',"
            " 'starting succeeded')",
            name=op.f("ck_transitions_step_is_legal"),
        ),
    )


def _sandboxes() -> None:
    op.create_table(
        "sandboxes",
        sa.Column("id", _IDENT, nullable=False),
        sa.Column("job_id", _IDENT, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("worker", _IDENT, nullable=False),
        sa.Column("engine_id", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("gone_at", _INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_sandboxes"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_sandboxes_job_id", ondelete="CASCADE"),
        sa.CheckConstraint("attempt >= 1", name=op.f("ck_sandboxes_belongs_to_attempt")),
    )
    op.create_index(
        "uq_sandboxes_job_id",
        "sandboxes",
        ["job_id"],
        unique=True,
        sqlite_where=sa.text("gone_at IS NULL"),
        postgresql_where=sa.text("gone_at IS NULL"),
    )


def _log_frames() -> None:
    op.create_table(
        "log_frames",
        sa.Column("job_id", _IDENT, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("skipped", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "seq", name="pk_log_frames"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_log_frames_job_id", ondelete="CASCADE"),
        sa.CheckConstraint(
            "stream IN ('gap', 'output', 'stderr', 'stdout')",
            name=op.f("ck_log_frames_stream_known"),
        ),
        sa.CheckConstraint(
            "skipped >= 0 AND (stream <> 'gap' OR length(data) = 0)",
            name=op.f("ck_log_frames_gap_has_no_data"),
        ),
        sa.CheckConstraint("seq >= 1", name=op.f("ck_log_frames_counted_from_one")),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Compressing each piece of output would take longer than writing it does.
        op.execute("ALTER TABLE log_frames ALTER COLUMN data SET STORAGE EXTERNAL")


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("guid", _IDENT, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("action", sa.Text()),
        sa.Column("received_at", _INSTANT, nullable=False),
        sa.Column("installation_id", sa.BigInteger()),
        sa.Column("repository", sa.Text()),
        sa.Column("workflow_job_id", sa.BigInteger()),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("message", sa.Text()),
        sa.Column("job_id", _IDENT),
        sa.PrimaryKeyConstraint("guid", name="pk_deliveries"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_deliveries_job_id", ondelete="SET NULL"),
        sa.CheckConstraint(
            "decision IN ('accepted', 'not_ours', 'refused')",
            name=op.f("ck_deliveries_decision_known"),
        ),
    )
    op.create_index("ix_deliveries_workflow_job_id", "deliveries", ["workflow_job_id"])
