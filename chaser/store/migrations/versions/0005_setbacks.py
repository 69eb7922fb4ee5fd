"""Why a job's last attempt has failed, on its row: whoever waits for the next one wants to know."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("setback_reason", sa.Text()))
    op.add_column("jobs", sa.Column("setback_message", sa.Text()))
