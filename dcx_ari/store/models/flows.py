"""Flow documents: what callers go through before they are routed."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Label
from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow, choice, json_field, one_of
from dcx_ari.store.types import BigId, Millis

FlowStatus = Literal["draft", "published"]


class FlowFields(SQLModel):
    name: Label = Field(unique=True, description="Name of the flow")
    document: dict[str, Any] = json_field(dict[str, Any], "The draft: what is published next", factory=dict)
    status: FlowStatus = choice("draft", "published: callers go through its newest version")


class Flow(FlowFields, ConfigRow, table=True):
    """Keeps the draft; what callers go through is the newest of its `FlowVersion` rows, while it is published."""

    __tablename__ = "flows"
    __table_args__ = (one_of("status", FlowStatus), AUTOINCREMENT)


class FlowVersion(SQLModel, table=True):
    """A document as it was published: never changed. A call row names it by flow and number."""

    __tablename__ = "flow_versions"
    __table_args__ = (UniqueConstraint("flow_id", "number"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    flow_id: int = Field(foreign_key="flows.id", ondelete="CASCADE", description="The flow")
    number: int = Field(description="Counts up within the flow")
    document: dict[str, Any] = json_field(dict[str, Any], "The document", factory=dict)
    source: str | None = Field(default=None, sa_type=Text, description="The text as it was written, with comments")
    note: str = Field(default="", sa_type=Text, description="What was changed, and why")
    published_at: int = Field(default=0, sa_type=Millis, description="Published, epoch ms")
    published_by: str = Field(default="", sa_type=Text, description="By whom")
