"""How each thing was learned of, which deliveries GitHub was asked for once more, and whose turn a look at GitHub is."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_IDENT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_INSTANT = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")


def upgrade() -> None:
    """Until now there was but one way. SQLite takes a constraint together with its column, and not later."""
    for table in ("deliveries", "demands"):
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN learned TEXT DEFAULT 'webhook' NOT NULL"
            f" CONSTRAINT ck_{table}_learned_known"
            " CHECK (learned IN ('poll', 'redelivery', 'start_up', 'webhook'))"
        )
    op.create_table(
        "redeliveries",
        sa.Column("guid", _IDENT, nullable=False),
        sa.Column("asked_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("guid", name="pk_redeliveries"),
    )
    op.create_index("ix_redeliveries_asked_at", "redeliveries", ["asked_at"])
    op.create_table(
        "looks",
        sa.Column("name", _IDENT, nullable=False),
        sa.Column("begun_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_looks"),
    )
