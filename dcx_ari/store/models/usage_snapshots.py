"""What each buyer took on each day, kept beside the calls."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Date, UniqueConstraint
from sqlmodel import Field, SQLModel

from dcx_ari.store.models.base import AUTOINCREMENT
from dcx_ari.store.types import Millis


class BuyerUsageSnapshot(SQLModel, table=True):
    """One row per buyer and UTC day, by the start of the calls. Outlives its buyer."""

    __tablename__ = "buyer_usage_snapshots"
    __table_args__ = (UniqueConstraint("buyer_id", "snapshot_date"), AUTOINCREMENT)

    id: int | None = Field(default=None, primary_key=True)
    buyer_id: int = Field(description="Buyer")
    snapshot_date: date = Field(sa_type=Date, index=True, description="Day, UTC")
    calls_count: int = Field(default=0, description="Calls connected to the buyer")
    conversions_count: int = Field(default=0, description="Of these, sold")
    revenue_cents: int = Field(default=0, sa_type=Millis, description="What the ledger holds for them, cents")
    created_at: int = Field(default=0, sa_type=Millis, description="Counted, epoch ms")
