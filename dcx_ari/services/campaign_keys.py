"""The two keys of a campaign: one to post leads with, one to ask for numbers with.

Both are random UUIDs (122 random bits), made when they are first asked for and shown that once; afterwards only
their SHA-256 and their first eight characters are known (see `services.keys`). Making new ones ends both old ones.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.services import audit
from dcx_ari.store.models import Campaign, CampaignKey, KeyKind

__all__ = ["KINDS", "Campaign", "KeyKind", "campaign_of", "column", "has_keys", "make_keys", "of_campaigns"]
KINDS: tuple[KeyKind, ...] = get_args(KeyKind)
_SHOWN = 8


async def of_campaigns(session: AsyncSession, rows: Sequence[Any]) -> Mapping[int, Mapping[str, Any]]:
    """By campaign: how its keys begin, such as `3f2a1b4c…`; null until they are asked for."""
    ids = [row.id for row in rows]
    found: dict[int, dict[str, Any]] = {row_id: dict.fromkeys(map(column, KINDS)) for row_id in ids}
    for row in (await session.exec(select(CampaignKey).where(col(CampaignKey.campaign_id).in_(ids)))).all():
        found[row.campaign_id][column(row.kind)] = f"{row.prefix}…"
    return found


def column(kind: KeyKind) -> str:
    """`leads_api_key`, `numbers_api_key`."""
    return f"{kind}_api_key"


async def has_keys(session: AsyncSession, campaign: Campaign) -> bool:
    query = select(CampaignKey.id).where(col(CampaignKey.campaign_id) == campaign.id).limit(1)
    return (await session.exec(query)).first() is not None


async def make_keys(session: AsyncSession, campaign: Campaign) -> dict[str, str]:
    """New keys in place of those there are, if any; they cannot be read again. Audited."""
    before = (await of_campaigns(session, [campaign]))[_id(campaign)]
    await session.exec(delete(CampaignKey).where(col(CampaignKey.campaign_id) == campaign.id))
    made: dict[str, str] = {}
    for kind in KINDS:
        key = made[column(kind)] = str(uuid.uuid4())
        row = CampaignKey(
            campaign_id=_id(campaign), kind=kind, prefix=key[:_SHOWN], key_hash=_hash(key), created_at=now_ms()
        )
        session.add(row)
    await session.flush()
    after = (await of_campaigns(session, [campaign]))[_id(campaign)]
    begin = {"leads_begins": after["leads_api_key"], "numbers_begins": after["numbers_api_key"]}
    was = {"leads_begins": before["leads_api_key"], "numbers_begins": before["numbers_api_key"]}
    await audit.record(session, "campaign.keys_regenerated", "campaign", campaign.id, was, begin)
    return made


async def campaign_of(session: AsyncSession, kind: KeyKind, key: str) -> Campaign | None:
    """Whose key of this kind it is; None for one that is unknown, replaced, or of an archived campaign."""
    try:
        spelled = str(uuid.UUID(key))
    except ValueError:
        return None
    mine = (col(CampaignKey.key_hash) == _hash(spelled), col(CampaignKey.kind) == kind)
    query = select(Campaign).join(CampaignKey).where(*mine, col(Campaign.status) != "ARCHIVED")
    return (await session.exec(query)).first()


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _id(campaign: Campaign) -> int:
    assert campaign.id is not None  # noqa: S101  narrowed for the type checker
    return campaign.id
