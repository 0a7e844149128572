"""What is to be told to the outside: rows written with the fact, kept until they are delivered."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import Index, Text, text
from sqlmodel import Field, SQLModel

from dcx_ari.store.models.base import AUTOINCREMENT, choice, json_field, one_of
from dcx_ari.store.types import BigId, Millis

OutboxKind = Literal["webhook", "email", "slack"]
OutboxState = Literal["pending", "delivered", "dead", "discarded"]
_PENDING = text("state = 'pending'")


class OutboxRow(SQLModel, table=True):
    """One message to one receiver. `payload` is what is sent, letter for letter, at every attempt.

    Rows with the same `order_key` go out by `seq`, each after the one before it was delivered, died or was discarded.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        one_of("kind", OutboxKind),
        one_of("state", OutboxState),
        Index("ix_outbox_due", "next_at", sqlite_where=_PENDING, postgresql_where=_PENDING),
        Index("ix_outbox_order", "order_key", "seq", sqlite_where=_PENDING, postgresql_where=_PENDING),
        Index("ix_outbox_endpoint", "endpoint_id", "seq"),
        Index("ix_outbox_ended", "ended_at"),
        AUTOINCREMENT,
    )

    seq: int | None = Field(default=None, primary_key=True, sa_type=BigId, description="Order of writing")
    id: str = Field(unique=True, description="webhook-id: stays the same at every attempt")
    kind: OutboxKind = choice("webhook", "webhook, email or slack")
    event: str = Field(default="", description="What is told, such as call.completed")
    endpoint_id: int | None = Field(default=None, description="Webhook endpoint it goes to")
    call_id: str | None = Field(default=None, index=True)
    order_key: str | None = Field(default=None, description="Rows of one key go out one after the other")
    dedupe_key: str | None = Field(default=None, unique=True, description="There is one row of it, ever")
    payload: str = Field(default="", sa_type=Text, description="JSON")
    state: OutboxState = choice("pending", "pending, delivered, dead or discarded")
    attempts: int = Field(default=0)
    created_at: int = Field(default=0, sa_type=Millis)
    next_at: int = Field(default=0, sa_type=Millis, description="Not tried before, epoch ms")
    ended_at: int | None = Field(default=None, sa_type=Millis, description="Delivered, died or discarded, epoch ms")
    last_status: int | None = Field(default=None, description="HTTP or SMTP status of the last attempt")
    last_error: str | None = Field(default=None, sa_type=Text)
    recipients: dict[str, Any] | None = json_field(dict[str, Any], "E-mail: what became of each address")


class OutboxAttempt(SQLModel, table=True):
    """One try to deliver a row."""

    __tablename__ = "outbox_attempts"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    outbox_seq: int = Field(sa_type=BigId, foreign_key="outbox.seq", ondelete="CASCADE", index=True)
    at: int = Field(sa_type=Millis, description="Begun, epoch ms")
    took_ms: int = Field(default=0)
    status: int | None = Field(default=None, description="HTTP or SMTP status")
    error: str | None = Field(default=None, sa_type=Text)
    answer: str | None = Field(default=None, sa_type=Text, description="Start of what the receiver answered")
