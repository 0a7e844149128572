"""What is told of changes that people make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.store.outbox import tell


async def buyer_changed(session: AsyncSession, row: Any, changed: Mapping[str, Any], reason: str | None) -> None:
    """Tell that a buyer was paused, in the transaction that does it."""
    if changed.get("status") == "INACTIVE":
        await tell(session, "buyer.paused", {"buyer_id": row.id, "name": row.name, "reason": reason or ""})
