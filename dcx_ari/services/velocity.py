"""Callers who ring too often are kept out for a while: the rule, and its entries in the suppression list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func
from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.services import audit, rows
from dcx_ari.services.errors import Invalid
from dcx_ari.services.parse import parse_fields
from dcx_ari.services.render import plain
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store import models as m

REASON = "auto:velocity"
RuleFields = m.VelocityRuleFields
SUPPRESSIONS = RESOURCES["suppressions"]
MINUTE_MS = 60_000
_FORGET_MS = 30 * 86_400_000
_KEPT_OUT = ("blacklist", "global_suppression")


async def show(session: AsyncSession) -> dict[str, Any]:
    """The rule; `enabled` false and nulls where there is none."""
    rule = await rule_of(session)
    return {
        "enabled": rule is not None,
        "calls": rule.calls if rule else None,
        "minutes": rule.minutes if rule else None,
        "block_minutes": rule.block_minutes if rule else None,
        "updated_at": plain("updated_at", rule.updated_at) if rule else None,
    }


async def change(session: AsyncSession, values: Mapping[str, Any], *, strict: bool = False) -> dict[str, Any]:
    """Turn it on, or change it. Raises Invalid."""
    for name in values:
        if name not in m.VelocityRuleFields.model_fields:
            raise Invalid(name, "is not known here")
    parsed = parse_fields(m.VelocityRuleFields, values, strict=strict)
    old = await rule_of(session)
    before = old.model_dump(exclude={"id", "updated_at"}) if old is not None else None
    rule = old or m.VelocityRule(**parsed)
    for name, value in parsed.items():
        setattr(rule, name, value)
    rule.updated_at = now_ms()
    session.add(rule)
    await _changed(session, before, parsed)
    return await show(session)


async def turn_off(session: AsyncSession) -> dict[str, Any]:
    """No new entries; those that are there end by themselves."""
    rule = await rule_of(session)
    if rule is not None:
        await session.exec(delete(m.VelocityRule))
        await _changed(session, rule.model_dump(exclude={"id", "updated_at"}), None)
    return await show(session)


async def rule_of(session: AsyncSession) -> m.VelocityRule | None:
    return (await session.exec(select(m.VelocityRule))).first()


async def calls_lately(session: AsyncSession, caller: str, since_ms: int, most: int) -> int:
    """Inbound calls from a number since then, test calls left out; counted no further than `most`."""
    calls = select(m.Call.id).where(
        col(m.Call.caller) == caller,
        col(m.Call.started_at) > since_ms,
        col(m.Call.direction) == "inbound",
        col(m.Call.test).is_(False),
    )
    return int((await session.exec(select(func.count()).select_from(calls.limit(most).subquery()))).one())


async def keep_out(session: AsyncSession, caller: str, rule: m.VelocityRule, now: int) -> bool:
    """Put the number (E.164) on the blacklist for a while; False where it is whitelisted, or kept out already."""
    mine = (col(m.Suppression.phone_number) == caller, col(m.Suppression.buyer_id).is_(None))
    found = (await session.exec(select(m.Suppression).where(*mine).with_for_update())).all()
    live = [row for row in found if row.expires_at is None or row.expires_at > now]
    if any(row.list_type == "whitelist" or row.list_type in _KEPT_OUT for row in live):
        return False
    values: dict[str, Any] = {
        "expires_at": now + rule.block_minutes * MINUTE_MS,
        "reason": REASON,
        "added_by": f"dcx: {rule.calls} calls in {rule.minutes} min",
    }
    over = next((row for row in found if row.list_type == "blacklist"), None)
    if over is not None and over.id is not None:  # it has run out: the number is there once
        await rows.change(session, SUPPRESSIONS, over.id, values)
    else:
        await rows.create(session, SUPPRESSIONS, {"phone_number": caller, "list_type": "blacklist", **values})
    return True


async def forget_old(session: AsyncSession, now: int) -> int:
    """Remove entries of ours that ran out more than 30 days ago; how many."""
    old = (col(m.Suppression.reason) == REASON, col(m.Suppression.expires_at) < now - _FORGET_MS)
    gone = (await session.exec(select(m.Suppression.id).where(*old).limit(10_000))).all()
    for row_id in gone:
        await rows.remove(session, SUPPRESSIONS, row_id or 0)
    return len(gone)


async def _changed(session: AsyncSession, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> None:
    """Engines read the rule again when the configuration's version moves."""
    await session.flush()
    version = m.ConfigVersion
    await session.exec(update(version).values(version=version.version + 1, updated_at=now_ms()))
    await audit.record(session, "velocity_rule.changed", "velocity_rule", 1, before, after)
