"""Reports: their daily sums, and those that are sent by themselves."""

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled in below its number."""


def downgrade() -> None:
    """Filled in below its number."""
