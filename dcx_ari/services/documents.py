"""Flow documents as people write them, checked before they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.flows.document import BadFlow, from_data, load_yaml
from dcx_ari.services.errors import Invalid

__all__ = ["check_flow", "load_yaml"]


async def check_flow(_session: AsyncSession, values: Mapping[str, Any], _row_id: int | None) -> None:
    """A document that could not be run is refused when it is written, not found out by a caller."""
    try:
        from_data(values["document"])
    except BadFlow as error:
        raise Invalid("document", str(error)) from None
