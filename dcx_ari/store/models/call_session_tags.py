"""Which calls have which tags."""

from __future__ import annotations

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Line
from dcx_ari.store.types import Millis


class CallSessionTag(SQLModel, table=True):
    """A tag on a call."""

    __tablename__ = "call_session_tags"
    __table_args__ = (Index("ix_call_session_tags_tag", "tag_id", "call_session_id"),)

    call_session_id: str = Field(primary_key=True, foreign_key="calls.id", ondelete="CASCADE", description="Call")
    tag_id: int = Field(primary_key=True, foreign_key="call_tags.id", ondelete="CASCADE", description="Tag")
    created_by: Line = Field(default="", description="Who tagged it")
    created_at: int = Field(default=0, sa_type=Millis, description="When, epoch ms")
