"""What is allowed but will not do what was meant: told after a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services import publishing
from dcx_ari.services.resources import Resource
from dcx_ari.store import models as m


async def hints(session: AsyncSession, resource: Resource, row: Mapping[str, Any]) -> list[str]:
    if resource.name == "buyers":
        return await _buyer(session, row)
    if resource.name == "flows":
        return await publishing.advice(session, row)
    if resource.name == "numbers":
        led = row["campaign_id"] or row["flow_id"] or row["forward_to"]
        return [] if led else ["callers will be refused: give the number a campaign, a flow or forward_to"]
    return []


async def _buyer(session: AsyncSession, row: Mapping[str, Any]) -> list[str]:
    if row["endpoint_type"] != "PHONE_NUMBER":
        return []
    active = col(m.Trunk.status) == "ACTIVE"
    if row["trunk_id"] is not None:
        trunk = await session.get(m.Trunk, row["trunk_id"])
        paused = trunk is not None and trunk.status != "ACTIVE"
        return [f"no call will reach the buyer: trunk {row['trunk']} is paused"] if paused else []
    default = select(func.count()).where(active, col(m.Trunk.is_default).is_(True))
    count = (await session.exec(select(func.count()).select_from(m.Trunk).where(active))).one()
    if (await session.exec(default)).one() or count == 1:
        return []
    return ["no call will reach the buyer: no trunk serves phone numbers (dcx trunks add NAME --host … --default)"]
