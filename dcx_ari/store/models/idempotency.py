"""Requests that may be sent twice: what was asked under a key, and what was answered."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import LargeBinary, Text
from sqlmodel import Field, SQLModel

from dcx_ari.store.models.base import choice, one_of
from dcx_ari.store.types import Millis

KeyState = Literal["open", "done", "answered"]


class IdempotencyKey(SQLModel, table=True):
    """`open`: is being worked on; `done`: its changes are committed; `answered`: so is what was told.

    `holder` is whose request it was; `token` names the attempt that works on it.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (one_of("state", KeyState),)

    holder: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_hash: str = Field(description="SHA-256 of method, path and body, hexadecimal")
    state: KeyState = choice("open", "open, done or answered")
    token: str = Field()
    status: int | None = Field(default=None, description="HTTP status; empty: not answered yet")
    headers: str = Field(default="{}", sa_type=Text, description="JSON object")
    body: bytes | None = Field(default=None, sa_type=LargeBinary, description="Empty: not kept")
    created_at: int = Field(default=0, sa_type=Millis, index=True, description="Epoch ms")
