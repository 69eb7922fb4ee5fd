"""Runners are looked after from outside; demands say how their last runner ended."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("demands", sa.Column("setback", sa.Text()))
    unremoved = sa.text("removed_at IS NULL")
    op.create_index(
        "ix_runners_unremoved",
        "runners",
        ["job_id"],
        sqlite_where=unremoved,
        postgresql_where=unremoved,
    )
