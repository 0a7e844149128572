"""Who runs the jobs, what was done once, and when each job ran."""

from __future__ import annotations

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from dcx_ari.store.types import Millis


class Lease(SQLModel, table=True):
    """One process does the work of `name` until `until_at`; it renews before that."""

    __tablename__ = "leases"

    name: str = Field(primary_key=True)
    holder: str = Field(default="")
    until_at: int = Field(default=0, sa_type=Millis, description="Epoch ms")


class Claim(SQLModel, table=True):
    """Something that is done once: who inserts the key, in the transaction of what it does, did it."""

    __tablename__ = "claims"

    key: str = Field(primary_key=True)
    at: int = Field(default=0, sa_type=Millis)
    keep_until: int | None = Field(default=None, sa_type=Millis, index=True, description="Empty: for ever")


class JobRun(SQLModel, table=True):
    """The last run of a job."""

    __tablename__ = "job_runs"

    name: str = Field(primary_key=True)
    ran_at: int = Field(default=0, sa_type=Millis)
    next_at: int = Field(default=0, sa_type=Millis)
    error: str | None = Field(default=None, sa_type=Text, description="Why the last run failed; empty: it did not")
