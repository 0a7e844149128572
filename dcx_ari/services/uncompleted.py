"""Calls that came to nothing: why, in three words, and what can be done about each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.decide.reasons import FailureReason, word
from dcx_ari.services.call_view import view_of
from dcx_ari.services.calls import CallPage, conditions_of, list_calls
from dcx_ari.services.listing import Query
from dcx_ari.store import models as m
from dcx_ari.store.models.callbacks import OPEN
from dcx_ari.store.models.calls import Call

STATUSES = ("FAILED", "NO_ANSWER", "BUSY", "ABANDONED")
_REASONS = get_args(FailureReason)


async def list_uncompleted(
    session: AsyncSession, query: Query, *, count: bool = True
) -> tuple[CallPage, dict[str, int]]:
    """A page as of `list_calls`, of calls over and not completed unless `status` asks for others; and how many calls
    there are for each of the three words. Each call has `reason` (the word), `duration_before_failure_ms`, `actions`.
    Raises UnknownKey, Invalid.
    """
    asked = query.filters if "status" in query.filters else {**query.filters, "status": STATUSES}
    query = replace(query, filters={**asked, "completed": ["false"], "in_progress": ["false"]})
    page = await list_calls(session, query, count=count)
    callers = {call["caller"] for call in page.items if call["caller"].startswith("+")}
    blocked = await blocked_numbers(session, callers)
    waiting = await _callbacks(session, [call["id"] for call in page.items])
    for call in page.items:
        call.update(_more(call, blocked, waiting))
    hidden = "failure_reason" in view_of(session).hidden
    return page, {} if hidden else await _counts(session, query)


async def blocked_numbers(session: AsyncSession, numbers: Sequence[str] | set[str]) -> set[str]:
    """Those of the numbers that nobody is put through for: on the blacklist or suppressed for all, not whitelisted."""
    s, now = m.Suppression, now_ms()
    rows = select(s.phone_number, s.list_type).where(
        col(s.phone_number).in_(sorted(numbers)),
        col(s.list_type).in_(("blacklist", "global_suppression", "whitelist")),
        or_(col(s.expires_at).is_(None), col(s.expires_at) > now),
    )
    found: dict[str, set[str]] = {}
    for number, kind in (await session.exec(rows)).all():
        found.setdefault(number, set()).add(kind)
    return {number for number, kinds in found.items() if "whitelist" not in kinds}


def reason_word(failure_reason: str | None) -> str | None:
    """`no buyers available`, `all maxed out`, `caller hung up`; None for what is none of them."""
    return word(failure_reason) if failure_reason in _REASONS else None  # type: ignore[arg-type]


def _more(call: Mapping[str, Any], blocked: set[str], waiting: Mapping[str, int]) -> dict[str, Any]:
    known = call["caller"].startswith("+")
    actions = []
    if known and call["id"] not in waiting:
        actions += ["callback", "retry"]
    if known and call["caller"] not in blocked:
        actions.append("block")
    return {
        "reason": reason_word(call.get("failure_reason")),
        "duration_before_failure_ms": _between(call["started_at"], call["ended_at"]),
        "callback_id": waiting.get(call["id"]),
        "blocked": call["caller"] in blocked,
        "actions": actions,
    }


def _between(first: str, last: str | None) -> int | None:
    if last is None:
        return None
    return round((datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds() * 1000)


async def _callbacks(session: AsyncSession, ids: Sequence[str]) -> dict[str, int]:
    c = m.Callback
    rows = select(c.call_id, c.id).where(col(c.call_id).in_(ids), col(c.status).in_(OPEN))
    return {call_id: row_id for call_id, row_id in (await session.exec(rows)).all() if call_id and row_id}


async def _counts(session: AsyncSession, query: Query) -> dict[str, int]:
    where = await conditions_of(session, query, view_of(session))
    rows = select(Call.failure_reason, func.count()).where(*where).group_by(col(Call.failure_reason))
    found = {"no buyers available": 0, "all maxed out": 0, "caller hung up": 0, "other": 0}
    for reason, count in (await session.exec(rows)).all():
        found[reason_word(reason) or "other"] += count
    return found
