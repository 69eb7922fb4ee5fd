"""When a workflow job was first written down, and which images were pulled by the service itself."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_IDENT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_INSTANT = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")


def upgrade() -> None:
    op.add_column("demands", sa.Column("stored_at", _INSTANT))
    op.create_table(
        "pulled_images",
        sa.Column("engine_id", _IDENT, nullable=False),
        sa.Column("reference", _IDENT, nullable=False),
        sa.Column("image_id", sa.Text(), nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.Column("used_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("engine_id", "reference", name="pk_pulled_images"),
    )
