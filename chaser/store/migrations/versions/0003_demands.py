"""What GitHub tells of its workflow jobs, and of where the App is installed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_IDENT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_INSTANT = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
_DEMAND_CHECKS = {
    "state_known": (
        "state IN ('cancelled', 'done', 'online', 'planned', 'refused', 'running', 'starting', 'waiting')"
    ),
    "decision_known": "decision IN ('accepted', 'not_ours', 'refused')",
    "owed_is_accepted": "NOT (state IN ('online', 'planned', 'starting')) OR decision = 'accepted'",
    "done_had_runner": "state <> 'done' OR runner_id IS NOT NULL OR runner_name IS NOT NULL",
    "end_was_told": "state <> 'done' OR action = 'completed'",
    "runners_not_negative": "runners >= 0",
}


def upgrade() -> None:
    _demands()
    _installations()


def _demands() -> None:
    """A job that was owed to a workflow job before is found by its origin, when the next is heard of that."""
    op.create_table(
        "demands",
        sa.Column("workflow_job_id", sa.BigInteger(), nullable=False, autoincrement=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("state", "action")),
        *(sa.Column(name, sa.Text()) for name in ("status", "conclusion")),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("run_attempt", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text()) for name in ("workflow_name", "html_url")),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("repository", sa.Text(), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("organization", sa.Text()),
        sa.Column("installation_id", sa.BigInteger()),
        *(sa.Column(name, _INSTANT) for name in ("created_at", "started_at", "completed_at", "gated_at")),
        sa.Column("runner_id", sa.BigInteger()),
        sa.Column("runner_name", sa.Text()),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("message", sa.Text()),
        sa.Column("job_id", _IDENT),
        sa.Column("runners", sa.Integer(), nullable=False),
        sa.Column("taken_by", sa.BigInteger()),
        *(sa.Column(name, _INSTANT, nullable=False) for name in ("seen_at", "changed_at")),
        sa.PrimaryKeyConstraint("workflow_job_id", name="pk_demands"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_demands_job_id", ondelete="SET NULL"),
        *(sa.CheckConstraint(rule, name=op.f(f"ck_demands_{name}")) for name, rule in _DEMAND_CHECKS.items()),
    )
    for name, columns, where, unique in (
        ("uq_demands_job_id", ["job_id"], "job_id IS NOT NULL", True),
        (
            "ix_demands_unsettled",
            ["installation_id"],
            "installation_id IS NOT NULL AND state IN ('online', 'planned', 'starting', 'waiting')",
            False,
        ),
    ):
        only = sa.text(where)
        op.create_index(name, "demands", columns, unique=unique, sqlite_where=only, postgresql_where=only)
    op.create_index("ix_demands_state", "demands", ["state", "workflow_job_id"])
    op.create_index("ix_demands_changed_at", "demands", ["changed_at"])


def _installations() -> None:
    op.create_table(
        "installations",
        sa.Column("id", sa.BigInteger(), nullable=False, autoincrement=False),
        *(sa.Column(name, sa.Text()) for name in ("account", "account_type", "selection")),
        *(sa.Column(name, _INSTANT) for name in ("suspended_at", "deleted_at", "updated_at")),
        sa.Column("changed_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_installations"),
    )
