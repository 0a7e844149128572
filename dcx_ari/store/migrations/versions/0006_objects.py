"""Contacts, call tags, saved views, usage snapshots, keys of campaigns, the velocity rule, drafts of wizards."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
CALLS_OF_SOURCE = ["traffic_source_id", "started_at"]
CAMPAIGN_SWITCHES = ("enable_public_posting", "enable_public_list_view")
TABLES = (
    "contacts",
    "call_tags",
    "saved_views",
    "buyer_usage_snapshots",
    "campaign_keys",
    "velocity_rule",
    "wizard_drafts",
)


def upgrade() -> None:
    for name in CAMPAIGN_SWITCHES:
        op.add_column("campaigns", sa.Column(name, sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.drop_index("ix_calls_source", table_name="calls")
    op.create_index("ix_calls_source", "calls", [*CALLS_OF_SOURCE, "number_id", "test"], unique=False)
    _contacts_and_tags()
    _saved_views()
    _of_campaigns_and_buyers()
    op.create_table(
        "velocity_rule",
        sa.Column("id", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("block_minutes", sa.Integer(), nullable=False),
        _moment("updated_at"),
        sa.CheckConstraint("id = 1", name=op.f("ck_velocity_rule_one_row")),
        sa.CheckConstraint("calls BETWEEN 2 AND 1000", name=op.f("ck_velocity_rule_calls")),
        sa.CheckConstraint("minutes BETWEEN 1 AND 1440", name=op.f("ck_velocity_rule_minutes")),
        sa.CheckConstraint("block_minutes BETWEEN 1 AND 525600", name=op.f("ck_velocity_rule_block_minutes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_velocity_rule")),
    )
    op.create_table(
        "wizard_drafts",
        sa.Column("wizard", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("answers", JSON, server_default=sa.text("'{}'"), nullable=False),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("wizard", "owner", name=op.f("pk_wizard_drafts")),
    )


def _moment(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.String(), server_default=sa.text("('')"), nullable=False)


def _row() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.Integer(), nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
    ]


def _contacts_and_tags() -> None:
    op.create_table(
        "contacts",
        *_row(),
        sa.Column("phone_number", sa.String(), nullable=False),
        *map(_text, ("first_name", "last_name", "email", "company")),
        sa.Column("tags", JSON, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("custom", JSON, server_default=sa.text("'{}'"), nullable=False),
        *map(_text, ("notes", "added_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contacts")),
        sa.UniqueConstraint("phone_number", name=op.f("uq_contacts_phone_number")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "call_tags",
        *_row(),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("color", sa.String(), server_default=sa.text("'#808080'"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_tags")),
        sa.UniqueConstraint("name", name=op.f("uq_call_tags_name")),
        sqlite_autoincrement=True,
    )


def _saved_views() -> None:
    op.create_table(
        "saved_views",
        *_row(),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("filters", JSON, server_default=sa.text("'{}'"), nullable=False),
        *map(_text, ("search", "sort_by")),
        sa.Column("sort_desc", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("visible_columns", JSON, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("column_order", JSON, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("shared", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
        sa.UniqueConstraint("owner", "resource", "name", name=op.f("uq_saved_views_owner_resource_name")),
        sqlite_autoincrement=True,
    )


def _of_campaigns_and_buyers() -> None:
    op.create_table(
        "campaign_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("'leads'"), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("key_hash", sa.String(), nullable=False),
        _moment("created_at"),
        sa.CheckConstraint("kind IN ('leads', 'numbers')", name=op.f("ck_campaign_keys_kind")),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_keys_campaign_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_keys")),
        sa.UniqueConstraint("campaign_id", "kind", name=op.f("uq_campaign_keys_campaign_id_kind")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_campaign_keys_key_hash")),
    )
    op.create_table(
        "buyer_usage_snapshots",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("buyer_id", sa.Integer(), nullable=False),
        sa.Column("snapshot_date", sa.Date(), nullable=False),
        sa.Column("calls_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("conversions_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _moment("revenue_cents"),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_buyer_usage_snapshots")),
        sa.UniqueConstraint("buyer_id", "snapshot_date", name=op.f("uq_buyer_usage_snapshots_buyer_id_snapshot_date")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_buyer_usage_snapshots_snapshot_date"), "buyer_usage_snapshots", ["snapshot_date"], unique=False
    )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_index("ix_calls_source", table_name="calls")
    op.create_index("ix_calls_source", "calls", CALLS_OF_SOURCE, unique=False)
    for name in CAMPAIGN_SWITCHES:
        op.drop_column("campaigns", name)
