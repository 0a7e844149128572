"""API keys: only the hash of the secret is kept."""

from __future__ import annotations

from typing import Literal

from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Label
from dcx_ari.store.models.base import AUTOINCREMENT, choice, one_of
from dcx_ari.store.types import Millis

Role = Literal["admin", "manager", "agent", "viewer"]


class ApiKey(SQLModel, table=True):
    __tablename__ = "api_keys"
    __table_args__ = (one_of("role", Role), AUTOINCREMENT)

    id: int | None = Field(default=None, primary_key=True)
    name: Label = Field(unique=True, description="Who uses it")
    prefix: str = Field(description="First characters, to tell keys apart")
    key_hash: str = Field(unique=True, description="SHA-256 of the key, hexadecimal")
    role: Role = choice("admin", "admin, manager, agent or viewer")
    created_at: int = Field(default=0, sa_type=Millis)
    last_used_at: int | None = Field(default=None, sa_type=Millis)
    revoked_at: int | None = Field(default=None, sa_type=Millis)
