"""Words that people put on calls: quality-issue, follow-up, vip."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StringConstraints
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import label
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow

CallTagName = Annotated[str, StringConstraints(max_length=50, pattern=r"^[^,]*$"), AfterValidator(label)]
Color = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]


class CallTagFields(SQLModel):
    name: CallTagName = Field(unique=True, description="The tag, at most 50 characters, without a comma")
    color: Color = Field(default="#808080", description="Colour as #rrggbb")


class CallTag(CallTagFields, ConfigRow, table=True):
    __tablename__ = "call_tags"
    __table_args__ = (AUTOINCREMENT,)
