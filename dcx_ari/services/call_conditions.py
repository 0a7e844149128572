"""How a filter of calls becomes a condition on rows: one small function each, from (view, name, values).

A condition goes by columns of `ix_calls_log` wherever it can, so that a filter over a million calls reads one index and
not the rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, get_args

from sqlalchemy import and_, exists, func, or_, true
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from dcx_ari.decide.reasons import FailureReason, word
from dcx_ari.services.call_view import View
from dcx_ari.services.dates import clock_range, day_of, instant_of
from dcx_ari.services.errors import Invalid
from dcx_ari.services.parse import check_text
from dcx_ari.store import models as m
from dcx_ari.store.fields import e164
from dcx_ari.store.models.calls import Call, CallStatus

Make = Callable[[View, str, Sequence[str]], Any]
"""View, name of the filter and its values (one at least) -> a condition. Raises Invalid."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
GROUPS = ("no-buyers-available", "all-maxed-out", "caller-hung-up")
_NUMBER = re.compile(r"-?[0-9]{1,13}(\.[0-9]{1,6})?")


def texts(column: str) -> Make:
    return lambda _view, _name, values: col(getattr(Call, column)).in_(values)


def one_of(column: str, literal: Any) -> Make:
    known = get_args(literal)

    def make(_view: View, name: str, values: Sequence[str]) -> Any:
        for value in values:
            if value.strip().lower() not in known:
                raise Invalid(name, f"{value!r} is not one of {', '.join(known)}")
        return col(getattr(Call, column)).in_([value.strip().lower() for value in values])

    return make


def status(_view: View, name: str, values: Sequence[str]) -> Any:
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


def flag(column: str) -> Make:
    return lambda _view, name, values: col(getattr(Call, column)).is_(yes_no(name, values))


def completed(_view: View, name: str, values: Sequence[str]) -> Any:
    return col(Call.status) == "COMPLETED" if yes_no(name, values) else col(Call.status) != "COMPLETED"


def live(_view: View, name: str, values: Sequence[str]) -> Any:
    return col(Call.ended_at).is_(None) if yes_no(name, values) else col(Call.ended_at).is_not(None)


def recorded(_view: View, name: str, values: Sequence[str]) -> Any:
    found = exists().where(
        col(m.Recording.call_id) == col(Call.id),
        col(m.Recording.state) == "ready",
        col(m.Recording.deleting_at).is_(None),
    )
    return found if yes_no(name, values) else ~found


def duplicate(_view: View, name: str, values: Sequence[str]) -> Any:
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


def on_day(view: View, name: str, values: Sequence[str]) -> Any:
    spans = [day_of(name, value, view.zone) for value in values]
    return or_(*(and_(col(Call.started_at) >= low, col(Call.started_at) < high) for low, high in spans))


def since(view: View, name: str, values: Sequence[str]) -> Any:
    return col(Call.started_at) >= instant_of(name, values[-1], view.zone)


def until(view: View, name: str, values: Sequence[str]) -> Any:
    return col(Call.started_at) < instant_of(name, values[-1], view.zone, end=True)


def time_of_day(_view: View, name: str, values: Sequence[str]) -> Any:
    minute = col(Call.local_minute)
    wanted = []
    for value in values:
        low, high = clock_range(name, value)
        both = (minute >= low, minute < high)
        wanted.append(and_(*both) if low < high else or_(*both))
    return or_(*wanted)


def weekday(_view: View, name: str, values: Sequence[str]) -> Any:
    wanted = []
    for value in values:
        day = value.strip().lower()[:3]
        if day not in WEEKDAYS:
            raise Invalid(name, f"{value!r} is not one of {', '.join(WEEKDAYS)}")
        wanted.append(WEEKDAYS.index(day) + 1)
    return col(Call.local_weekday).in_(wanted)


def hour(_view: View, name: str, values: Sequence[str]) -> Any:
    hours = [_whole(name, value) for value in values]
    if max(hours) > 23:
        raise Invalid(name, "must be an hour, 0 to 23")
    return col(Call.local_hour).in_(hours)


def _whole(name: str, value: str) -> int:
    text = value.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Invalid(name, "must be a whole number, 0 or more")
    return int(text)


def least(column: str, scale: int) -> Make:
    return lambda _view, name, values: col(getattr(Call, column)) >= _scaled(name, values[-1], scale)


def most(column: str, scale: int) -> Make:
    return lambda _view, name, values: col(getattr(Call, column)) <= _scaled(name, values[-1], scale)


def _scaled(name: str, value: str, scale: int) -> int:
    """Seconds as milliseconds, money as cents, exactly."""
    text = value.strip()
    if _NUMBER.fullmatch(text) is None:
        raise Invalid(name, "must be a number such as 25 or 25.50")
    return int(Decimal(text) * scale)


def places(column: str) -> Make:
    return lambda _view, _name, values: func.lower(col(getattr(Call, column))).in_(
        [value.strip().lower() for value in values]
    )


def states(_view: View, _name: str, values: Sequence[str]) -> Any:
    return col(Call.caller_state).in_([value.strip().upper() for value in values])


def vertical(_view: View, _name: str, values: Sequence[str]) -> Any:
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


def any_tag(_view: View, _name: str, values: Sequence[str]) -> Any:
    return _tagged(values)


def all_tags(_view: View, _name: str, values: Sequence[str]) -> Any:
    return and_(*(_tagged([value]) for value in values))


def outcome(_view: View, _name: str, values: Sequence[str]) -> Any:
    return col(Call.outcome).in_([outcome_of(value) for value in values])


def outcome_of(text: str) -> str:
    """`Not Interested` -> `not-interested`: one spelling of an outcome."""
    return "-".join(text.strip().lower().replace("_", " ").replace("-", " ").split())


def group(_view: View, name: str, values: Sequence[str]) -> Any:
    wanted = [value.strip().lower().replace("_", "-").replace(" ", "-") for value in values]
    for value in wanted:
        if value not in GROUPS:
            raise Invalid(name, f"{value!r} is not one of {', '.join(GROUPS)}")
    reasons = [reason for reason in get_args(FailureReason) if word(reason).replace(" ", "-") in wanted]
    return col(Call.failure_reason).in_(reasons)


def caller(_view: View, name: str, values: Sequence[str]) -> Any:
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


def prefixes(_view: View, name: str, values: Sequence[str]) -> Any:
    return or_(*(_begins(name, value) for value in values))


def endings(_view: View, name: str, values: Sequence[str]) -> Any:
    return or_(*(_ends(name, value) for value in values))


def dialled(_view: View, _name: str, values: Sequence[str]) -> Any:
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
