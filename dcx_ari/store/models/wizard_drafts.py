"""Answers given to a wizard that has not finished."""

from __future__ import annotations

from typing import Any

from sqlmodel import Field, SQLModel

from dcx_ari.store.models.base import json_field
from dcx_ari.store.types import Millis


class WizardDraft(SQLModel, table=True):
    __tablename__ = "wizard_drafts"

    wizard: str = Field(primary_key=True, description="Which wizard")
    owner: str = Field(primary_key=True, description="Who answers it")
    answers: dict[str, Any] = json_field(dict[str, Any], "Answers so far, by question", factory=dict)
    updated_at: int = Field(default=0, sa_type=Millis, description="Last answer, epoch ms")
