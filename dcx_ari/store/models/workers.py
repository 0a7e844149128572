"""Engine processes by slot name."""

from __future__ import annotations

from sqlmodel import Field, SQLModel

from dcx_ari.store.types import Millis


class Worker(SQLModel, table=True):
    """One slot such as `dcx-0`, whichever process has it. The next one reads how long the last was alive."""

    __tablename__ = "workers"

    slot: str = Field(primary_key=True, description="Name of its ARI application")
    pid: int = Field(default=0)
    seen_at: int = Field(default=0, sa_type=Millis, description="Last sign of life, epoch ms")
    asterisk_started: str = Field(default="", description="Start of the Asterisk it was connected to, as ARI says it")
