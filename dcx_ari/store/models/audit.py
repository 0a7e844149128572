"""The audit log: who changed what, in a chain of hashes that shows a missing or altered entry.

Triggers refuse UPDATE and DELETE of entries.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index
from sqlmodel import Field, SQLModel

from dcx_ari.store.types import BigId, Millis


class AuditEntry(SQLModel, table=True):
    """One change. `id` counts without gaps; `changes` is canonical JSON: `{"after": {…}, "before": {…}}`."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_resource", "resource_type", "resource_id", "id"),
        Index("ix_audit_entries_action", "action", "id"),
        Index("ix_audit_entries_actor", "actor_kind", "actor_id", "id"),
        Index("ix_audit_entries_at", "at"),
    )

    id: int = Field(sa_column=Column(BigId, primary_key=True, autoincrement=False))
    at: int = Field(sa_type=Millis)
    action: str
    resource_type: str
    resource_id: str | None = None
    actor_kind: str
    actor_id: str | None = None
    actor_name: str
    address: str | None = None
    reason: str | None = None
    changes: str = "{}"
    previous: str = Field(description="Hash of the entry before this one; of the first one: 64 zeros")
    hash: str = Field(description="SHA-256 of `previous` and everything above, hexadecimal")


class AuditHead(SQLModel, table=True):
    """The end of the chain: one row, locked by whoever adds to it until that is committed."""

    __tablename__ = "audit_head"

    id: int = Field(default=1, primary_key=True)
    seq: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    hash: str = Field(default="0" * 64)
