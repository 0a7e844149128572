"""Tracked numbers: what callers dial."""

from __future__ import annotations

from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import E164, Cents, Endpoint, Line, Notes, Status
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow, at_least, choice, one_of
from dcx_ari.store.models.buyers import RingSeconds


class NumberFields(SQLModel):
    phone_number: E164 = Field(unique=True, description="The number callers dial, E.164")
    friendly_name: Line = Field(default="", description="A name for people")
    campaign_id: int | None = Field(
        default=None,
        foreign_key="campaigns.id",
        ondelete="RESTRICT",
        index=True,
        description="Campaign that takes its calls",
    )
    traffic_source_id: int | None = Field(
        default=None,
        foreign_key="traffic_sources.id",
        ondelete="RESTRICT",
        index=True,
        description="Traffic source that gets credit for its calls",
    )
    flow_id: int | None = Field(
        default=None,
        foreign_key="flows.id",
        ondelete="RESTRICT",
        description="Flow to run; empty: the campaign's",
    )
    forward_to: Endpoint | None = Field(default=None, description="Send calls straight here: E.164 or sip: URI")
    pass_caller_id: bool = Field(default=True, description="Show the caller's number; otherwise the dialled one")
    record: bool | None = Field(default=None, description="Record calls; empty: as the campaign says")
    ring_timeout_s: RingSeconds = Field(default=30, description="Seconds to ring forward_to, at least 5")
    status: Status = choice("ACTIVE", "ACTIVE or INACTIVE")
    monthly_cost_cents: Cents = Field(default=0, description="Rent per month, cents")
    voicemail_greeting: Line | None = Field(default=None, description="Prompt that greets before a voicemail")
    notes: Notes = Field(default="", description="Free text")


class Number(NumberFields, ConfigRow, table=True):
    __tablename__ = "numbers"
    __table_args__ = (
        one_of("status", Status),
        *at_least(0, ["monthly_cost_cents"]),
        *at_least(5, ["ring_timeout_s"]),
        AUTOINCREMENT,
    )
