"""The way a call took through its flow."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calls", sa.Column("flow_path", sa.Text(), nullable=True))
    op.create_index("ix_calls_flow", "calls", ["flow_id", "started_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_calls_flow", table_name="calls")
    op.drop_column("calls", "flow_path")
