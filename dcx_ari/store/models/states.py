"""Rules by US state of the caller."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Notes, StateCode
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow, choice, one_of

StateAction = Literal["allow", "block", "require_consent"]
ConsentType = Literal["verbal", "written", "none"]


class StateRuleFields(SQLModel):
    state_code: StateCode = Field(max_length=2, description="Two-letter US state code")
    buyer_id: int | None = Field(
        default=None,
        foreign_key="buyers.id",
        ondelete="CASCADE",
        index=True,
        description="For this buyer only; empty: for all",
    )
    action: StateAction = choice("block", "allow, block or require_consent")
    consent_type: ConsentType = choice("none", "Consent that is required: verbal, written or none")
    notes: Notes = Field(default="", description="Free text")


class StateRule(StateRuleFields, ConfigRow, table=True):
    __tablename__ = "state_rules"
    __table_args__ = (
        UniqueConstraint("state_code", "buyer_id"),
        one_of("action", StateAction),
        one_of("consent_type", ConsentType),
        AUTOINCREMENT,
    )
