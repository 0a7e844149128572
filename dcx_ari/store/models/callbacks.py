"""Calls that somebody has to make."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator
from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import E164, Line, Notes, moment
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow, choice, one_of
from dcx_ari.store.types import Millis

Priority = Literal["low", "normal", "high", "urgent"]
CallbackStatus = Literal["pending", "in-progress", "completed", "cancelled"]
OPEN: tuple[CallbackStatus, ...] = ("pending", "in-progress")


class CallbackFields(SQLModel):
    """What a person says of a callback; `call_id` is the call it came of."""

    phone_number: E164 = Field(description="Who is to be called, E.164")
    due_at: Annotated[int, BeforeValidator(moment)] = Field(sa_type=Millis, description="When, epoch ms")
    priority: Priority = choice("normal", "low, normal, high or urgent")
    assigned_to: Line | None = Field(default=None, description="Who is to call")
    notes: Notes = Field(default="", description="Anything worth knowing")
    call_id: str | None = Field(default=None, foreign_key="calls.id", ondelete="SET NULL", index=True)
    campaign_id: int | None = Field(default=None, foreign_key="campaigns.id", ondelete="SET NULL")
    retry: bool = Field(default=False, description="The call itself is to be tried again")


class Callback(CallbackFields, ConfigRow, table=True):
    __tablename__ = "callback_requests"
    __table_args__ = (
        one_of("priority", Priority),
        one_of("status", CallbackStatus),
        Index("ix_callback_requests_due", "status", "due_at"),
        AUTOINCREMENT,
    )

    status: CallbackStatus = choice("pending", "pending, in-progress, completed or cancelled")
    created_by: Line = Field(default="", description="Who asked for it")
    completed_at: int | None = Field(default=None, sa_type=Millis, description="Completed, epoch ms")
    outcome: Line | None = Field(default=None, description="What came of it")
    reminded_at: int | None = Field(default=None, sa_type=Millis, description="Reminder told, epoch ms")
