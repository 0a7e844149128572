"""Calls, their legs, events and recordings."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = ("calls", "decision_tables", "call_events", "legs", "recordings")


def upgrade() -> None:
    op.create_table(
        "decision_tables",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_decision_tables")),
    )
    op.create_table(
        "calls",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("worker", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("node_id", sa.String(), nullable=True),
        sa.Column("channel_id", sa.String(), nullable=True),
        sa.Column("direction", sa.Text(), server_default=sa.text("'inbound'"), nullable=False),
        sa.Column("dialled", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("caller", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("caller_name", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("caller_state", sa.String(), nullable=True),
        sa.Column("number_id", sa.Integer(), nullable=True),
        sa.Column("campaign_id", sa.Integer(), nullable=True),
        sa.Column("traffic_source_id", sa.Integer(), nullable=True),
        sa.Column("buyer_id", sa.Integer(), nullable=True),
        sa.Column("group_id", sa.Integer(), nullable=True),
        sa.Column("flow_id", sa.Integer(), nullable=True),
        sa.Column("flow_version", sa.Integer(), nullable=True),
        sa.Column("stage", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("stage_data", JSON, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'RINGING'"), nullable=False),
        sa.Column("failure_reason", sa.String(), nullable=True),
        sa.Column("tags", JSON, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("connected_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("talk_ms", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("billable_ms", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("cause", sa.Integer(), nullable=True),
        sa.Column("revenue_cents", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("payout_cents", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cost_cents", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("converted", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("converted_at", sa.BigInteger(), nullable=True),
        sa.Column("source_converted", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("test", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("decision", JSON, nullable=True),
        sa.Column("config_version", sa.Integer(), nullable=True),
        sa.Column("postback_key", sa.String(), nullable=True),
        sa.Column("sip_call_id", sa.String(), nullable=True),
        sa.Column("headers", JSON, server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("direction IN ('inbound', 'outbound')", name=op.f("ck_calls_direction")),
        sa.CheckConstraint("ended_by IN ('caller', 'buyer', 'system')", name=op.f("ck_calls_ended_by")),
        sa.CheckConstraint(
            "status IN ('RINGING', 'IN_PROGRESS', 'ON_HOLD', 'COMPLETED', 'NO_ANSWER', 'BUSY', "
            "'FAILED', 'ABANDONED', 'BLOCKED', 'VOICEMAIL')",
            name=op.f("ck_calls_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calls")),
        sa.UniqueConstraint("postback_key", name=op.f("uq_calls_postback_key")),
    )
    op.create_index("ix_calls_buyer", "calls", ["buyer_id", "started_at"], unique=False)
    op.create_index("ix_calls_caller", "calls", ["caller", "started_at"], unique=False)
    op.create_index("ix_calls_campaign", "calls", ["campaign_id", "started_at"], unique=False)
    op.create_index("ix_calls_log", "calls", ["started_at", "status", "buyer_id"], unique=False)
    op.create_index(
        "ix_calls_open",
        "calls",
        ["worker"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("ix_calls_source", "calls", ["traffic_source_id", "started_at"], unique=False)
    op.create_table(
        "call_events",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("data", JSON, server_default=sa.text("'{}'"), nullable=False),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=op.f("fk_call_events_call_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_events")),
        sa.UniqueConstraint("call_id", "seq", name=op.f("uq_call_events_call_id_seq")),
    )
    op.create_table(
        "legs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("buyer_id", sa.Integer(), nullable=True),
        sa.Column("group_id", sa.Integer(), nullable=True),
        sa.Column("trunk_id", sa.Integer(), nullable=True),
        sa.Column("endpoint", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("position", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("dialled_at", sa.BigInteger(), nullable=True),
        sa.Column("ringing_at", sa.BigInteger(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("accepted_at", sa.BigInteger(), nullable=True),
        sa.Column("bridged_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.String(), nullable=True),
        sa.Column("cause", sa.Integer(), nullable=True),
        sa.Column("tech_cause", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=op.f("fk_legs_call_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legs")),
    )
    op.create_index("ix_legs_call_id", "legs", ["call_id"], unique=False)
    op.create_table(
        "recordings",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("leg_id", sa.String(), nullable=True),
        sa.Column("path", sa.String(), nullable=True),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("channels", sa.Integer(), server_default=sa.text("2"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'recording'"), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("pauses", JSON, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.CheckConstraint("state IN ('recording', 'processing', 'ready', 'failed')", name=op.f("ck_recordings_state")),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=op.f("fk_recordings_call_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["leg_id"], ["legs.id"], name=op.f("fk_recordings_leg_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recordings")),
    )
    op.create_index("ix_recordings_call_id", "recordings", ["call_id"], unique=False)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
