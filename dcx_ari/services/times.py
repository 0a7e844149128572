"""Times as readers see them, and the company's clock."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from sqlmodel.ext.asyncio.session import AsyncSession

_COMPANY_ZONE = "America/New_York"


@lru_cache(maxsize=8192)
def rfc3339(at_ms: int) -> str:
    """`2026-01-31T09:00:00.000Z` from epoch milliseconds."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def zone_of(session: AsyncSession) -> ZoneInfo:
    """The company's time zone, as the session was told."""
    found: ZoneInfo | None = session.info.get("zone")
    return found if found is not None else ZoneInfo(_COMPANY_ZONE)
