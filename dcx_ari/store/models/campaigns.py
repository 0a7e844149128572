"""Campaigns, and the buyers and groups attached to them."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le
from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Cap, Label, Line, Notes, Seconds, Status, Weight, Zone
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow, at_least, between, choice, json_field, one_of
from dcx_ari.store.models.buyers import Tier
from dcx_ari.store.models.values import DuplicateRule, Fallback, Filter

CampaignStatus = Literal["ACTIVE", "INACTIVE", "ARCHIVED"]
Strategy = Literal["tier", "bid", "epc"]
Weighting = Literal["weighted_random", "smooth_wrr"]
RingTone = Literal["ringback", "music", "early_media"]
UnknownState = Literal["allow", "block"]
LIMITS = ("hourly_cap", "daily_cap", "monthly_cap", "total_cap", "concurrency_limit")


class CampaignFields(SQLModel):
    name: Label = Field(unique=True, description="Name of the campaign")
    vertical: Line = Field(default="", description="Line of business, such as MEDICARE")
    status: CampaignStatus = choice("ACTIVE", "ACTIVE, INACTIVE (paused) or ARCHIVED")
    strategy: Strategy = choice("tier", "Order of buyers: tier, bid (expected revenue) or epc (earnings per call)")
    weighting: Weighting = choice("weighted_random", "Among equals: weighted_random or smooth_wrr")
    flow_id: int | None = Field(
        default=None,
        foreign_key="flows.id",
        ondelete="RESTRICT",
        description="Flow callers go through; empty: straight to routing",
    )
    record: bool = Field(default=True, description="Record its calls")
    schedule_id: int | None = Field(
        default=None,
        foreign_key="schedules.id",
        ondelete="RESTRICT",
        description="Hours in which it takes calls",
    )
    timezone: Zone | None = Field(default=None, description="IANA zone in which caps are counted; empty: company's")
    max_attempts: Annotated[int, Ge(1), Le(100)] = Field(default=10, description="Most buyers to try for one call")
    max_route_s: Annotated[int, Ge(5), Le(3_600)] = Field(
        default=120, description="Most seconds to look for a buyer for one call"
    )
    recover_below_s: Seconds = Field(
        default=0,
        description="Buyer hung up before this many seconds of talk: offer the caller to the next; 0: never",
    )
    recover_max: Annotated[int, Ge(0), Le(100)] = Field(default=5, description="Most such new offers for one call")
    duplicate: DuplicateRule | None = json_field(DuplicateRule, "What to do with callers seen before")
    filters: list[Filter] = json_field(
        list[Filter], "Tests on the call's tags, all of which must hold: {tag, op, value}", factory=list
    )
    fallbacks: list[Fallback] = json_field(
        list[Fallback], "What to do when nobody takes the call: {on, kind, value}", factory=list
    )
    ring_tone: RingTone = choice("ringback", "What the caller hears meanwhile: ringback, music or early_media")
    unknown_state: UnknownState = choice("allow", "Callers whose state is unknown: allow or block")
    hourly_cap: Cap | None = Field(default=None, description="Most calls per hour; empty: no limit")
    daily_cap: Cap | None = Field(default=None, description="Most calls per day; empty: no limit")
    monthly_cap: Cap | None = Field(default=None, description="Most calls per month; empty: no limit")
    total_cap: Cap | None = Field(default=None, description="Most calls ever; empty: no limit")
    concurrency_limit: Cap | None = Field(default=None, description="Most calls at once; empty: no limit")
    enable_public_posting: bool = Field(default=False, description="Show how to post leads to anybody who asks")
    enable_public_list_view: bool = Field(default=False, description="Name the campaign in the public list")
    notes: Notes = Field(default="", description="Free text")


class Campaign(CampaignFields, ConfigRow, table=True):
    __tablename__ = "campaigns"
    __table_args__ = (
        one_of("status", CampaignStatus),
        one_of("strategy", Strategy),
        one_of("weighting", Weighting),
        one_of("ring_tone", RingTone),
        one_of("unknown_state", UnknownState),
        *at_least(0, LIMITS),
        AUTOINCREMENT,
    )


class CampaignBuyerFields(SQLModel):
    campaign_id: int = Field(foreign_key="campaigns.id", ondelete="CASCADE", description="Campaign")
    buyer_id: int | None = Field(
        default=None, foreign_key="buyers.id", ondelete="CASCADE", index=True, description="Buyer; or a group"
    )
    group_id: int | None = Field(
        default=None,
        foreign_key="buyer_groups.id",
        ondelete="CASCADE",
        index=True,
        description="Group; or a buyer",
    )
    tier: Tier | None = Field(default=None, description="Tier in this campaign; empty: its own")
    weight: Weight | None = Field(default=None, description="Weight in this campaign; empty: its own")
    status: Status = choice("ACTIVE", "ACTIVE or INACTIVE in this campaign")


class CampaignBuyer(CampaignBuyerFields, ConfigRow, table=True):
    __tablename__ = "campaign_buyers"
    __table_args__ = (
        CheckConstraint("(buyer_id IS NULL) != (group_id IS NULL)", name="buyer_xor_group"),
        UniqueConstraint("campaign_id", "buyer_id"),
        UniqueConstraint("campaign_id", "group_id", name="uq_campaign_buyers_campaign_group"),
        one_of("status", Status),
        between("weight", 0, 100),
        AUTOINCREMENT,
    )
