"""Traffic sources: who sends the calls and is paid for them."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Cap, Email, Label, Line, Notes, Status, Zone
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow, at_least, choice, json_field, one_of
from dcx_ari.store.models.values import DuplicateRule, Payout

PersonName = Annotated[str, StringConstraints(max_length=100)]


class TrafficSourceFields(SQLModel):
    name: Label = Field(unique=True, description="Name of the source")
    channel: Line = Field(default="", description="Kind of traffic: web, mobile, IVR, API …")
    supplier: Line = Field(default="", description="Who supplies it")
    status: Status = choice("ACTIVE", "ACTIVE or INACTIVE (paused)")
    first_name: PersonName = Field(default="", description="Contact's first name")
    last_name: PersonName = Field(default="", description="Contact's last name")
    company: Annotated[str, StringConstraints(max_length=200)] = Field(default="", description="Contact's company")
    email: Email = Field(default="", description="Contact's e-mail address")
    phone: Annotated[str, StringConstraints(max_length=50)] = Field(default="", description="Contact's phone")
    notes: Notes = Field(default="", description="Free text")
    number_limit: Cap | None = Field(default=None, description="Most numbers it may have; empty: no limit")
    timezone: Zone | None = Field(default=None, description="IANA zone in which caps are counted; empty: company's")
    daily_call_cap: Cap | None = Field(default=None, description="Most calls per day; empty: no limit")
    monthly_call_cap: Cap | None = Field(default=None, description="Most calls per month; empty: no limit")
    concurrency_limit: Cap | None = Field(default=None, description="Most calls at once; empty: no limit")
    auto_pause_on_cap: bool = Field(default=True, description="Refuse its calls while a cap is reached")
    payout: Payout | None = json_field(Payout, "What it gets for a call: {model, cents, …}")
    duplicate: DuplicateRule | None = json_field(DuplicateRule, "What to do with callers seen before")


class TrafficSource(TrafficSourceFields, ConfigRow, table=True):
    __tablename__ = "traffic_sources"
    __table_args__ = (
        one_of("status", Status),
        *at_least(0, ["number_limit", "daily_call_cap", "monthly_call_cap", "concurrency_limit"]),
        AUTOINCREMENT,
    )
