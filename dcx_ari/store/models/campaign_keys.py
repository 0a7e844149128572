"""Keys that a campaign gives to those who send it leads or ask it for numbers."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from dcx_ari.store.models.base import choice, one_of
from dcx_ari.store.types import Millis

KeyKind = Literal["leads", "numbers"]


class CampaignKey(SQLModel, table=True):
    """The hash of a key; `prefix` is its first characters, to tell keys apart."""

    __tablename__ = "campaign_keys"
    __table_args__ = (UniqueConstraint("campaign_id", "kind"), one_of("kind", KeyKind))

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = Field(foreign_key="campaigns.id", ondelete="CASCADE", description="Campaign")
    kind: KeyKind = choice("leads", "leads or numbers")
    prefix: str = Field(description="First eight characters")
    key_hash: str = Field(unique=True, description="SHA-256, hexadecimal")
    created_at: int = Field(default=0, sa_type=Millis, description="Made, epoch ms")
