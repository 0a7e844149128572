"""What a worker is doing, and how many calls it has."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ZERO = sa.text("0")


def upgrade() -> None:
    op.add_column("workers", sa.Column("state", sa.Text(), server_default=sa.text("('up')"), nullable=False))
    op.add_column("workers", sa.Column("calls", sa.Integer(), server_default=ZERO, nullable=False))
    op.add_column("workers", sa.Column("started_at", sa.BigInteger(), server_default=ZERO, nullable=False))


def downgrade() -> None:
    for column in ("started_at", "calls", "state"):
        op.drop_column("workers", column)
