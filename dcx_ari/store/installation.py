"""The secret that the workers of one database share."""

from __future__ import annotations

from sqlmodel import col, select

from dcx_ari.store.db import Database
from dcx_ari.store.models.installation import Installation


async def shared_secret(database: Database) -> bytes:
    """Not empty: without the row there is nothing that the workers could know each other by. Raises StoreError."""
    async with database.read() as session:
        return ((await session.exec(select(Installation.secret).where(col(Installation.id) == 1))).one()).encode()
