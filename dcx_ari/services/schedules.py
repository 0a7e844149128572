"""Opening hours asked: is it open at a moment, by which rule, and until when; and what is closed now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide import rows as decided
from dcx_ari.decide.hours import DAYS, covers, parse_spans
from dcx_ari.decide.periods import local, zone_of
from dcx_ari.decide.recurrence import parse_recurrence
from dcx_ari.decide.rowjson import parse
from dcx_ari.decide.schedules import compile_schedule, holiday_name
from dcx_ari.services.errors import Invalid
from dcx_ari.services.find import find
from dcx_ari.services.resources import RESOURCES
from dcx_ari.services.test_call import moment_of
from dcx_ari.services.times import rfc3339
from dcx_ari.store import models as m

SCHEDULES = RESOURCES["schedules"]
_DAY = timedelta(days=1)


async def at_moment(
    session: AsyncSession, key: str | int, at: str, now: int, viewer_zone: str | None = None
) -> dict[str, Any]:
    """The schedule at `at` (RFC 3339, or a local time of the schedule's zone; "" is `now`, epoch ms).

    `viewer_zone`: the zone in which to say local times; None: the schedule's own. Raises NotFound, Invalid.
    """
    row: Any = await find(session, SCHEDULES, key)
    moment = moment_of(at, row.timezone) if at else now
    return _told(row, moment, _viewer(viewer_zone, row))


async def overview(
    session: AsyncSession, now: int, viewer_zone: str | None = None, *, closed_only: bool = False
) -> list[dict[str, Any]]:
    """Every schedule at `now` (epoch ms), with how many campaigns and buyers keep to it. Raises Invalid."""
    found = (await session.exec(select(m.Schedule).order_by(col(m.Schedule.id)))).all()
    told = [(row, _told(row, now, _viewer(viewer_zone, row))) for row in found]
    campaigns = await _users(session, m.Campaign.schedule_id)
    buyers = await _users(session, m.Buyer.schedule_id)
    return [
        {**each, "campaigns": campaigns.get(row.id or 0, 0), "buyers": buyers.get(row.id or 0, 0)}
        for row, each in told
        if not (closed_only and each["open"])
    ]


async def _users(session: AsyncSession, column: Any) -> dict[int, int]:
    query = select(column, func.count()).where(col(column).is_not(None)).group_by(column)
    return {int(row_id): int(count) for row_id, count in (await session.exec(query)).all()}


def _viewer(name: str | None, row: m.Schedule) -> ZoneInfo:
    try:
        return zone_of(name or row.timezone)
    except ValueError as error:
        raise Invalid("timezone", str(error)) from None


def _told(row: m.Schedule, at: int, viewer: ZoneInfo) -> dict[str, Any]:
    """`state` is open, closed or holiday; `rule` the one that decided, in words."""
    hours = decided_row(row)
    state = compile_schedule(hours).state_at(at)
    change = state.next_change
    return {
        "id": row.id,
        "schedule": row.name,
        "timezone": row.timezone,
        "at": rfc3339(at),
        "local_time": _clock(at, viewer),
        "open": state.open,
        "state": "open" if state.open else "holiday" if state.why == "holiday" else "closed",
        "why": state.why,
        "rule": _rule(hours, state.why, at, is_open=state.open),
        "next_change_at": None if change is None else rfc3339(change),
        "closes": _clock(change, viewer) if change is not None and state.open else None,
        "opens": _clock(change, viewer) if change is not None and not state.open else None,
    }


def decided_row(row: m.Schedule) -> decided.Schedule:
    """The row as rules read it."""
    return parse(decided.Schedule, row.model_dump(mode="json", exclude_none=True))


def _clock(at: int, zone: ZoneInfo) -> str:
    return f"{local(at, zone):%a %Y-%m-%d %H:%M %Z}"


def _rule(row: decided.Schedule, why: str, at: int, *, is_open: bool) -> str:
    here = local(at, zone_of(row.timezone))
    day = here.date()
    if why == "exception":
        entry = next(each for each in row.exceptions if str(each["date"]) == day.isoformat())
        return f"exception of {day}: {'closed' if entry.get('closed') else _spans(entry['hours'])}"
    if why == "holiday":
        return f"public holiday: {holiday_name(row.holidays, day)}"
    if why == "recurrence":
        wall = here.replace(tzinfo=None)
        for entry in row.recurrence:
            if bool(entry.get("closed", False)) is not is_open and parse_recurrence(entry).covers(wall):
                return f"recurrence {entry['rrule']} from {entry['dtstart']}: {'open' if is_open else 'closed'}"
    name = DAYS[day.weekday()]
    spans = row.weekly.get(name) or ()
    if is_open and not covers(parse_spans(spans, name), here.hour * 60 + here.minute):
        return f"hours of {day - _DAY:%a} that reach past midnight"
    return f"weekly hours of {name}: {_spans(spans)}"


def _spans(spans: Any) -> str:
    return ", ".join(f"{start}-{end}" for start, end in spans) or "closed"
