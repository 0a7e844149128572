"""What a list of calls can be filtered by: every filter by its name, what it takes, and who may use it.

All filters must match (AND), each with any of its values (OR).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services import call_conditions as ask
from dcx_ari.services.call_view import View
from dcx_ari.services.errors import Invalid, UnknownKey
from dcx_ari.services.find import find_id
from dcx_ari.services.parse import check_text, suggest
from dcx_ari.services.resources import RESOURCES
from dcx_ari.services.scope import scope_of
from dcx_ari.store.models.calls import Call, Direction, EndedBy

_MAX_VALUES = 500


@dataclass(frozen=True, slots=True)
class Filter:
    """`column` is what it tells about, for those who may not see all columns. `row`: its values are ids or keys of rows
    of that kind. `aliases` are other names of it.
    """

    help: str
    column: str
    make: ask.Make | None = None
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
        for value in values:
            check_text(name, value)
        if each.make is not None:
            found.append(each.make(view, name, values))
        else:
            found.append(await _rows(session, each, values, in_order=in_order))
    return found


async def _rows(session: AsyncSession, each: Filter, values: Sequence[str], *, in_order: bool) -> Any:
    ids = [await _id_of(session, each.row, value) for value in values]
    # A deleted row is still named by the calls it had: its id may be asked for.
    asked = {int(value) for value in values if value.isascii() and value.isdigit() and len(value) < 10}
    wanted = sorted({found for found in ids if found is not None} | asked)
    column: Any = col(getattr(Call, each.column))
    if in_order and len(wanted) > 1 and session.get_bind().dialect.name == "sqlite":
        column = column + 0  # several ranges of one index are not in order; the log's index is
    return column.in_(wanted)


async def _id_of(session: AsyncSession, kind: str, value: str) -> int | None:
    """By id or key. Whoever sees only the calls of one buyer or source may still ask for campaigns by their name."""
    resource = RESOURCES[kind]
    if scope_of(session).everything or resource.key is None:
        return await find_id(session, resource, value)
    model: Any = resource.model
    named = select(model.id).where(getattr(model, resource.key) == value.strip())
    found: int | None = (await session.exec(named)).first()
    return found


_NAME = "by name or id; several with commas"
FILTERS: Mapping[str, Filter] = {
    "date": Filter("Day of arrival on the company's clock, such as 2025-11-28.", "started_at", ask.on_day),
    "date_from": Filter("From this day or time on.", "started_at", ask.since, aliases=("from_date", "from")),
    "date_to": Filter(
        "Up to this day, it included, or up to this time.", "started_at", ask.until, aliases=("to_date", "to")
    ),
    "time_of_day": Filter("Such as 09:00-17:00 on the company's clock.", "started_at", ask.time_of_day),
    "weekday": Filter("mon to sun.", "started_at", ask.weekday),
    "hour": Filter("Hour of arrival, 0 to 23.", "started_at", ask.hour),
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
    "vertical": Filter("Vertical of the campaign.", "campaign_id", ask.vertical, aliases=("campaign_vertical",)),
    "status": Filter("Such as completed,no-answer.", "status", ask.status),
    "completed": Filter("true or false.", "status", ask.completed),
    "in_progress": Filter("true or false.", "ended_at", ask.live),
    "direction": Filter("inbound or outbound.", "direction", ask.one_of("direction", Direction)),
    "duration_min": Filter("Bridged at least so many seconds.", "talk_ms", ask.least("talk_ms", 1000)),
    "duration_max": Filter("Bridged at most so many seconds.", "talk_ms", ask.most("talk_ms", 1000)),
    "revenue_min": Filter(
        "Revenue of at least so much, such as 25.50.", "revenue_cents", ask.least("revenue_cents", 100)
    ),
    "revenue_max": Filter("Revenue of at most so much.", "revenue_cents", ask.most("revenue_cents", 100)),
    "has_recording": Filter("true or false: can be listened to.", "id", ask.recorded, aliases=("recorded",)),
    "has_conversion": Filter("true or false.", "converted", ask.flag("converted"), aliases=("converted",)),
    "duplicate": Filter("true: the caller had called the campaign before.", "id", ask.duplicate),
    "caller": Filter("Number, +1212* (begins), *0100 (ends), or anonymous.", "caller", ask.caller),
    "caller_prefix": Filter("Callers whose number begins so: +1212.", "caller", ask.prefixes),
    "caller_ends": Filter("Callers whose number ends so: 0100.", "caller", ask.endings, aliases=("last_digits",)),
    "caller_state": Filter("Two letters, such as NY.", "caller_state", ask.states, aliases=("state",)),
    "caller_city": Filter(
        "City that the caller's number was issued in.", "caller_city", ask.places("caller_city"), aliases=("city",)
    ),
    "dialled": Filter("What was dialled.", "dialled", ask.dialled),
    "tags": Filter("With any of these tags.", "tags", ask.any_tag, aliases=("tag",)),
    "tags_all": Filter("With all of these tags.", "tags", ask.all_tags),
    "outcome": Filter("What came of it, such as follow-up.", "outcome", ask.outcome, aliases=("disposition",)),
    "failure_reason": Filter(
        "Why no buyer was connected, such as all_maxed_out.", "failure_reason", ask.texts("failure_reason")
    ),
    "failure_group": Filter(f"One of {', '.join(ask.GROUPS)}.", "failure_reason", ask.group),
    "test": Filter("true or false: test calls.", "test", ask.flag("test")),
    "ended_by": Filter("caller, buyer or system.", "ended_by", ask.one_of("ended_by", EndedBy)),
    "worker": Filter("Application that owned the call.", "worker", ask.texts("worker")),
}
"""Every filter, in the order in which they are described."""
ALIASES: Mapping[str, str] = {alias: name for name, each in FILTERS.items() for alias in each.aliases}
