"""What all workers of one database share, and nobody else."""

from __future__ import annotations

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel


class Installation(SQLModel, table=True):
    """One row, made with the database."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: int = Field(default=1, primary_key=True)
    secret: str = Field(default="", description="With which workers sign what they tell each other, hexadecimal")
