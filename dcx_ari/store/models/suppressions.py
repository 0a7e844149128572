"""Callers who are refused, or always let through."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator
from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import E164, Line, moment
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow, choice, one_of
from dcx_ari.store.types import Millis

ListType = Literal["buyer_suppression", "global_suppression", "blacklist", "whitelist"]


class SuppressionFields(SQLModel):
    phone_number: E164 = Field(index=True, description="Caller's number, E.164")
    list_type: ListType = choice("blacklist", "blacklist, whitelist, global_suppression or buyer_suppression")
    buyer_id: int | None = Field(
        default=None,
        foreign_key="buyers.id",
        ondelete="CASCADE",
        index=True,
        description="For this buyer only; empty: for all",
    )
    reason: Line = Field(default="", description="Why, such as spam, abuse, fraud")
    added_by: Line = Field(default="", description="Who added it")
    expires_at: Annotated[int, BeforeValidator(moment)] | None = Field(
        default=None, sa_type=Millis, description="Until when, such as 2026-12-31T00:00:00Z; empty: for ever"
    )


class Suppression(SuppressionFields, ConfigRow, table=True):
    __tablename__ = "suppression_lists"
    __table_args__ = (
        one_of("list_type", ListType),
        CheckConstraint("(list_type = 'buyer_suppression') = (buyer_id IS NOT NULL)", name="buyer_named"),
        AUTOINCREMENT,
    )
