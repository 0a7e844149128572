"""Groups of buyers that share caps and a way of choosing."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Cap, Label, Notes, Status, Weight, Zone
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow, at_least, between, choice, one_of
from dcx_ari.store.models.buyers import Tier

GroupStrategy = Literal["priority", "weighted", "round_robin", "simultaneous"]


class BuyerGroupFields(SQLModel):
    name: Label = Field(unique=True, description="Name of the group")
    routing_strategy: GroupStrategy = choice("priority", "priority, weighted, round_robin or simultaneous")
    status: Status = choice("ACTIVE", "ACTIVE or INACTIVE (paused)")
    hourly_cap: Cap | None = Field(default=None, description="Most calls per hour of all members together")
    daily_cap: Cap | None = Field(default=None, description="Most calls per day of all members together")
    monthly_cap: Cap | None = Field(default=None, description="Most calls per month of all members together")
    total_cap: Cap | None = Field(default=None, description="Most calls ever of all members together")
    concurrency_limit: Cap | None = Field(default=None, description="Most calls at once of all members together")
    timezone: Zone | None = Field(default=None, description="IANA zone in which caps are counted; empty: company's")
    tier: Tier = Field(default=0, description="Lower tiers are offered first; may be negative")
    weight: Weight = Field(default=100, description="Share within a tier, 0 to 100")
    notes: Notes = Field(default="", description="Free text")


class BuyerGroup(BuyerGroupFields, ConfigRow, table=True):
    __tablename__ = "buyer_groups"
    __table_args__ = (
        one_of("routing_strategy", GroupStrategy),
        one_of("status", Status),
        between("weight", 0, 100),
        *at_least(0, ["hourly_cap", "daily_cap", "monthly_cap", "total_cap", "concurrency_limit"]),
        AUTOINCREMENT,
    )


class BuyerGroupMemberFields(SQLModel):
    group_id: int = Field(foreign_key="buyer_groups.id", ondelete="CASCADE", description="Group")
    buyer_id: int = Field(foreign_key="buyers.id", ondelete="CASCADE", index=True, description="Buyer")
    weight: Weight = Field(default=100, description="Share of the group's calls, 0 to 100")
    priority: Tier = Field(default=0, description="Lower is tried first within the group")


class BuyerGroupMember(BuyerGroupMemberFields, ConfigRow, table=True):
    __tablename__ = "buyer_group_members"
    __table_args__ = (UniqueConstraint("group_id", "buyer_id"), between("weight", 0, 100), AUTOINCREMENT)
