"""How long the audio of calls is kept."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le
from sqlmodel import Field, SQLModel

from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow, json_field

Days = Annotated[int, Ge(0), Le(36_500)]
Exceptions = dict[str, Days | Literal["forever"]]


class RetentionRuleFields(SQLModel):
    campaign_id: int | None = Field(
        default=None,
        foreign_key="campaigns.id",
        ondelete="CASCADE",
        unique=True,
        description="For this campaign; empty: for all others",
    )
    retention_days: Days | None = Field(default=None, description="Days from the end of the call; empty: forever")
    exceptions: Exceptions = json_field(
        Exceptions, "Longer for some: a tag, an outcome, converted or disputed -> days or forever", factory=dict
    )


class RetentionRule(RetentionRuleFields, ConfigRow, table=True):
    __tablename__ = "recording_retention_rules"
    __table_args__ = (AUTOINCREMENT,)
