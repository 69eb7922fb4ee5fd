"""How far the runner of a job has come: with its sandbox, and at GitHub."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_IDENT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_INSTANT = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
_CHECKS = {
    "attempt_positive": "attempt > 0",
    "minted_has_id": "(minted_at IS NULL) = (runner_id IS NULL)",
}


def upgrade() -> None:
    op.create_table(
        "runners",
        sa.Column("job_id", _IDENT, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("name", _IDENT, nullable=False),
        sa.Column("runner_id", sa.BigInteger()),
        sa.Column("begun_at", _INSTANT, nullable=False),
        *(sa.Column(name, _INSTANT) for name in ("prepared_at", "minted_at", "online_at", "removed_at")),
        sa.PrimaryKeyConstraint("job_id", name="pk_runners"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_runners_job_id", ondelete="CASCADE"),
        *(sa.CheckConstraint(rule, name=op.f(f"ck_runners_{name}")) for name, rule in _CHECKS.items()),
    )
