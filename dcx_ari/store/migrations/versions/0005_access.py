"""Access and audit: who may do what, and who did."""

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled in below as the tables come."""


def downgrade() -> None:
    """See upgrade."""
