"""What people add to calls: notes and legal holds; and what look-ups said of callers."""

from __future__ import annotations

from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Line, Notes
from dcx_ari.store.types import BigId, Millis


class CallNote(SQLModel, table=True):
    """Text that somebody wrote about a call."""

    __tablename__ = "call_notes"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    call_id: str = Field(foreign_key="calls.id", ondelete="CASCADE", index=True)
    text: Notes = Field(description="The note")
    created_by: Line = Field(default="", description="Who wrote it")
    created_at: int = Field(default=0, sa_type=Millis, description="When, epoch ms")


class LegalHold(SQLModel, table=True):
    """A call whose recordings nothing may delete. No row: none."""

    __tablename__ = "legal_holds"

    call_id: str = Field(primary_key=True, foreign_key="calls.id", ondelete="RESTRICT")
    reason: Line = Field(description="Why")
    created_by: Line = Field(default="", description="Who asked for it")
    created_at: int = Field(default=0, sa_type=Millis, description="Since when, epoch ms")


class CarrierLookup(SQLModel, table=True):
    """What a look-up said of a number, for as long as it is believed."""

    __tablename__ = "carrier_lookups"

    phone_number: str = Field(primary_key=True, description="E.164")
    carrier: str | None = Field(default=None)
    is_mobile: bool | None = Field(default=None)
    name: str | None = Field(default=None)
    expires_at: int = Field(sa_type=Millis, description="Asked again after, epoch ms")
