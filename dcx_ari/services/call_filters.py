"""What a list of calls can be filtered by: every filter by its name, what it takes, and what it asks of the database.

All filters must match (AND), each with any of its values (OR). A condition goes by columns of `ix_calls_log` wherever
it can, so that a filter over a million calls reads one index and not the rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

from sqlalchemy import and_, exists, func, or_, true
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide.reasons import FailureReason, word
from dcx_ari.services.call_view import View
from dcx_ari.services.dates import clock_range, day_of, instant_of
from dcx_ari.services.errors import Invalid, UnknownKey
from dcx_ari.services.find import find_id
from dcx_ari.services.parse import check_text, suggest
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store import models as m
from dcx_ari.store.fields import e164
from dcx_ari.store.models.calls import Call, CallStatus, Direction, EndedBy

Make = Callable[[View, str, Sequence[str]], Any]
"""View, name of the filter and its values (one at least) -> a condition. Raises Invalid."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
GROUPS = ("no-buyers-available", "all-maxed-out", "caller-hung-up")
_MOST = 2**53
_MAX_VALUES = 500


@dataclass(frozen=True, slots=True)
class Filter:
    """`column` is what it tells about, for those who may not see all columns. `row`: its values are ids or keys of rows
    of that kind. `aliases` are other names of it.
    """

    help: str
    column: str
    make: Make | None = None
    row: str = ""
    aliases: tuple[str, ...] = ()


def find_filter(name: str) -> Filter | None:
    return FILTERS.get(ALIASES.get(name, name))


async def conditions(
    session: AsyncSession, filters: Mapping[str, Sequence[str]], view: View, *, in_order: bool = False
) -> list[Any]:
    """What calls must be, for `where(…)`: the view's own conditions and those of the filters.

    `in_order`: the answer is the first few of an order, so SQLite is kept from collecting and sorting all matches.
    Raises UnknownKey for a name that is no filter (or not of this view), Invalid for a value that does not fit.
    """
    found = view.conditions()
    for name, values in filters.items():
        each = find_filter(name)
        if each is None or each.column in view.hidden:
            known = [key for key, filter_ in FILTERS.items() if filter_.column not in view.hidden]
            raise UnknownKey(name, f"is not a filter of calls{suggest(name, known)}")
        if not values:
            continue
        if len(values) > _MAX_VALUES:
            raise Invalid(name, f"must be at most {_MAX_VALUES} values")
        check_text(name, list(values))
        if each.make is not None:
            found.append(each.make(view, name, values))
        else:
            found.append(await _rows(session, each, values, in_order=in_order))
    return found


async def _rows(session: AsyncSession, each: Filter, values: Sequence[str], *, in_order: bool) -> Any:
    ids = [await find_id(session, RESOURCES[each.row], value) for value in values]
    # A deleted row is still named by the calls it had: its id may be asked for.
    asked = {int(value) for value in values if value.isascii() and value.isdigit() and len(value) < 10}
    wanted = sorted({found for found in ids if found is not None} | asked)
    column: Any = col(getattr(Call, each.column))
    if in_order and len(wanted) > 1 and session.get_bind().dialect.name == "sqlite":
        column = column + 0  # several ranges of one index are not in order; the log's index is
    return column.in_(wanted)


# -- how conditions are made ------------------------------------------------------------------------------------


def _texts(column: str) -> Make:
    return lambda _view, _name, values: col(getattr(Call, column)).in_(values)


def _one_of(column: str, literal: Any) -> Make:
    known = get_args(literal)

    def make(_view: View, name: str, values: Sequence[str]) -> Any:
        for value in values:
            if value.strip().lower() not in known:
                raise Invalid(name, f"{value!r} is not one of {', '.join(known)}")
        return col(getattr(Call, column)).in_([value.strip().lower() for value in values])

    return make


def _status(_view: View, name: str, values: Sequence[str]) -> Any:
    return col(Call.status).in_([status_of(name, value) for value in values])


def status_of(name: str, value: str) -> str:
    """`no-answer`, `No_Answer`, `missed` -> `NO_ANSWER`. Raises Invalid."""
    text = value.strip().upper().replace("-", "_")
    text = "NO_ANSWER" if text == "MISSED" else text
    if text not in get_args(CallStatus):
        raise Invalid(name, f"{value!r} is not one of {', '.join(get_args(CallStatus))}")
    return text


def yes_no(name: str, values: Sequence[str]) -> bool:
    """Raises Invalid."""
    value = values[-1].strip().lower()
    if value not in ("true", "false", "1", "0", "yes", "no"):
        raise Invalid(name, "must be true or false")
    return value in ("true", "1", "yes")


def _flag(column: str) -> Make:
    return lambda _view, name, values: col(getattr(Call, column)).is_(yes_no(name, values))


def _completed(_view: View, name: str, values: Sequence[str]) -> Any:
    return col(Call.status) == "COMPLETED" if yes_no(name, values) else col(Call.status) != "COMPLETED"


def _live(_view: View, name: str, values: Sequence[str]) -> Any:
    return col(Call.ended_at).is_(None) if yes_no(name, values) else col(Call.ended_at).is_not(None)


def _recorded(_view: View, name: str, values: Sequence[str]) -> Any:
    found = exists().where(
        col(m.Recording.call_id) == col(Call.id),
        col(m.Recording.state) == "ready",
        col(m.Recording.deleting_at).is_(None),
    )
    return found if yes_no(name, values) else ~found


def _duplicate(_view: View, name: str, values: Sequence[str]) -> Any:
    """The caller had called the same campaign before. Withheld numbers are nobody's."""
    before = aliased(Call)
    found = and_(
        col(Call.caller).startswith("+"),
        exists().where(
            col(before.caller) == col(Call.caller),
            col(before.started_at) < col(Call.started_at),
            col(before.campaign_id) == col(Call.campaign_id),
            col(before.test).is_(False),
        ),
    )
    return found if yes_no(name, values) else ~found


def _day(view: View, name: str, values: Sequence[str]) -> Any:
    spans = [day_of(name, value, view.zone) for value in values]
    return or_(*(and_(col(Call.started_at) >= low, col(Call.started_at) < high) for low, high in spans))


def _from(view: View, name: str, values: Sequence[str]) -> Any:
    return col(Call.started_at) >= instant_of(name, values[-1], view.zone)


def _to(view: View, name: str, values: Sequence[str]) -> Any:
    return col(Call.started_at) < instant_of(name, values[-1], view.zone, end=True)


def _time_of_day(_view: View, name: str, values: Sequence[str]) -> Any:
    minute = col(Call.local_minute)
    wanted = []
    for value in values:
        low, high = clock_range(name, value)
        both = (minute >= low, minute < high)
        wanted.append(and_(*both) if low < high else or_(*both))
    return or_(*wanted)


def _weekday(_view: View, name: str, values: Sequence[str]) -> Any:
    wanted = []
    for value in values:
        day = value.strip().lower()[:3]
        if day not in WEEKDAYS:
            raise Invalid(name, f"{value!r} is not one of {', '.join(WEEKDAYS)}")
        wanted.append(WEEKDAYS.index(day) + 1)
    return col(Call.local_weekday).in_(wanted)


def _hour(_view: View, name: str, values: Sequence[str]) -> Any:
    hours = [_whole(name, value) for value in values]
    if max(hours) > 23:
        raise Invalid(name, "must be an hour, 0 to 23")
    return col(Call.local_hour).in_(hours)


def _whole(name: str, value: str) -> int:
    text = value.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Invalid(name, "must be a whole number, 0 or more")
    return int(text)


def _least(column: str, scale: int) -> Make:
    return lambda _view, name, values: col(getattr(Call, column)) >= _scaled(name, values[-1], scale)


def _most(column: str, scale: int) -> Make:
    return lambda _view, name, values: col(getattr(Call, column)) <= _scaled(name, values[-1], scale)


def _scaled(name: str, value: str, scale: int) -> int:
    """Seconds as milliseconds, money as cents, exactly."""
    try:
        number = Decimal(value.strip()) * scale
        whole = int(number)
    except (InvalidOperation, ValueError, OverflowError):
        raise Invalid(name, "must be a number") from None
    if abs(whole) > _MOST:
        raise Invalid(name, "is out of range")
    return whole


def _places(column: str) -> Make:
    return lambda _view, _name, values: func.lower(col(getattr(Call, column))).in_(
        [value.strip().lower() for value in values]
    )


def _states(_view: View, _name: str, values: Sequence[str]) -> Any:
    return col(Call.caller_state).in_([value.strip().upper() for value in values])


def _vertical(_view: View, _name: str, values: Sequence[str]) -> Any:
    wanted = func.lower(col(m.Campaign.vertical)).in_([value.strip().lower() for value in values])
    return col(Call.campaign_id).in_(select(m.Campaign.id).where(wanted))


def _tagged(values: Sequence[str]) -> Any:
    """Calls with any of these tags, by name (in any case) or id."""
    ids = [int(value) for value in values if value.isascii() and value.isdigit() and len(value) < 10]
    named = or_(
        func.lower(col(m.CallTag.name)).in_([value.strip().lower() for value in values]), col(m.CallTag.id).in_(ids)
    )
    link = m.CallSessionTag
    calls = select(link.call_session_id).where(col(link.tag_id).in_(select(m.CallTag.id).where(named)))
    return col(Call.id).in_(calls)


def _any_tag(_view: View, _name: str, values: Sequence[str]) -> Any:
    return _tagged(values)


def _all_tags(_view: View, _name: str, values: Sequence[str]) -> Any:
    return and_(*(_tagged([value]) for value in values))


def _outcome(_view: View, _name: str, values: Sequence[str]) -> Any:
    return col(Call.outcome).in_([outcome_of(value) for value in values])


def outcome_of(text: str) -> str:
    """`Not Interested` -> `not-interested`: one spelling of an outcome."""
    return "-".join(text.strip().lower().replace("_", " ").replace("-", " ").split())


def _group(_view: View, name: str, values: Sequence[str]) -> Any:
    wanted = [value.strip().lower().replace("_", "-").replace(" ", "-") for value in values]
    for value in wanted:
        if value not in GROUPS:
            raise Invalid(name, f"{value!r} is not one of {', '.join(GROUPS)}")
    reasons = [reason for reason in get_args(FailureReason) if word(reason).replace(" ", "-") in wanted]
    return col(Call.failure_reason).in_(reasons)


def _caller(_view: View, name: str, values: Sequence[str]) -> Any:
    return or_(*(_number(name, value) for value in values))


def _number(name: str, value: str) -> Any:
    """`+12125550100`; `+1212*`, numbers that begin so; `*0100`, that end so; `anonymous`, withheld."""
    text, caller = value.strip(), col(Call.caller)
    if text.lower() in ("anonymous", "withheld"):
        return caller.not_like("+%")
    if text.startswith("*"):
        return _ends(name, text[1:])
    if text.endswith("*"):
        return _begins(name, text[:-1])
    return caller == spelled(text)


def spelled(text: str) -> str:
    """A number as E.164 where it can be read (a URL makes a blank of a +), else as it is."""
    try:
        return e164(text if text.startswith("+") else f"+{text}")
    except ValueError:
        return text


def _begins(name: str, text: str) -> Any:
    """A range of an index: `LIKE` would not use it everywhere."""
    digits = re.sub(r"[\s().-]", "", text.strip().removeprefix("+"))
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 15):
        raise Invalid(name, "must begin with digits of a number, such as +1212")
    low = col(Call.caller) >= f"+{digits}"
    after = str(int(digits) + 1).zfill(len(digits))
    if len(after) > len(digits):
        return and_(low, col(Call.caller).startswith(f"+{digits}"))
    return and_(low, col(Call.caller) < f"+{after}")


def _ends(name: str, text: str) -> Any:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 15):
        raise Invalid(name, "must be the last digits of a number, such as 0100")
    return col(Call.caller).endswith(digits)


def _prefixes(_view: View, name: str, values: Sequence[str]) -> Any:
    return or_(*(_begins(name, value) for value in values))


def _endings(_view: View, name: str, values: Sequence[str]) -> Any:
    return or_(*(_ends(name, value) for value in values))


def _dialled(_view: View, _name: str, values: Sequence[str]) -> Any:
    return col(Call.dialled).in_([spelled(value.strip()) for value in values])


def search(text: str) -> Any:
    """Calls with this in the caller's number, the caller's name or at the beginning of the id."""
    words = text.strip()
    check_text("q", words)
    if not words:
        return true()
    digits = re.sub(r"[\s().+-]", "", words)
    if digits.isascii() and digits.isdigit():
        return or_(col(Call.caller).contains(digits), col(Call.id).startswith(words.lower(), autoescape=True))
    return or_(
        col(Call.caller_name).icontains(words, autoescape=True), col(Call.id).startswith(words.lower(), autoescape=True)
    )


_NAME = "by name or id; several with commas"
FILTERS: Mapping[str, Filter] = {
    "date": Filter("Day of arrival on the company's clock, such as 2025-11-28.", "started_at", _day),
    "date_from": Filter("From this day or time on.", "started_at", _from, aliases=("from_date", "from")),
    "date_to": Filter("Up to this day, it included, or up to this time.", "started_at", _to, aliases=("to_date", "to")),
    "time_of_day": Filter("Such as 09:00-17:00 on the company's clock.", "started_at", _time_of_day),
    "weekday": Filter("mon to sun.", "started_at", _weekday),
    "hour": Filter("Hour of arrival, 0 to 23.", "started_at", _hour),
    "buyer": Filter(f"Buyer who was connected, {_NAME}.", "buyer_id", row="buyers", aliases=("buyer_id",)),
    "source": Filter(
        f"Traffic source, {_NAME}.",
        "traffic_source_id",
        row="sources",
        aliases=("traffic_source", "traffic_source_id", "source_id"),
    ),
    "campaign": Filter(f"Campaign, {_NAME}.", "campaign_id", row="campaigns", aliases=("campaign_id",)),
    "number": Filter(
        "Tracking number that was dialled.", "number_id", row="numbers", aliases=("number_id", "tracking_number")
    ),
    "group": Filter(f"Group of the buyer, {_NAME}.", "group_id", row="groups", aliases=("group_id",)),
    "flow": Filter(f"Flow, {_NAME}.", "flow_id", row="flows", aliases=("flow_id",)),
    "vertical": Filter("Vertical of the campaign.", "campaign_id", _vertical, aliases=("campaign_vertical",)),
    "status": Filter("Such as completed,no-answer.", "status", _status),
    "completed": Filter("true or false.", "status", _completed),
    "in_progress": Filter("true or false.", "ended_at", _live),
    "direction": Filter("inbound or outbound.", "direction", _one_of("direction", Direction)),
    "duration_min": Filter("Bridged at least so many seconds.", "talk_ms", _least("talk_ms", 1000)),
    "duration_max": Filter("Bridged at most so many seconds.", "talk_ms", _most("talk_ms", 1000)),
    "revenue_min": Filter("Revenue of at least so much, such as 25.50.", "revenue_cents", _least("revenue_cents", 100)),
    "revenue_max": Filter("Revenue of at most so much.", "revenue_cents", _most("revenue_cents", 100)),
    "has_recording": Filter("true or false: can be listened to.", "id", _recorded, aliases=("recorded",)),
    "has_conversion": Filter("true or false.", "converted", _flag("converted"), aliases=("converted",)),
    "duplicate": Filter("true: the caller had called the campaign before.", "id", _duplicate),
    "caller": Filter("Number, +1212* (begins), *0100 (ends), or anonymous.", "caller", _caller),
    "caller_prefix": Filter("Callers whose number begins so: +1212.", "caller", _prefixes),
    "caller_ends": Filter("Callers whose number ends so: 0100.", "caller", _endings, aliases=("last_digits",)),
    "caller_state": Filter("Two letters, such as NY.", "caller_state", _states, aliases=("state",)),
    "caller_city": Filter(
        "City that the caller's number was issued in.", "caller_city", _places("caller_city"), aliases=("city",)
    ),
    "dialled": Filter("What was dialled.", "dialled", _dialled),
    "tags": Filter("With any of these tags.", "tags", _any_tag, aliases=("tag",)),
    "tags_all": Filter("With all of these tags.", "tags", _all_tags),
    "outcome": Filter("What came of it, such as follow-up.", "outcome", _outcome, aliases=("disposition",)),
    "failure_reason": Filter(
        "Why no buyer was connected, such as all_maxed_out.", "failure_reason", _texts("failure_reason")
    ),
    "failure_group": Filter(f"One of {', '.join(GROUPS)}.", "failure_reason", _group),
    "test": Filter("true or false: test calls.", "test", _flag("test")),
    "ended_by": Filter("caller, buyer or system.", "ended_by", _one_of("ended_by", EndedBy)),
    "worker": Filter("Application that owned the call.", "worker", _texts("worker")),
}
"""Every filter, in the order in which they are described."""
ALIASES: Mapping[str, str] = {alias: name for name, each in FILTERS.items() for alias in each.aliases}
