"""Words that people put on calls: quality-issue, follow-up, vip."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StringConstraints
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Color, label
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow


def _without_comma(value: str) -> str:
    if "," in value:
        raise ValueError("must not contain a comma: lists of tags are written with commas")
    return label(value)


CallTagName = Annotated[str, StringConstraints(max_length=50), AfterValidator(_without_comma)]


class CallTagFields(SQLModel):
    name: CallTagName = Field(unique=True, description="The tag, at most 50 characters, without a comma")
    color: Color = Field(default="#808080", description="Colour as #rrggbb")


class CallTag(CallTagFields, ConfigRow, table=True):
    __tablename__ = "call_tags"
    __table_args__ = (AUTOINCREMENT,)
