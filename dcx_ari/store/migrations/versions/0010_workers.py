"""Workers: when each was last alive, and which Asterisk it was connected to."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workers",
        sa.Column("slot", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("asterisk_started", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.PrimaryKeyConstraint("slot", name=op.f("pk_workers")),
    )


def downgrade() -> None:
    op.drop_table("workers")
