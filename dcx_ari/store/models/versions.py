"""One row that grows with every change of configuration."""

from __future__ import annotations

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from dcx_ari.store.types import Millis


class ConfigVersion(SQLModel, table=True):
    """Processes compare `version` with their snapshot's to know when to rebuild it."""

    __tablename__ = "config_version"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: int = Field(default=1, primary_key=True)
    version: int = Field(default=1)
    updated_at: int = Field(default=0, sa_type=Millis)
