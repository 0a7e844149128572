"""The call log: local times, tags, notes, outcomes, callbacks, legal holds, retention."""

from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from dcx_ari.store.local_times import company_zone, write_local_times

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WHOLE_NUMBERS = ("local_day", "local_hour", "local_weekday", "local_minute")
TEXTS = {"calls": ("caller_city", "outcome"), "recordings": ("delete_reason",)}
MOMENTS = ("deleting_at", "deleted_at")
LOGGED = (
    *("started_at", "id", "status", "buyer_id", "campaign_id", "traffic_source_id", "number_id", "group_id"),
    *("caller", "caller_state", "caller_city", "direction", "converted", "test", "talk_ms"),
    *("revenue_cents", "payout_cents", "cost_cents", "connected_at", "ended_at"),
    *("local_day", "local_hour", "local_weekday", "local_minute", "failure_reason", "outcome"),
)
TABLES = (
    "call_session_tags",
    "call_notes",
    "legal_holds",
    "carrier_lookups",
    "callback_requests",
    "recording_retention_rules",
)


def upgrade() -> None:
    for name in WHOLE_NUMBERS:
        op.add_column("calls", sa.Column(name, sa.Integer(), nullable=True))
    for name in MOMENTS:
        op.add_column("recordings", sa.Column(name, sa.BigInteger(), nullable=True))
    for table, names in TEXTS.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.String(), nullable=True))
    write_local_times(op.get_bind(), ZoneInfo(company_zone()))  # by the index as it was
    op.drop_index("ix_calls_log", "calls")
    op.create_index("ix_calls_log", "calls", LOGGED, unique=False)
    _said_of_calls()
    _callbacks()
    op.create_table(
        "recording_retention_rules",
        *_row(),
        sa.Column("campaign_id", sa.Integer(), nullable=True),
        sa.Column("retention_days", sa.Integer(), nullable=True),
        sa.Column("exceptions", JSON, server_default=sa.text("'{}'"), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaigns.id"],
            name=op.f("fk_recording_retention_rules_campaign_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording_retention_rules")),
        sa.UniqueConstraint("campaign_id", name=op.f("uq_recording_retention_rules_campaign_id")),
        sqlite_autoincrement=True,
    )


def _row() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
    ]


def _by() -> list[sa.Column[Any]]:
    return [
        sa.Column("created_by", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    ]


def _said_of_calls() -> None:
    op.create_table(
        "call_session_tags",
        sa.Column("call_session_id", sa.String(), nullable=False),
        sa.Column("tag_id", sa.Integer(), nullable=False),
        *_by(),
        sa.ForeignKeyConstraint(
            ["call_session_id"], ["calls.id"], name=op.f("fk_call_session_tags_call_session_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tag_id"], ["call_tags.id"], name=op.f("fk_call_session_tags_tag_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("call_session_id", "tag_id", name=op.f("pk_call_session_tags")),
    )
    op.create_index("ix_call_session_tags_tag", "call_session_tags", ["tag_id", "call_session_id"], unique=False)
    op.create_table(
        "call_notes",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        *_by(),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=op.f("fk_call_notes_call_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_notes")),
    )
    op.create_index("ix_call_notes_call_id", "call_notes", ["call_id"], unique=False)
    op.create_table(
        "legal_holds",
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        *_by(),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=op.f("fk_legal_holds_call_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_legal_holds")),
    )
    op.create_table(
        "carrier_lookups",
        sa.Column("phone_number", sa.String(), nullable=False),
        sa.Column("carrier", sa.String(), nullable=True),
        sa.Column("is_mobile", sa.Boolean(), nullable=True),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("phone_number", name=op.f("pk_carrier_lookups")),
    )


def _callbacks() -> None:
    op.create_table(
        "callback_requests",
        *_row(),
        sa.Column("phone_number", sa.String(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("priority", sa.Text(), server_default=sa.text("'normal'"), nullable=False),
        sa.Column("assigned_to", sa.String(), nullable=True),
        sa.Column("notes", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("call_id", sa.String(), nullable=True),
        sa.Column("campaign_id", sa.Integer(), nullable=True),
        sa.Column("retry", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("created_by", sa.String(), server_default=sa.text("('')"), nullable=False),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("reminded_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "priority IN ('low', 'normal', 'high', 'urgent')", name=op.f("ck_callback_requests_priority")
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'in-progress', 'completed', 'cancelled')", name=op.f("ck_callback_requests_status")
        ),
        sa.ForeignKeyConstraint(
            ["call_id"], ["calls.id"], name=op.f("fk_callback_requests_call_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_callback_requests_campaign_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callback_requests")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_callback_requests_call_id", "callback_requests", ["call_id"], unique=False)
    op.create_index("ix_callback_requests_due", "callback_requests", ["status", "due_at"], unique=False)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_index("ix_calls_log", "calls")
    op.create_index("ix_calls_log", "calls", ["started_at", "status", "buyer_id"], unique=False)
    for name in (*WHOLE_NUMBERS, *TEXTS["calls"]):
        op.drop_column("calls", name)
    for name in (*MOMENTS, *TEXTS["recordings"]):
        op.drop_column("recordings", name)
