"""Calls that met a rule of their state (blocked, consent required), read from the decisions kept with them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, and_, or_, type_coerce
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.errors import Invalid
from dcx_ari.services.find import keys_of
from dcx_ari.services.listing import Page, decode_cursor, encode_cursor
from dcx_ari.services.resources import RESOURCES
from dcx_ari.services.times import rfc3339
from dcx_ari.store.models import Call, StateRule

DAYS = (1, 365)
_DAY_MS = 86_400_000
_AT_ONCE = 500
_MOST = 2_000
"""Calls looked at for one page: of states with rules, most met one."""
_REASONS = {"state_blocked": "block", "consent_required": "require_consent"}


async def alerts(
    session: AsyncSession, now: int, *, days: int = 30, limit: int = 50, cursor: str | None = None
) -> Page:
    """Newest first; `total` is -1. A page may be short and still have a next one. Raises Invalid."""
    if not DAYS[0] <= days <= DAYS[1]:
        raise Invalid("days", f"must be {DAYS[0]} to {DAYS[1]}")
    if not 1 <= limit <= _AT_ONCE:
        raise Invalid("limit", f"must be 1 to {_AT_ONCE}")
    at: tuple[int, str] | None = _place(cursor) if cursor is not None else None
    states = (await session.exec(select(StateRule.state_code).where(col(StateRule.action) != "allow").distinct())).all()
    found: list[dict[str, Any]] = []
    looked = 0
    while states and len(found) < limit and looked < _MOST:
        part = await _calls(session, list(states), now - days * _DAY_MS, at)
        for row in part:
            looked += 1
            at = (row.started_at, row.id)
            if told := _told(row):
                found.append(told)
            if len(found) == limit:
                break
        if len(part) < _AT_ONCE and len(found) < limit:
            at = None
            break
    await _name(session, found)
    more = bool(states) and at is not None and (len(found) == limit or looked >= _MOST)
    return Page(found, encode_cursor(*at) if more and at is not None else None, -1)


def _place(cursor: str) -> tuple[int, str]:
    at, call_id = decode_cursor(cursor)
    if type(at) is not int or not isinstance(call_id, str):
        raise Invalid("cursor", "does not belong to this list")
    return at, call_id


async def _calls(session: AsyncSession, states: list[str], since: int, at: tuple[int, str] | None) -> list[Any]:
    rejected = type_coerce(col(Call.decision), JSON)[("decision", "rejected")]
    wanted = [col(Call.caller_state).in_(states), col(Call.started_at) >= since, col(Call.test).is_(False)]
    if at is not None:
        before = and_(col(Call.started_at) == at[0], col(Call.id) < at[1])
        wanted.append(or_(col(Call.started_at) < at[0], before))
    columns: Any = select(  # type: ignore[call-overload]  # five columns with a JSON path among them
        col(Call.id), col(Call.started_at), col(Call.caller), col(Call.caller_state), rejected.label("rejected")
    )
    newest = columns.where(*wanted).order_by(col(Call.started_at).desc(), col(Call.id).desc())
    return list((await session.exec(newest.limit(_AT_ONCE))).all())


def _told(row: Any) -> dict[str, Any] | None:
    """The call with the rules that it met; None if it met none."""
    rules = []
    for each in row.rejected or ():
        for failed in (each, *each.get("also", ())):
            if failed["reason"] in _REASONS:
                values = failed.get("values", {})
                rules.append(
                    {
                        "action": _REASONS[failed["reason"]],
                        "rule_id": values.get("rule_id"),
                        "consent_type": values.get("consent_type"),
                        "buyer_id": each["id"] if each.get("kind") == "buyer" else None,
                    }
                )
    if not rules:
        return None
    return {
        "call_id": row.id,
        "started_at": rfc3339(row.started_at),
        "caller": row.caller,
        "state_code": row.caller_state,
        "rules": rules,
    }


async def _name(session: AsyncSession, found: list[dict[str, Any]]) -> None:
    rules = [rule for each in found for rule in each["rules"]]
    names = await keys_of(session, RESOURCES["buyers"], {rule["buyer_id"] for rule in rules} - {None})
    for rule in rules:
        rule["buyer"] = names.get(rule["buyer_id"])
