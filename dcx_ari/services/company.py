"""How the company writes dates and money. Its time zone is the setting DCX_TIMEZONE, its currency is US dollars."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services import audit
from dcx_ari.services.errors import Invalid
from dcx_ari.services.parse import suggest
from dcx_ari.store.models import Company

DATE_FORMATS = ("MM/DD/YYYY", "DD/MM/YYYY", "DD.MM.YYYY", "YYYY-MM-DD")
_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")  # the part of BCP 47 that is in use
_WRITABLE = ("date_format", "locale")


async def company(session: AsyncSession, timezone: str) -> dict[str, Any]:
    return _shown(await _row(session), timezone)


async def set_company(session: AsyncSession, timezone: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Raises Invalid."""
    row = await _row(session)
    before = _shown(row, timezone)
    for name, value in changes.items():
        if name not in _WRITABLE:
            fixed = name in before
            raise Invalid(name, "cannot be changed here" if fixed else f"is not known{suggest(name, _WRITABLE)}")
        if name == "date_format" and value not in DATE_FORMATS:
            raise Invalid(name, f"must be one of {', '.join(DATE_FORMATS)}")
        if name == "locale" and not (isinstance(value, str) and _LOCALE.fullmatch(value)):
            raise Invalid(name, "must be a locale such as en-US")
        setattr(row, name, value)
    session.add(row)
    await session.flush()
    after = _shown(row, timezone)
    if after != before:
        await audit.record(session, "company.updated", "company", 1, before, after)
    return after


async def _row(session: AsyncSession) -> Company:
    row = await session.get(Company, 1)
    return row if row is not None else Company()


def _shown(row: Company, timezone: str) -> dict[str, Any]:
    return {
        "timezone": timezone,
        "date_format": row.date_format,
        "currency": row.currency,
        "locale": row.locale,
    }
