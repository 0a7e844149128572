"""Prompts: sounds of one's own, by name."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints
from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from dcx_ari.store.models.base import AUTOINCREMENT, ConfigRow
from dcx_ari.store.types import Millis

PROMPT_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
PromptName = Annotated[str, StringConstraints(pattern=PROMPT_NAME)]


class PromptFields(SQLModel):
    name: PromptName = Field(unique=True, description="What flows call it")
    text: str | None = Field(default=None, sa_type=Text, description="What it says, where it was spoken from text")
    voice: str | None = Field(default=None, description="Voice it was spoken with")


class Prompt(PromptFields, ConfigRow, table=True):
    """One file of 8 kHz, named by its content: what a caller hears is never exchanged under way."""

    __tablename__ = "prompts"
    __table_args__ = (AUTOINCREMENT,)

    path: str = Field(description="Relative to the home directory")
    duration_ms: int
    size_bytes: int = Field(sa_type=Millis)
    sha256: str = Field(description="Of the file, hexadecimal")
