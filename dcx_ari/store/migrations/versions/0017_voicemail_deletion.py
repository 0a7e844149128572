"""Voicemails that are being deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("voicemails", sa.Column("deleting_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("voicemails") as table:
        table.drop_column("deleting_at")
