"""When a workflow job was first written down: how long the service itself takes to know of it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0006"

_INSTANT = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")


def upgrade() -> None:
    op.add_column("demands", sa.Column("stored_at", _INSTANT))
