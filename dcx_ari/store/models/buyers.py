"""Buyers: who takes the calls and pays for them."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import StringConstraints
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Cap, Cents, Digit, Label, Line, Notes, Seconds, Status, Weight, Zone
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow, at_least, between, choice, json_field, one_of
from dcx_ari.store.models.values import ConversionRule, DuplicateRule, Filter

EndpointType = Literal["PHONE_NUMBER", "SIP", "AGENT", "GROUP", "AI"]
CapMetric = Literal["connect", "attempt"]
CapMode = Literal["strict", "count_after"]
RingSeconds = Annotated[int, Ge(5), Le(600)]
Tier = Annotated[int, Ge(-1_000_000), Le(1_000_000)]
Skill = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]

LIMITS = (
    "concurrency_limit",
    "hourly_cap",
    "daily_cap",
    "monthly_cap",
    "total_cap",
    "converted_daily_limit",
    "converted_monthly_limit",
    "converted_total_limit",
    "revenue_cap_daily_cents",
    "revenue_cap_monthly_cents",
    "revenue_cap_total_cents",
    "min_seconds_between",
)


class BuyerFields(SQLModel):
    name: Label = Field(unique=True, description="Name of the buyer")
    endpoint_type: EndpointType = choice("PHONE_NUMBER", "PHONE_NUMBER, SIP, AGENT, GROUP or AI")
    endpoint_value: Line = Field(description="Where to reach the buyer: E.164 number or sip: URI")
    status: Status = choice("ACTIVE", "ACTIVE or INACTIVE (paused)")
    tier: Tier = Field(default=0, description="Lower tiers are offered first; may be negative")
    weight: Weight = Field(default=100, description="Share within a tier, 0 to 100")
    revenue_cents: Cents = Field(default=0, description="What the buyer pays for a conversion, cents")
    ring_timeout_s: RingSeconds = Field(default=30, description="Seconds to ring, at least 5")
    whisper: Annotated[str, StringConstraints(max_length=1_000)] | None = Field(
        default=None,
        description="Said to the buyer only, before the bridge; {{source}} {{state}} {{campaign}}",
    )
    accept_digit: Digit | None = Field(default=None, description="Digit the buyer must press to take the call")
    accept_timeout_s: Annotated[int, Ge(1), Le(120)] = Field(
        default=10, description="Seconds to wait for the accept digit"
    )
    timezone: Zone | None = Field(default=None, description="IANA zone in which caps are counted; empty: company's")
    trunk_id: int | None = Field(
        default=None,
        foreign_key="trunks.id",
        ondelete="RESTRICT",
        description="Trunk to dial by; empty: the default",
    )
    schedule_id: int | None = Field(
        default=None,
        foreign_key="schedules.id",
        ondelete="RESTRICT",
        description="Hours in which the buyer takes calls",
    )
    skills: list[Skill] = json_field(list[Skill], "Skills the buyer has", factory=list)
    filters: list[Filter] = json_field(
        list[Filter], "Tests on the call's tags, all of which must hold: {tag, op, value}", factory=list
    )
    duplicate: DuplicateRule | None = json_field(DuplicateRule, "What to do with callers seen before")
    cap_metric: CapMetric = choice("connect", "What call caps count: connect or attempt")
    cap_mode: CapMode = choice("strict", "strict: never one too many; count_after: count only what is booked")
    concurrency_limit: Cap | None = Field(default=None, description="Most calls at once; empty: no limit")
    hourly_cap: Cap | None = Field(default=None, description="Most calls per hour; empty: no limit")
    daily_cap: Cap | None = Field(default=None, description="Most calls per day; empty: no limit")
    monthly_cap: Cap | None = Field(default=None, description="Most calls per month; empty: no limit")
    total_cap: Cap | None = Field(default=None, description="Most calls ever; empty: no limit")
    converted_daily_limit: Cap | None = Field(default=None, description="Most conversions per day")
    converted_monthly_limit: Cap | None = Field(default=None, description="Most conversions per month")
    converted_total_limit: Cap | None = Field(default=None, description="Most conversions ever")
    revenue_cap_daily_cents: Cap | None = Field(default=None, description="Most revenue per day, cents")
    revenue_cap_monthly_cents: Cap | None = Field(default=None, description="Most revenue per month, cents")
    revenue_cap_total_cents: Cap | None = Field(default=None, description="Most revenue ever, cents")
    min_seconds_between: Seconds | None = Field(default=None, description="Least seconds between two attempts")
    conversion_rules: list[ConversionRule] = json_field(
        list[ConversionRule], "When a call is sold; the first rule that matches", factory=list
    )
    hold_postback_s: Annotated[int, Ge(0), Le(31_536_000)] = Field(
        default=0, description="Seconds to keep room in the caps for a postback"
    )
    accept_rerouted_max: Cap | None = Field(
        default=None, description="Takes callers that were connected at most this often before; empty: any"
    )
    notes: Notes = Field(default="", description="Free text")


class Buyer(BuyerFields, ConfigRow, table=True):
    __tablename__ = "buyers"
    __table_args__ = (
        one_of("endpoint_type", EndpointType),
        one_of("status", Status),
        one_of("cap_metric", CapMetric),
        one_of("cap_mode", CapMode),
        between("weight", 0, 100),
        *at_least(0, ["revenue_cents", *LIMITS]),
        *at_least(5, ["ring_timeout_s"]),
        AUTOINCREMENT,
    )
