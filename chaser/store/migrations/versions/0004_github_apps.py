"""The GitHub App that the setup page makes, and that page's passes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_IDENT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_INSTANT = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "github_apps",
        sa.Column("slot", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("id", _IDENT, nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.CheckConstraint("slot = 1", name=op.f("ck_github_apps_single")),
        sa.PrimaryKeyConstraint("slot", name="pk_github_apps"),
    )
    op.create_table(
        "setup_passes",
        sa.Column("digest", _IDENT, nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.Column("bound_to", _IDENT),
        sa.CheckConstraint(
            "purpose IN ('link', 'state', 'visit')", name=op.f("ck_setup_passes_purpose_known")
        ),
        sa.CheckConstraint(
            "(purpose = 'state') = (bound_to IS NOT NULL)", name=op.f("ck_setup_passes_state_is_bound")
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_setup_passes"),
    )
