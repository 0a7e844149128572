"""Contacts, call tags, saved views, usage snapshots, keys of campaigns, the velocity rule, drafts of wizards."""

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled in as the tables come."""


def downgrade() -> None:
    """See upgrade."""
