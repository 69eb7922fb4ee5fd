"""The demands of a run are found by it, whatever has become of them: a runner asks whether one of them may have it."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.drop_index("ix_demands_held", "demands")
    op.create_index("ix_demands_run_id", "demands", ["run_id"])
