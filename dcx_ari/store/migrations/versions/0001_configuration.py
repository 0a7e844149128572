"""Configuration rows, API keys, and the version that grows with every change."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
TABLES = (
    "api_keys",
    "buyer_groups",
    "config_version",
    "flows",
    "schedules",
    "traffic_sources",
    "trunks",
    "buyers",
    "campaigns",
    "buyer_group_members",
    "campaign_buyers",
    "numbers",
    "state_rules",
    "suppression_lists",
)


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("key_hash", sa.String(), nullable=False),
        sa.Column("role", sa.Text(), server_default=sa.text("'admin'"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("role IN ('admin', 'manager', 'agent', 'viewer')", name=op.f("ck_api_keys_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
        sa.UniqueConstraint("name", name=op.f("uq_api_keys_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "buyer_groups",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("routing_strategy", sa.Text(), server_default=sa.text("'priority'"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'ACTIVE'"), nullable=False),
        sa.Column("hourly_cap", sa.Integer(), nullable=True),
        sa.Column("daily_cap", sa.Integer(), nullable=True),
        sa.Column("monthly_cap", sa.Integer(), nullable=True),
        sa.Column("total_cap", sa.Integer(), nullable=True),
        sa.Column("concurrency_limit", sa.Integer(), nullable=True),
        sa.Column("timezone", sa.String(), nullable=True),
        sa.Column("tier", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("weight", sa.Integer(), server_default=sa.text("(100)"), nullable=False),
        sa.Column("notes", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.CheckConstraint(
            "routing_strategy IN ('priority', 'weighted', 'round_robin', 'simultaneous')",
            name=op.f("ck_buyer_groups_routing_strategy"),
        ),
        sa.CheckConstraint("status IN ('ACTIVE', 'INACTIVE')", name=op.f("ck_buyer_groups_status")),
        sa.CheckConstraint("concurrency_limit >= 0", name=op.f("ck_buyer_groups_concurrency_limit")),
        sa.CheckConstraint("daily_cap >= 0", name=op.f("ck_buyer_groups_daily_cap")),
        sa.CheckConstraint("hourly_cap >= 0", name=op.f("ck_buyer_groups_hourly_cap")),
        sa.CheckConstraint("monthly_cap >= 0", name=op.f("ck_buyer_groups_monthly_cap")),
        sa.CheckConstraint("total_cap >= 0", name=op.f("ck_buyer_groups_total_cap")),
        sa.CheckConstraint("weight BETWEEN 0 AND 100", name=op.f("ck_buyer_groups_weight")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_buyer_groups")),
        sa.UniqueConstraint("name", name=op.f("uq_buyer_groups_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "config_version",
        sa.Column("id", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_config_version_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_config_version")),
    )
    op.create_table(
        "flows",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("document", JSON, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'draft'"), nullable=False),
        sa.CheckConstraint("status IN ('draft', 'published')", name=op.f("ck_flows_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flows")),
        sa.UniqueConstraint("name", name=op.f("uq_flows_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "schedules",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), server_default=sa.text("'America/New_York'"), nullable=False),
        sa.Column("weekly", JSON, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("holidays", JSON, nullable=True),
        sa.Column("exceptions", JSON, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("recurrence", JSON, server_default=sa.text("'[]'"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
        sa.UniqueConstraint("name", name=op.f("uq_schedules_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "traffic_sources",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("supplier", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'ACTIVE'"), nullable=False),
        sa.Column("first_name", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("last_name", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("company", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("email", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("phone", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("notes", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("number_limit", sa.Integer(), nullable=True),
        sa.Column("timezone", sa.String(), nullable=True),
        sa.Column("daily_call_cap", sa.Integer(), nullable=True),
        sa.Column("monthly_call_cap", sa.Integer(), nullable=True),
        sa.Column("concurrency_limit", sa.Integer(), nullable=True),
        sa.Column("auto_pause_on_cap", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("payout", JSON, nullable=True),
        sa.Column("duplicate", JSON, nullable=True),
        sa.CheckConstraint("status IN ('ACTIVE', 'INACTIVE')", name=op.f("ck_traffic_sources_status")),
        sa.CheckConstraint("concurrency_limit >= 0", name=op.f("ck_traffic_sources_concurrency_limit")),
        sa.CheckConstraint("daily_call_cap >= 0", name=op.f("ck_traffic_sources_daily_call_cap")),
        sa.CheckConstraint("monthly_call_cap >= 0", name=op.f("ck_traffic_sources_monthly_call_cap")),
        sa.CheckConstraint("number_limit >= 0", name=op.f("ck_traffic_sources_number_limit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_traffic_sources")),
        sa.UniqueConstraint("name", name=op.f("uq_traffic_sources_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "trunks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("port", sa.Integer(), server_default=sa.text("(5060)"), nullable=False),
        sa.Column("transport", sa.Text(), server_default=sa.text("'udp'"), nullable=False),
        sa.Column("username", sa.String(), nullable=True),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("accept_from", JSON, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("is_default", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'ACTIVE'"), nullable=False),
        sa.Column("rates", JSON, server_default=sa.text("'[]'"), nullable=False),
        sa.CheckConstraint("status IN ('ACTIVE', 'INACTIVE')", name=op.f("ck_trunks_status")),
        sa.CheckConstraint("transport IN ('udp', 'tcp')", name=op.f("ck_trunks_transport")),
        sa.CheckConstraint("port >= 1", name=op.f("ck_trunks_port")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trunks")),
        sa.UniqueConstraint("name", name=op.f("uq_trunks_name")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_trunks_one_default",
        "trunks",
        ["is_default"],
        unique=True,
        sqlite_where=sa.text("is_default"),
        postgresql_where=sa.text("is_default"),
    )
    op.create_table(
        "buyers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("endpoint_type", sa.Text(), server_default=sa.text("'PHONE_NUMBER'"), nullable=False),
        sa.Column("endpoint_value", sa.String(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'ACTIVE'"), nullable=False),
        sa.Column("tier", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("weight", sa.Integer(), server_default=sa.text("(100)"), nullable=False),
        sa.Column("revenue_cents", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("ring_timeout_s", sa.Integer(), server_default=sa.text("(30)"), nullable=False),
        sa.Column("whisper", sa.String(), nullable=True),
        sa.Column("accept_digit", sa.String(), nullable=True),
        sa.Column("accept_timeout_s", sa.Integer(), server_default=sa.text("(10)"), nullable=False),
        sa.Column("timezone", sa.String(), nullable=True),
        sa.Column("trunk_id", sa.Integer(), nullable=True),
        sa.Column("schedule_id", sa.Integer(), nullable=True),
        sa.Column("skills", JSON, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("filters", JSON, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("duplicate", JSON, nullable=True),
        sa.Column("cap_metric", sa.Text(), server_default=sa.text("'connect'"), nullable=False),
        sa.Column("cap_mode", sa.Text(), server_default=sa.text("'strict'"), nullable=False),
        sa.Column("concurrency_limit", sa.Integer(), nullable=True),
        sa.Column("hourly_cap", sa.Integer(), nullable=True),
        sa.Column("daily_cap", sa.Integer(), nullable=True),
        sa.Column("monthly_cap", sa.Integer(), nullable=True),
        sa.Column("total_cap", sa.Integer(), nullable=True),
        sa.Column("converted_daily_limit", sa.Integer(), nullable=True),
        sa.Column("converted_monthly_limit", sa.Integer(), nullable=True),
        sa.Column("converted_total_limit", sa.Integer(), nullable=True),
        sa.Column("revenue_cap_daily_cents", sa.Integer(), nullable=True),
        sa.Column("revenue_cap_monthly_cents", sa.Integer(), nullable=True),
        sa.Column("revenue_cap_total_cents", sa.Integer(), nullable=True),
        sa.Column("min_seconds_between", sa.Integer(), nullable=True),
        sa.Column("conversion_rules", JSON, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("hold_postback_s", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("accept_rerouted_max", sa.Integer(), nullable=True),
        sa.Column("notes", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.CheckConstraint("cap_metric IN ('connect', 'attempt')", name=op.f("ck_buyers_cap_metric")),
        sa.CheckConstraint("cap_mode IN ('strict', 'count_after')", name=op.f("ck_buyers_cap_mode")),
        sa.CheckConstraint(
            "endpoint_type IN ('PHONE_NUMBER', 'SIP', 'AGENT', 'GROUP', 'AI')",
            name=op.f("ck_buyers_endpoint_type"),
        ),
        sa.CheckConstraint("status IN ('ACTIVE', 'INACTIVE')", name=op.f("ck_buyers_status")),
        sa.CheckConstraint("concurrency_limit >= 0", name=op.f("ck_buyers_concurrency_limit")),
        sa.CheckConstraint("converted_daily_limit >= 0", name=op.f("ck_buyers_converted_daily_limit")),
        sa.CheckConstraint("converted_monthly_limit >= 0", name=op.f("ck_buyers_converted_monthly_limit")),
        sa.CheckConstraint("converted_total_limit >= 0", name=op.f("ck_buyers_converted_total_limit")),
        sa.CheckConstraint("daily_cap >= 0", name=op.f("ck_buyers_daily_cap")),
        sa.CheckConstraint("hourly_cap >= 0", name=op.f("ck_buyers_hourly_cap")),
        sa.CheckConstraint("min_seconds_between >= 0", name=op.f("ck_buyers_min_seconds_between")),
        sa.CheckConstraint("monthly_cap >= 0", name=op.f("ck_buyers_monthly_cap")),
        sa.CheckConstraint("revenue_cap_daily_cents >= 0", name=op.f("ck_buyers_revenue_cap_daily_cents")),
        sa.CheckConstraint(
            "revenue_cap_monthly_cents >= 0", name=op.f("ck_buyers_revenue_cap_monthly_cents")
        ),
        sa.CheckConstraint("revenue_cap_total_cents >= 0", name=op.f("ck_buyers_revenue_cap_total_cents")),
        sa.CheckConstraint("revenue_cents >= 0", name=op.f("ck_buyers_revenue_cents")),
        sa.CheckConstraint("ring_timeout_s >= 5", name=op.f("ck_buyers_ring_timeout_s")),
        sa.CheckConstraint("total_cap >= 0", name=op.f("ck_buyers_total_cap")),
        sa.CheckConstraint("weight BETWEEN 0 AND 100", name=op.f("ck_buyers_weight")),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name=op.f("fk_buyers_schedule_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["trunk_id"], ["trunks.id"], name=op.f("fk_buyers_trunk_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_buyers")),
        sa.UniqueConstraint("name", name=op.f("uq_buyers_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "campaigns",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("vertical", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'ACTIVE'"), nullable=False),
        sa.Column("strategy", sa.Text(), server_default=sa.text("'tier'"), nullable=False),
        sa.Column("weighting", sa.Text(), server_default=sa.text("'weighted_random'"), nullable=False),
        sa.Column("flow_id", sa.Integer(), nullable=True),
        sa.Column("record", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("schedule_id", sa.Integer(), nullable=True),
        sa.Column("timezone", sa.String(), nullable=True),
        sa.Column("max_attempts", sa.Integer(), server_default=sa.text("(10)"), nullable=False),
        sa.Column("max_route_s", sa.Integer(), server_default=sa.text("(120)"), nullable=False),
        sa.Column("recover_below_s", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("recover_max", sa.Integer(), server_default=sa.text("5"), nullable=False),
        sa.Column("duplicate", JSON, nullable=True),
        sa.Column("filters", JSON, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("fallbacks", JSON, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("ring_tone", sa.Text(), server_default=sa.text("'ringback'"), nullable=False),
        sa.Column("unknown_state", sa.Text(), server_default=sa.text("'allow'"), nullable=False),
        sa.Column("hourly_cap", sa.Integer(), nullable=True),
        sa.Column("daily_cap", sa.Integer(), nullable=True),
        sa.Column("monthly_cap", sa.Integer(), nullable=True),
        sa.Column("total_cap", sa.Integer(), nullable=True),
        sa.Column("concurrency_limit", sa.Integer(), nullable=True),
        sa.Column("notes", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.CheckConstraint(
            "ring_tone IN ('ringback', 'music', 'early_media')", name=op.f("ck_campaigns_ring_tone")
        ),
        sa.CheckConstraint("status IN ('ACTIVE', 'INACTIVE', 'ARCHIVED')", name=op.f("ck_campaigns_status")),
        sa.CheckConstraint("strategy IN ('tier', 'bid', 'epc')", name=op.f("ck_campaigns_strategy")),
        sa.CheckConstraint("unknown_state IN ('allow', 'block')", name=op.f("ck_campaigns_unknown_state")),
        sa.CheckConstraint(
            "weighting IN ('weighted_random', 'smooth_wrr')", name=op.f("ck_campaigns_weighting")
        ),
        sa.CheckConstraint("concurrency_limit >= 0", name=op.f("ck_campaigns_concurrency_limit")),
        sa.CheckConstraint("daily_cap >= 0", name=op.f("ck_campaigns_daily_cap")),
        sa.CheckConstraint("hourly_cap >= 0", name=op.f("ck_campaigns_hourly_cap")),
        sa.CheckConstraint("monthly_cap >= 0", name=op.f("ck_campaigns_monthly_cap")),
        sa.CheckConstraint("total_cap >= 0", name=op.f("ck_campaigns_total_cap")),
        sa.ForeignKeyConstraint(
            ["flow_id"], ["flows.id"], name=op.f("fk_campaigns_flow_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name=op.f("fk_campaigns_schedule_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
        sa.UniqueConstraint("name", name=op.f("uq_campaigns_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "buyer_group_members",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("buyer_id", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Integer(), server_default=sa.text("(100)"), nullable=False),
        sa.Column("priority", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("weight BETWEEN 0 AND 100", name=op.f("ck_buyer_group_members_weight")),
        sa.ForeignKeyConstraint(
            ["buyer_id"], ["buyers.id"], name=op.f("fk_buyer_group_members_buyer_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["buyer_groups.id"],
            name=op.f("fk_buyer_group_members_group_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_buyer_group_members")),
        sa.UniqueConstraint("group_id", "buyer_id", name=op.f("uq_buyer_group_members_group_id_buyer_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_buyer_group_members_buyer_id", "buyer_group_members", ["buyer_id"], unique=False)
    op.create_table(
        "campaign_buyers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("buyer_id", sa.Integer(), nullable=True),
        sa.Column("group_id", sa.Integer(), nullable=True),
        sa.Column("tier", sa.Integer(), nullable=True),
        sa.Column("weight", sa.Integer(), nullable=True),
        sa.Column("status", sa.Text(), server_default=sa.text("'ACTIVE'"), nullable=False),
        sa.CheckConstraint("status IN ('ACTIVE', 'INACTIVE')", name=op.f("ck_campaign_buyers_status")),
        sa.CheckConstraint(
            "(buyer_id IS NULL) != (group_id IS NULL)", name=op.f("ck_campaign_buyers_buyer_xor_group")
        ),
        sa.CheckConstraint("weight BETWEEN 0 AND 100", name=op.f("ck_campaign_buyers_weight")),
        sa.ForeignKeyConstraint(
            ["buyer_id"], ["buyers.id"], name=op.f("fk_campaign_buyers_buyer_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_buyers_campaign_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["group_id"], ["buyer_groups.id"], name=op.f("fk_campaign_buyers_group_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_buyers")),
        sa.UniqueConstraint("campaign_id", "buyer_id", name=op.f("uq_campaign_buyers_campaign_id_buyer_id")),
        sa.UniqueConstraint("campaign_id", "group_id", name="uq_campaign_buyers_campaign_group"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_campaign_buyers_buyer_id", "campaign_buyers", ["buyer_id"], unique=False)
    op.create_index("ix_campaign_buyers_group_id", "campaign_buyers", ["group_id"], unique=False)
    op.create_table(
        "numbers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("phone_number", sa.String(), nullable=False),
        sa.Column("friendly_name", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=True),
        sa.Column("traffic_source_id", sa.Integer(), nullable=True),
        sa.Column("flow_id", sa.Integer(), nullable=True),
        sa.Column("forward_to", sa.String(), nullable=True),
        sa.Column("pass_caller_id", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("record", sa.Boolean(), nullable=True),
        sa.Column("ring_timeout_s", sa.Integer(), server_default=sa.text("(30)"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'ACTIVE'"), nullable=False),
        sa.Column("monthly_cost_cents", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("notes", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.CheckConstraint("status IN ('ACTIVE', 'INACTIVE')", name=op.f("ck_numbers_status")),
        sa.CheckConstraint("monthly_cost_cents >= 0", name=op.f("ck_numbers_monthly_cost_cents")),
        sa.CheckConstraint("ring_timeout_s >= 5", name=op.f("ck_numbers_ring_timeout_s")),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_numbers_campaign_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["flow_id"], ["flows.id"], name=op.f("fk_numbers_flow_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["traffic_source_id"],
            ["traffic_sources.id"],
            name=op.f("fk_numbers_traffic_source_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_numbers")),
        sa.UniqueConstraint("phone_number", name=op.f("uq_numbers_phone_number")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_numbers_campaign_id", "numbers", ["campaign_id"], unique=False)
    op.create_index("ix_numbers_traffic_source_id", "numbers", ["traffic_source_id"], unique=False)
    op.create_table(
        "state_rules",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("state_code", sa.String(length=2), nullable=False),
        sa.Column("buyer_id", sa.Integer(), nullable=True),
        sa.Column("action", sa.Text(), server_default=sa.text("'block'"), nullable=False),
        sa.Column("consent_type", sa.Text(), server_default=sa.text("'none'"), nullable=False),
        sa.Column("notes", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.CheckConstraint(
            "action IN ('allow', 'block', 'require_consent')", name=op.f("ck_state_rules_action")
        ),
        sa.CheckConstraint(
            "consent_type IN ('verbal', 'written', 'none')", name=op.f("ck_state_rules_consent_type")
        ),
        sa.ForeignKeyConstraint(
            ["buyer_id"], ["buyers.id"], name=op.f("fk_state_rules_buyer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_state_rules")),
        sa.UniqueConstraint("state_code", "buyer_id", name=op.f("uq_state_rules_state_code_buyer_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_state_rules_buyer_id", "state_rules", ["buyer_id"], unique=False)
    op.create_table(
        "suppression_lists",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("phone_number", sa.String(), nullable=False),
        sa.Column("list_type", sa.Text(), server_default=sa.text("'blacklist'"), nullable=False),
        sa.Column("buyer_id", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("added_by", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(list_type = 'buyer_suppression') = (buyer_id IS NOT NULL)",
            name=op.f("ck_suppression_lists_buyer_named"),
        ),
        sa.CheckConstraint(
            "list_type IN ('buyer_suppression', 'global_suppression', 'blacklist', 'whitelist')",
            name=op.f("ck_suppression_lists_list_type"),
        ),
        sa.ForeignKeyConstraint(
            ["buyer_id"], ["buyers.id"], name=op.f("fk_suppression_lists_buyer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppression_lists")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_suppression_lists_buyer_id", "suppression_lists", ["buyer_id"], unique=False)
    op.create_index("ix_suppression_lists_phone_number", "suppression_lists", ["phone_number"], unique=False)
    op.execute("INSERT INTO config_version (id, version, updated_at) VALUES (1, 1, 0)")


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
