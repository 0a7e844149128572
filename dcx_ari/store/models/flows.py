"""Flow documents: what callers go through before they are routed."""

from __future__ import annotations

from typing import Any, Literal

from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Label
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow, choice, json_field, one_of

FlowStatus = Literal["draft", "published"]


class FlowFields(SQLModel):
    name: Label = Field(unique=True, description="Name of the flow")
    document: dict[str, Any] = json_field(dict[str, Any], "The flow document", factory=dict)
    status: FlowStatus = choice("draft", "draft or published")


class Flow(FlowFields, ConfigRow, table=True):
    """`version` is the version of the document that a call row names."""

    __tablename__ = "flows"
    __table_args__ = (one_of("status", FlowStatus), AUTOINCREMENT)
