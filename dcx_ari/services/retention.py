"""Rules of how long recordings are kept. The deciding is `decide.retention`, the run `services.retention_run`.

`always_record` of a rule is the campaign's own `record`: one switch under two names, so that they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.decide import retention as decided
from dcx_ari.services import audit, rows
from dcx_ari.services.errors import Conflict, Invalid, NotFound
from dcx_ari.services.find import find
from dcx_ari.services.parse import parse_fields, suggest
from dcx_ari.services.render import plain
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store import models as m
from dcx_ari.store.models.retention import RetentionRule, RetentionRuleFields

_FIELDS = ("campaign", "retention_days", "exceptions", "always_record")


async def list_rules(session: AsyncSession) -> list[dict[str, Any]]:
    found = (await session.exec(select(RetentionRule).order_by(col(RetentionRule.id)))).all()
    return [await _shown(session, row) for row in found]


async def show_rule(session: AsyncSession, key: str | int) -> dict[str, Any]:
    """Raises NotFound."""
    return await _shown(session, await _find(session, key))


async def add_rule(session: AsyncSession, data: Mapping[str, Any], *, strict: bool = False) -> dict[str, Any]:
    """A rule for a campaign, or for all that have none. Raises Invalid, NotFound, Conflict where there is one."""
    values, record = await _values(session, data, {}, strict=strict)
    mine = RetentionRule.campaign_id == values["campaign_id"]
    if (other := (await session.exec(select(RetentionRule.id).where(mine))).first()) is not None:
        what = "this campaign has" if values["campaign_id"] else "there is"
        raise Conflict("campaign", f"{what} a rule already: {other}")
    now = now_ms()
    row = RetentionRule(**values, created_at=now, updated_at=now)
    session.add(row)
    await session.flush()
    await _record(session, row, record)
    shown = await _shown(session, row)
    await audit.record(session, "retention_rule.created", "retention_rule", row.id, None, shown)
    return shown


async def change_rule(
    session: AsyncSession, key: str | int, data: Mapping[str, Any], *, strict: bool = False
) -> dict[str, Any]:
    """Raises Invalid, NotFound."""
    row = await _find(session, key)
    if "campaign" in data:
        raise Invalid("campaign", "of a rule is fixed: make another rule")
    before = await _shown(session, row)
    old = {name: getattr(row, name) for name in RetentionRuleFields.model_fields}
    values, record = await _values(session, data, old, strict=strict)
    for name, value in values.items():
        setattr(row, name, value)
    row.version, row.updated_at = row.version + 1, now_ms()
    await session.flush()
    await _record(session, row, record)
    after = await _shown(session, row)
    await audit.record(session, "retention_rule.updated", "retention_rule", row.id, before, after)
    return after


async def remove_rule(session: AsyncSession, key: str | int) -> dict[str, Any]:
    """What it was about is then kept by the rule for all, else forever. Raises NotFound."""
    row = await _find(session, key)
    before = await _shown(session, row)
    await session.delete(row)
    await session.flush()
    await audit.record(session, "retention_rule.deleted", "retention_rule", row.id, before, None)
    return before


async def _values(
    session: AsyncSession, data: Mapping[str, Any], old: Mapping[str, Any], *, strict: bool
) -> tuple[dict[str, Any], bool | None]:
    """Values of the row, and what is asked of the campaign's `record`."""
    values = {**old, **data}
    for name in data:
        if name not in _FIELDS:
            raise Invalid(name, f"is not known here{suggest(name, _FIELDS)}")
    if not old and "retention_days" not in data:
        raise Invalid("retention_days", "is required: days, or null for forever")
    record = values.pop("always_record", None)
    campaign = values.pop("campaign", None)
    if campaign is not None:
        values["campaign_id"] = (await find(session, RESOURCES["campaigns"], campaign)).id
    if record is not None and not isinstance(record, bool):
        raise Invalid("always_record", "must be true or false")
    if record is not None and values.get("campaign_id") is None:
        raise Invalid("always_record", "goes with a campaign: it is the campaign's record")
    exceptions = values.get("exceptions")
    if isinstance(exceptions, Mapping):
        values["exceptions"] = {decided.label(str(name)): days for name, days in exceptions.items()}
        if "" in values["exceptions"]:
            raise Invalid("exceptions", "must name a tag, an outcome, converted or disputed")
    return parse_fields(RetentionRuleFields, values, strict=strict), record


async def _record(session: AsyncSession, row: RetentionRule, record: bool | None) -> None:
    if record is not None and row.campaign_id is not None:
        await rows.change(session, RESOURCES["campaigns"], row.campaign_id, {"record": record})


async def _find(session: AsyncSession, key: str | int) -> RetentionRule:
    text = str(key).strip()
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    row = await session.get(RetentionRule, number)
    if row is None:
        raise NotFound("retention rule", f"there is no retention rule {key!r}")
    return row


async def _shown(session: AsyncSession, row: RetentionRule) -> dict[str, Any]:
    shown = {name: plain(name, getattr(row, name)) for name in ("id", *RetentionRuleFields.model_fields)}
    campaign = await session.get(m.Campaign, row.campaign_id) if row.campaign_id is not None else None
    shown["campaign"] = campaign.name if campaign is not None else None
    shown["always_record"] = campaign.record if campaign is not None else None
    return {**shown, **{name: plain(name, getattr(row, name)) for name in ("version", "created_at", "updated_at")}}
