"""API keys: only the hash of the secret is kept."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen
from pydantic import BeforeValidator, StringConstraints
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Label, Network, moment
from dcx_ari.store.models.base import AUTOINCREMENT, choice, json_field
from dcx_ari.store.types import Millis

RoleName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
Rate = Annotated[int, Ge(0), Le(1_000_000)]


class KeyFields(SQLModel):
    """`buyer_id` and `traffic_source_id` are no foreign keys: a key whose buyer is gone must see nothing, not all."""

    name: Annotated[Label, StringConstraints(max_length=100)] = Field(unique=True, description="Who uses it")
    role: RoleName = choice("admin", "admin, manager, agent, viewer, or a role of your own")
    rate_limit_per_minute: Rate = Field(default=60, description="Requests a minute; 0: no limit")
    allowed_ip_ranges: Annotated[list[Network], MaxLen(100)] = json_field(
        list[str], "Networks it may be used from; none: from everywhere", factory=list
    )
    expires_at: Annotated[int, BeforeValidator(moment)] | None = Field(
        default=None, sa_type=Millis, description="Until when, such as 2026-12-31T00:00:00Z; empty: for ever"
    )
    buyer_id: int | None = Field(default=None, description="Sees only what belongs to this buyer")
    traffic_source_id: int | None = Field(default=None, description="Sees only what belongs to this traffic source")


class ApiKey(KeyFields, table=True):
    __tablename__ = "api_keys"
    __table_args__: Any = AUTOINCREMENT

    id: int | None = Field(default=None, primary_key=True)
    prefix: str = Field(description="First characters, to tell keys apart")
    key_hash: str = Field(unique=True, description="SHA-256 of the key, hexadecimal")
    created_at: int = Field(default=0, sa_type=Millis)
    last_used_at: int | None = Field(default=None, sa_type=Millis)
    last_used_ip: str | None = None
    revoked_at: int | None = Field(default=None, sa_type=Millis)
    previous_hash: str | None = Field(default=None, unique=True, description="The secret before the last rotation")
    previous_until: int | None = Field(default=None, sa_type=Millis, description="How long that one still works")
