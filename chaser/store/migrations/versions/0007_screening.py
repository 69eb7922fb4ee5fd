"""Runs that are looked at before their jobs get runners: what was found out, what came of it, and who approved it.

SQLite cannot change a table's constraints, so `demands` is made anew there, as in 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_IDENT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_INSTANT = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
_CHANGED = {
    "state_known": (
        "state IN ('cancelled', 'done', 'held', 'online', 'planned', 'refused', 'running', 'screening', 'starting', 'waiting')"
    ),
}
_NEW = {
    "clearance_known": "clearance IN ('approved', 'held', 'not_needed', 'passed', 'pending', 'refused')",
    "owed_is_admitted": (
        "NOT (state IN ('online', 'planned', 'starting')) OR decision = 'accepted'"
        " AND clearance IN ('approved', 'not_needed', 'passed')"
    ),
}
_KEPT = {
    "decision_known": "decision IN ('accepted', 'not_ours', 'refused')",
    "done_had_runner": "state <> 'done' OR runner_id IS NOT NULL OR runner_name IS NOT NULL",
    "end_was_told": "state <> 'done' OR action = 'completed'",
    "runners_not_negative": "runners >= 0",
}
_GONE = ("owed_is_accepted",)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild_demands()
    else:
        _alter_demands()
    _partial(
        "ix_demands_unseen",
        ["workflow_job_id"],
        "clearance = 'pending' AND NOT (state IN ('cancelled', 'done'))",
    )
    _partial("ix_demands_held", ["run_id"], "state = 'held'")
    _unsettled()
    _workflow_runs()
    _approvals()
    op.add_column("instance", sa.Column("decided_by", sa.Text()))


def _alter_demands() -> None:
    op.add_column("demands", sa.Column("clearance", sa.Text()))
    op.add_column("demands", sa.Column("profile", sa.Text()))
    op.execute("UPDATE demands SET clearance = 'not_needed'")
    op.alter_column("demands", "clearance", nullable=False)
    for name in (*_CHANGED, *_GONE):
        op.drop_constraint(op.f(f"ck_demands_{name}"), "demands")
    for name, rule in (_CHANGED | _NEW).items():
        op.create_check_constraint(op.f(f"ck_demands_{name}"), "demands", rule)
    op.drop_index("ix_demands_unsettled", "demands")


def _rebuild_demands() -> None:
    columns = ", ".join(column["name"] for column in sa.inspect(op.get_bind()).get_columns("demands"))
    rules = _CHANGED | _NEW | _KEPT
    op.create_table(
        "demands_rebuilt",
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
        sa.Column("clearance", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text()),
        sa.Column("job_id", _IDENT),
        sa.Column("runners", sa.Integer(), nullable=False),
        sa.Column("taken_by", sa.BigInteger()),
        *(sa.Column(name, _INSTANT, nullable=False) for name in ("seen_at", "changed_at")),
        sa.PrimaryKeyConstraint("workflow_job_id", name="pk_demands"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_demands_job_id", ondelete="SET NULL"),
        *(sa.CheckConstraint(rule, name=op.f(f"ck_demands_{name}")) for name, rule in rules.items()),
    )
    op.execute(
        f"INSERT INTO demands_rebuilt ({columns}, clearance) SELECT {columns}, 'not_needed' FROM demands"  # noqa: S608
    )
    op.drop_table("demands")
    op.rename_table("demands_rebuilt", "demands")
    _partial("uq_demands_job_id", ["job_id"], "job_id IS NOT NULL", unique=True)
    op.create_index("ix_demands_state", "demands", ["state", "workflow_job_id"])
    op.create_index("ix_demands_changed_at", "demands", ["changed_at"])


def _unsettled() -> None:
    states = "'held', 'online', 'planned', 'screening', 'starting', 'waiting'"
    _partial(
        "ix_demands_unsettled", ["installation_id"], f"installation_id IS NOT NULL AND state IN ({states})"
    )


def _partial(name: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    only = sa.text(where)
    op.create_index(name, "demands", columns, unique=unique, sqlite_where=only, postgresql_where=only)


def _workflow_runs() -> None:
    op.create_table(
        "workflow_runs",
        sa.Column("run_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("attempt", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("event", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text()) for name in ("head_repository", "actor", "triggering_actor")),
        sa.Column("workflow", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text()) for name in ("branch", "association")),
        sa.Column("read_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "attempt", name="pk_workflow_runs"),
    )
    op.create_index("ix_workflow_runs_read_at", "workflow_runs", ["read_at"])


def _approvals() -> None:
    op.create_table(
        "approvals",
        sa.Column("run_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("approved_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_approvals"),
    )
    op.create_index("ix_approvals_approved_at", "approvals", ["approved_at"])
