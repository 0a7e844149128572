"""Answers given to a wizard that was interrupted: kept until it is finished, by wizard and by who answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import col, delete
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.services.views import owner_of
from dcx_ari.store.models import WizardDraft


async def load(session: AsyncSession, wizard: str) -> dict[str, Any]:
    """Answers so far; empty where nothing was begun."""
    row = await session.get(WizardDraft, (wizard, owner_of(session)))
    return dict(row.answers) if row is not None else {}


async def save(session: AsyncSession, wizard: str, answers: Mapping[str, Any]) -> None:
    """Keep these answers instead of those there are."""
    row = await session.get(WizardDraft, (wizard, owner_of(session)))
    if row is None:
        row = WizardDraft(wizard=wizard, owner=owner_of(session))
    row.answers, row.updated_at = dict(answers), now_ms()
    session.add(row)
    await session.flush()


async def forget(session: AsyncSession, wizard: str) -> None:
    mine = (col(WizardDraft.wizard) == wizard, col(WizardDraft.owner) == owner_of(session))
    await session.exec(delete(WizardDraft).where(*mine))
