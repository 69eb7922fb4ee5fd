"""The durable queue: lines, leases, take-over; workspaces, and files in and out.

SQLite cannot change a constraint: the table is made anew under another name, filled, and takes the old one's place
(https://www.sqlite.org/lang_altertable.html, section 7). Whoever runs this has switched foreign keys off, since dropping the
old table would take along whatever refers to it.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_IDENT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_INSTANT = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")

_OLD_JOBS = (
    "id, kind, status, reason, message, input, sealed, result, attempt, max_attempts, priority, key_id, idempotency_key,"
    " origin, worker, sandbox_id, cancel_requested, created_at, run_at, queue_until, started_at, handed_over_at, finished_at"
)
_LAST_LINE = "(SELECT coalesce(max(seq), 0) FROM transitions WHERE job_id = jobs.id)"
_KEPT_JOB_CHECKS = {
    "status_known": "status IN ('cancelled', 'failed', 'queued', 'running', 'starting', 'succeeded')",
    "end_has_time": "(status IN ('cancelled', 'failed', 'succeeded')) = (finished_at IS NOT NULL)",
    "bad_end_has_reason": "(status IN ('cancelled', 'failed')) = (reason IS NOT NULL)",
    "result_only_at_end": "result IS NULL OR finished_at IS NOT NULL",
    "live_is_claimed": "NOT (status IN ('running', 'starting')) OR (attempt >= 1 AND worker IS NOT NULL)",
    "running_has_begun": "status <> 'running' OR started_at IS NOT NULL",
    "unclaimed_is_untouched": (
        "attempt >= 1 OR (sandbox_id IS NULL AND handed_over_at IS NULL AND started_at IS NULL)"
    ),
    "priority_in_bounds": "priority >= -100 AND priority <= 100",
    "key_has_fingerprint": "idempotency_key IS NULL OR sealed IS NOT NULL",
}
_CHANGED_JOB_CHECKS = {
    "attempts_in_bounds": "attempt >= 0 AND attempt <= max_attempts + retries",
    "queued_holds_nothing": (
        "status <> 'queued' OR (attempt < max_attempts + retries AND worker IS NULL AND sandbox_id IS NULL"
        " AND handed_over_at IS NULL AND started_at IS NULL AND cancel_requested IS NULL)"
    ),
}
_NEW_JOB_CHECKS = {
    "retries_in_bounds": "retries >= 0 AND retries <= attempt AND (retries = 0 OR retry IS NOT NULL)",
    "starting_has_not_begun": "status <> 'starting' OR started_at IS NULL",
    "ready_is_queued": "NOT ready OR (status = 'queued' AND behind = 0)",
    "behind_is_queued": "behind >= 0 AND (behind = 0 OR status = 'queued')",
    "workspace_has_mode": "(workspace_id IS NULL) = (workspace_mode IS NULL)",
    "workspace_mode_known": "workspace_mode IN ('copy', 'exclusive')",
    "leash_has_end": "(leash_ms IS NULL) = (leash_until IS NULL)",
}
_SANDBOX_CHECKS = {
    "belongs_to_attempt": "(job_id IS NULL) = (attempt IS NULL) AND (attempt IS NULL OR attempt >= 1)",
    "only_jobs_progress": "job_id IS NOT NULL OR (terms IS NULL AND progress IS NULL)",
}
_FRAME_CHECKS = {"step_counted_from_zero": "step >= 0", "belongs_to_attempt": "attempt >= 1"}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild_jobs()
        _rebuild_sandboxes()
    else:
        _alter_jobs()
        _alter_sandboxes()
    _index_jobs()
    _extend_log_frames()
    op.create_index("ix_transitions_at", "transitions", ["at", "job_id", "seq"])
    op.add_column("api_keys", sa.Column("workspace_prefix", sa.Text()))
    _turns()
    _workers()
    _workspaces()
    _files()
    _removable()


def _checks(table: str, rules: dict[str, str]) -> list[sa.CheckConstraint]:
    return [sa.CheckConstraint(rule, name=op.f(f"ck_{table}_{name}")) for name, rule in rules.items()]


def _partial(
    name: str, table: str, columns: Sequence[str | sa.TextClause], where: str, *, unique: bool = False
) -> None:
    only = sa.text(where)
    op.create_index(name, table, [*columns], unique=unique, sqlite_where=only, postgresql_where=only)


# Jobs


def _first_job_columns() -> list[sa.Column[object]]:
    """Those of revision 0001, in its order."""
    return [
        sa.Column("id", _IDENT, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "status")),
        *(sa.Column(name, sa.Text()) for name in ("reason", "message")),
        sa.Column("input", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.LargeBinary()),
        sa.Column("result", sa.JSON()),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("attempt", "max_attempts", "priority")),
        sa.Column("key_id", _IDENT),
        *(sa.Column(name, sa.Text()) for name in ("idempotency_key", "origin")),
        *(sa.Column(name, _IDENT) for name in ("worker", "sandbox_id")),
        sa.Column("cancel_requested", sa.Text()),
        *(sa.Column(name, _INSTANT, nullable=False) for name in ("created_at", "run_at")),
        *(
            sa.Column(name, _INSTANT)
            for name in ("queue_until", "started_at", "handed_over_at", "finished_at")
        ),
    ]


def _new_job_columns(*, filled: bool) -> list[sa.Column[object]]:
    """`filled`: whether the columns that every row must have can be called so already."""
    return [
        sa.Column("profile", sa.Text()),
        sa.Column("workspace_id", _IDENT),
        *(sa.Column(name, sa.Text()) for name in ("workspace_mode", "concurrency_key")),
        sa.Column("retry", sa.JSON()),
        sa.Column("retries", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("leash_ms", sa.BigInteger()),
        sa.Column("leash_until", _INSTANT),
        sa.Column("retry_of", _IDENT),
        sa.Column("queued_at", _INSTANT, nullable=not filled),
        sa.Column("ready", sa.Boolean(), nullable=not filled),
        sa.Column("behind", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("history", sa.Integer(), nullable=not filled),
    ]


def _rebuild_jobs() -> None:
    assert not op.get_bind().exec_driver_sql("PRAGMA foreign_keys").scalar_one(), "Foreign keys are on."
    op.create_table(
        "jobs_rebuilt",
        *_first_job_columns(),
        *_new_job_columns(filled=True),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        *_checks("jobs", _KEPT_JOB_CHECKS | _CHANGED_JOB_CHECKS | _NEW_JOB_CHECKS),
    )
    # Not ready, though it may be due: whoever looks for what has become due finds it.
    op.execute(
        f"INSERT INTO jobs_rebuilt ({_OLD_JOBS}, queued_at, ready, history)"  # noqa: S608  # literals
        f" SELECT {_OLD_JOBS}, created_at, 0, {_LAST_LINE} FROM jobs"
    )
    op.drop_table("jobs")
    op.rename_table("jobs_rebuilt", "jobs")
    _partial("ix_jobs_open", "jobs", ["status"], "finished_at IS NULL")
    _partial(
        "uq_jobs_idempotency_key", "jobs", ["idempotency_key"], "idempotency_key IS NOT NULL", unique=True
    )
    _partial("uq_jobs_origin", "jobs", ["origin"], "origin IS NOT NULL", unique=True)


def _alter_jobs() -> None:
    for column in _new_job_columns(filled=False):
        op.add_column("jobs", column)
    op.execute(f"UPDATE jobs SET queued_at = created_at, ready = false, history = {_LAST_LINE}")  # noqa: S608
    for name in ("queued_at", "ready", "history"):
        op.alter_column("jobs", name, nullable=False)
    for name in _CHANGED_JOB_CHECKS:
        op.drop_constraint(op.f(f"ck_jobs_{name}"), "jobs")
    for name, rule in (_CHANGED_JOB_CHECKS | _NEW_JOB_CHECKS).items():
        op.create_check_constraint(op.f(f"ck_jobs_{name}"), "jobs", rule)
    op.drop_index("ix_jobs_claim", "jobs")


def _index_jobs() -> None:
    asleep = "status = 'queued' AND NOT ready AND behind = 0"
    order = [sa.text("priority DESC"), "created_at", "id"]
    _partial("ix_jobs_claim", "jobs", order, "status = 'queued' AND ready")
    _partial("ix_jobs_claim_unhoused", "jobs", order, "status = 'queued' AND ready AND profile IS NULL")
    _partial("ix_jobs_live", "jobs", ["worker", "id"], "status IN ('running', 'starting')")
    _partial("ix_jobs_due", "jobs", ["run_at", "created_at", "id"], asleep)
    _partial("ix_jobs_again", "jobs", ["queued_at", "id"], f"{asleep} AND attempt > 0")
    _partial("ix_jobs_late", "jobs", ["queue_until", "id"], "status = 'queued' AND queue_until IS NOT NULL")
    _partial("ix_jobs_leash", "jobs", ["leash_until"], "finished_at IS NULL AND leash_until IS NOT NULL")
    _partial("ix_jobs_workspace_id", "jobs", ["workspace_id", "id"], "workspace_id IS NOT NULL")


# What belongs to jobs


def _rebuild_sandboxes() -> None:
    old = "id, job_id, attempt, worker, engine_id, created_at, gone_at"
    op.create_table(
        "sandboxes_rebuilt",
        sa.Column("id", _IDENT, nullable=False),
        sa.Column("job_id", _IDENT),
        sa.Column("attempt", sa.Integer()),
        sa.Column("worker", _IDENT, nullable=False),
        sa.Column("engine_id", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("gone_at", _INSTANT),
        sa.Column("terms", sa.LargeBinary()),
        sa.Column("progress", sa.JSON()),
        sa.PrimaryKeyConstraint("id", name="pk_sandboxes"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_sandboxes_job_id", ondelete="CASCADE"),
        *_checks("sandboxes", _SANDBOX_CHECKS),
    )
    op.execute(f"INSERT INTO sandboxes_rebuilt ({old}) SELECT {old} FROM sandboxes")  # noqa: S608
    op.drop_table("sandboxes")
    op.rename_table("sandboxes_rebuilt", "sandboxes")
    _partial("uq_sandboxes_job_id", "sandboxes", ["job_id"], "gone_at IS NULL", unique=True)
    _partial("ix_sandboxes_engine_id", "sandboxes", ["engine_id"], "gone_at IS NULL")


def _alter_sandboxes() -> None:
    op.alter_column("sandboxes", "job_id", nullable=True)
    op.alter_column("sandboxes", "attempt", nullable=True)
    op.add_column("sandboxes", sa.Column("terms", sa.LargeBinary()))
    op.add_column("sandboxes", sa.Column("progress", sa.JSON()))
    op.drop_constraint(op.f("ck_sandboxes_belongs_to_attempt"), "sandboxes")
    for name, rule in _SANDBOX_CHECKS.items():
        op.create_check_constraint(op.f(f"ck_sandboxes_{name}"), "sandboxes", rule)
    _partial("ix_sandboxes_engine_id", "sandboxes", ["engine_id"], "gone_at IS NULL")


def _extend_log_frames() -> None:
    """Two columns with their own checks: SQLite adds those without copying what may be gigabytes."""
    step, attempt = _checks("log_frames", _FRAME_CHECKS)
    for name, default, check in (("step", "0", step), ("attempt", "1", attempt)):
        op.execute(
            f"ALTER TABLE log_frames ADD COLUMN {name} INTEGER DEFAULT {default} NOT NULL"
            f" CONSTRAINT {check.name} CHECK ({check.sqltext})"
        )


def _turns() -> None:
    op.create_table(
        "turns",
        sa.Column("key", _IDENT, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("job_id", _IDENT, nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("holding", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("key", "number", name="pk_turns"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_turns_job_id", ondelete="CASCADE"),
    )
    op.create_index("ix_turns_job_id", "turns", ["job_id"])
    _partial("uq_turns_key", "turns", ["key"], "holding AND NOT shared", unique=True)
    _partial("ix_turns_exclusive", "turns", ["key", "number"], "NOT shared")
    _partial("ix_turns_waiting", "turns", ["key", "number"], "NOT holding")


def _workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", _IDENT, nullable=False),
        sa.Column("seat", sa.Text(), nullable=False),
        sa.Column("started_at", _INSTANT, nullable=False),
        sa.Column("lease_until", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )


# Workspaces and files


def _workspaces() -> None:
    op.create_table(
        "workspaces",
        sa.Column("id", _IDENT, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("folded", _IDENT, nullable=False),
        sa.Column("engine_id", sa.Text()),
        sa.Column("image", sa.Text()),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("last_used_at", _INSTANT, nullable=False),
        sa.Column("ttl_ms", sa.BigInteger()),
        sa.Column("expires_at", _INSTANT),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("sized_at", _INSTANT),
        sa.Column("quota_bytes", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_workspaces"),
        sa.UniqueConstraint("folded", name="uq_workspaces_folded"),
        *_checks(
            "workspaces",
            {
                "size_has_time": "(size_bytes IS NULL) = (sized_at IS NULL)",
                "size_not_negative": "size_bytes IS NULL OR size_bytes >= 0",
                "quota_not_negative": "quota_bytes IS NULL OR quota_bytes >= 0",
                "ttl_positive": "ttl_ms IS NULL OR ttl_ms > 0",
            },
        ),
    )
    _partial("ix_workspaces_expires_at", "workspaces", ["expires_at"], "expires_at IS NOT NULL")
    op.create_table(
        "snapshots",
        sa.Column("id", _IDENT, nullable=False),
        sa.Column("workspace_id", _IDENT, nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_snapshots"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name="fk_snapshots_workspace_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_snapshots_workspace_id", "snapshots", ["workspace_id"])


def _removable() -> None:
    """When a job is removed, what refers to it is looked for."""
    op.create_index("ix_sandboxes_job_id", "sandboxes", ["job_id"])
    op.create_index("ix_deliveries_job_id", "deliveries", ["job_id"])
    op.create_index("ix_deliveries_received_at", "deliveries", ["received_at"])


def _files() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", _IDENT, nullable=False),
        sa.Column("key_id", _IDENT),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("is_tar", sa.Boolean(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
        *_checks("uploads", {"size_not_negative": "size_bytes >= 0"}),
    )
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at"])
    op.create_table(
        "artifacts",
        sa.Column("job_id", _IDENT, nullable=False),
        sa.Column("path", _IDENT, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mode", sa.Integer(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "path", name="pk_artifacts"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_artifacts_job_id", ondelete="CASCADE"),
        *_checks("artifacts", {"size_not_negative": "size_bytes >= 0"}),
    )
