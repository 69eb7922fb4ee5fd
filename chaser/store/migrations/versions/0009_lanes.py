"""Rounds for those who share the slots: the lane of a job, whose that is, and its round."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_READY = "status = 'queued' AND ready"
_IN_LANE = f"{_READY} AND lane IS NOT NULL"
_ORDER = (sa.text("priority DESC"), "round", "id")
_INDEXES: dict[str, tuple[tuple[str | sa.TextClause, ...], str]] = {
    "ix_jobs_claim": (_ORDER, _READY),
    "ix_jobs_claim_unhoused": (_ORDER, f"{_READY} AND profile IS NULL"),
    "ix_jobs_rounds": (("priority", "round"), _IN_LANE),
    "ix_jobs_lane": (("lane", "priority", "round"), _IN_LANE),
}


def upgrade() -> None:
    op.add_column("jobs", sa.Column("lane", sa.Text()))
    op.add_column("jobs", sa.Column("tenant", sa.Text()))
    op.add_column("jobs", sa.Column("round", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    sqlite = op.get_bind().dialect.name == "sqlite"
    made = "created_at" if sqlite else "CAST(extract(epoch FROM created_at) * 1000000 AS BIGINT)"
    op.execute(f"UPDATE jobs SET round = {made} WHERE finished_at IS NULL")  # noqa: S608 # of the two above
    for name in ("ix_jobs_claim", "ix_jobs_claim_unhoused"):
        op.drop_index(name, "jobs")
    for name, (columns, where) in _INDEXES.items():
        only = sa.text(where)
        op.create_index(name, "jobs", [*columns], sqlite_where=only, postgresql_where=only)
