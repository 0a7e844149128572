"""Engine processes by slot name."""

from __future__ import annotations

from typing import Literal

from sqlmodel import Field, SQLModel

from dcx_ari.store.models.base import choice
from dcx_ari.store.types import Millis

WorkerState = Literal["up", "draining", "gone"]
"""`draining`: takes no new calls. `gone`: ended by itself, its calls are free to be taken over."""


class Worker(SQLModel, table=True):
    """One slot such as `dcx-0`, whichever process has it. The next one reads how long the last was alive."""

    __tablename__ = "workers"

    slot: str = Field(primary_key=True, description="Name of its ARI application")
    pid: int = Field(default=0)
    state: WorkerState = choice("up", "What it does")
    calls: int = Field(default=0, description="Live calls at the last sign of life")
    started_at: int = Field(default=0, sa_type=Millis, description="When the process began, epoch ms")
    seen_at: int = Field(default=0, sa_type=Millis, description="Last sign of life, epoch ms")
    asterisk_started: str = Field(default="", description="Start of the Asterisk it was connected to, as ARI says it")
