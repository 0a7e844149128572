"""A row written, or refused by name where another writer was quicker: asking before is for the better message."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.errors import Conflict


async def flush(session: AsyncSession, field: str) -> None:
    """Raises Conflict where `field` is taken."""
    try:
        await session.flush()
    except IntegrityError:
        raise Conflict(field, "is taken by another, just now") from None
