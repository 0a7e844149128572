"""Prompts, voicemails, and the prompt that a number greets with."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
EMPTY = sa.text("('')")
ZERO = sa.text("0")


def upgrade() -> None:
    op.add_column("numbers", sa.Column("voicemail_greeting", sa.String(length=255), nullable=True))
    op.create_table(
        "prompts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=ZERO, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=ZERO, nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("voice", sa.String(), nullable=True),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompts")),
        sa.UniqueConstraint("name", name=op.f("uq_prompts_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "voicemails",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("number_id", sa.Integer(), nullable=True),
        sa.Column("campaign_id", sa.Integer(), nullable=True),
        sa.Column("caller", sa.String(), server_default=EMPTY, nullable=False),
        sa.Column("audio", sa.Text(), server_default=sa.text("'recording'"), nullable=False),
        sa.Column("path", sa.String(), nullable=True),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), server_default=ZERO, nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("state", sa.Text(), server_default=sa.text("'new'"), nullable=False),
        sa.Column("priority", sa.Text(), server_default=sa.text("'normal'"), nullable=False),
        sa.Column("assigned_to", sa.String(), nullable=True),
        sa.Column("callback_scheduled_at", sa.BigInteger(), nullable=True),
        sa.Column("notes", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column("mail_to", JSON, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("transcription", sa.Text(), nullable=True),
        sa.Column("transcription_confidence", sa.Float(), nullable=True),
        sa.Column("transcribing", sa.Text(), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("transcription_error", sa.String(), nullable=True),
        sa.Column("transcription_tries", sa.Integer(), server_default=ZERO, nullable=False),
        sa.Column("transcription_next_at", sa.BigInteger(), server_default=ZERO, nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=ZERO, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=ZERO, nullable=False),
        sa.Column("heard_at", sa.BigInteger(), nullable=True),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("audio IN ('recording', 'ready', 'failed')", name=op.f("ck_voicemails_audio")),
        sa.CheckConstraint("priority IN ('low', 'normal', 'high', 'urgent')", name=op.f("ck_voicemails_priority")),
        sa.CheckConstraint("state IN ('new', 'heard', 'done')", name=op.f("ck_voicemails_state")),
        sa.CheckConstraint(
            "transcribing IN ('waiting', 'done', 'failed', 'none')", name=op.f("ck_voicemails_transcribing")
        ),
        sa.ForeignKeyConstraint(
            ["call_id"], ["calls.id"], name=op.f("fk_voicemails_call_id_calls"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_voicemails")),
    )
    op.create_index("ix_voicemails_audio", "voicemails", ["audio", "transcribing"])
    op.create_index(op.f("ix_voicemails_call_id"), "voicemails", ["call_id"])
    op.create_index("ix_voicemails_created", "voicemails", ["created_at"])


def downgrade() -> None:
    op.drop_table("voicemails")
    op.drop_table("prompts")
    op.drop_column("numbers", "voicemail_greeting")
