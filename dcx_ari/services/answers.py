"""For those who ask step by step: the rule of each single answer, and what there is to choose from."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.parse import first_fault
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.fields import e164, endpoint, zone
from dcx_ari.store.models import Number

__all__ = ["check_field", "e164", "endpoint", "free_numbers", "names", "numbers_of", "zone"]


def check_field(kind: str, name: str, text: str) -> str:
    """The text, if the field of this kind of row takes it; empty where the field may be left out.

    Raises Invalid, ValueError with the rule in words.
    """
    fields = RESOURCES[kind].fields
    if not text:
        if fields.model_fields[name].is_required():
            raise ValueError("is required")
        return text
    validator: Any = fields.__pydantic_validator__
    try:
        validator.validate_assignment(fields.model_construct(), name, text)
    except ValidationError as error:
        raise first_fault(error) from None
    return text


async def names(session: AsyncSession, kind: str) -> list[str]:
    """The keys of all rows of a kind, oldest first."""
    model: Any = RESOURCES[kind].model
    query = select(getattr(model, RESOURCES[kind].key or "id")).order_by(model.id)
    return [str(each) for each in (await session.exec(query)).all()]


async def numbers_of(session: AsyncSession, campaign_id: int) -> list[str]:
    query = select(Number.phone_number).where(col(Number.campaign_id) == campaign_id)
    return list((await session.exec(query.order_by(col(Number.id)))).all())


async def free_numbers(session: AsyncSession) -> list[str]:
    """Numbers that no source has."""
    query = select(Number.phone_number).where(col(Number.traffic_source_id).is_(None))
    return list((await session.exec(query.order_by(col(Number.phone_number)))).all())
