"""The rule that keeps out callers who ring too often. One row, or none: off."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le
from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from dcx_ari.store.models.base import between
from dcx_ari.store.types import Millis


class VelocityRuleFields(SQLModel):
    calls: Annotated[int, Ge(2), Le(1_000)] = Field(description="So many calls from one number")
    minutes: Annotated[int, Ge(1), Le(1_440)] = Field(description="within so many minutes")
    block_minutes: Annotated[int, Ge(1), Le(525_600)] = Field(description="keep it out for so many minutes")


class VelocityRule(VelocityRuleFields, table=True):
    __tablename__ = "velocity_rule"
    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        between("calls", 2, 1_000),
        between("minutes", 1, 1_440),
        between("block_minutes", 1, 525_600),
    )

    id: int = Field(default=1, primary_key=True)
    updated_at: int = Field(default=0, sa_type=Millis, description="Last change, epoch ms")
