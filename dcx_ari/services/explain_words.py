"""A Decision in words: every reason with the figures it was made of, for people.

`Book` knows what the ids of a Decision meant when it was made: the rows kept with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from dcx_ari.decide.periods import local, zone_of
from dcx_ari.decide.snapshot import Snapshot

Values = Mapping[str, Any]
_WEEK_MS = 6 * 86_400_000


@dataclass(frozen=True, slots=True)
class Book:
    """Names and zones of the rows of a snapshot; `now` is when it was decided, epoch ms."""

    snapshot: Snapshot
    now: int

    @property
    def zone(self) -> ZoneInfo:
        """The company's."""
        return zone_of(self.snapshot.company_zone)

    def name(self, scope: str, row_id: int | None) -> str:
        """`scope` as in caps: buyer, group, source, campaign."""
        row = self._rows(scope).get(row_id or 0)
        return row.name if row is not None else f"{scope} {row_id}"

    def zone_for(self, scope: str, row_id: int) -> ZoneInfo:
        row = self._rows(scope).get(row_id)
        return zone_of(row.timezone) if row is not None and row.timezone else self.zone

    def _rows(self, scope: str) -> Mapping[int, Any]:
        s = self.snapshot
        return {"buyer": s.buyers, "group": s.groups, "source": s.sources, "campaign": s.campaigns}[scope]


def words(reason: str, values: Values, book: Book) -> str:
    """Why a candidate, or the call itself, was refused."""
    if reason.startswith("cap.") or reason == "concurrency":
        return _cap(reason, values, book)
    say = _WORDS.get(reason)
    return say(values, book) if say is not None else " ".join([reason.replace("_", " "), *_rest(values)])


def when(at_ms: int, zone: ZoneInfo) -> str:
    """RFC 3339 on the wall clock of the zone: to the minute where it is a whole one."""
    return local(at_ms, zone).isoformat(timespec="seconds" if at_ms % 60_000 else "minutes")


def money(cents: int) -> str:
    return f"{cents / 100:,.2f}"


def _rest(values: Values) -> list[str]:
    return [f"{name} {value}" for name, value in values.items() if value is not None]


def _cap(name: str, v: Values, book: Book) -> str:
    amount = money if v["metric"] == "revenue_cents" else str
    text = f"{name} {amount(v['used'])} of {amount(v['limit'])} {'in use' if name == 'concurrency' else 'used'}"
    if v["used"] < v["limit"] and v.get("add"):
        text += f", this call would add {amount(v['add'])}"
    if v.get("resets_at") is not None:
        text += f", frees {when(v['resets_at'], book.zone_for(v['scope'], v['scope_id']))}"
    return text


def _capped(v: Values, book: Book) -> str:
    return f"{v['scope']} {book.name(v['scope'], v['scope_id'])}: {_cap(v['cap'], v, book)}"


def _paused(v: Values, _: Book) -> str:
    of = {"attachment": "its place in the campaign is", "group": "the group is"}.get(v.get("of", ""), "is")
    return f"{of} {'paused' if v['status'] == 'INACTIVE' else str(v['status']).lower()}"


def _own_pause(scope: str) -> Callable[[Values, Book], str]:
    def say(v: Values, book: Book) -> str:
        if "message" in v:
            return f"the {scope} is misconfigured: {v['message']}"
        return f"{scope} {book.name(scope, v[f'{scope}_id'])} {_paused(v, book)}"

    return say


def _closed(v: Values, book: Book) -> str:
    why = "" if v.get("why") in (None, "weekly") else f" ({v['why']})"
    if v.get("next_open") is None:
        return f"closed{why}, does not open within a year"
    schedule = book.snapshot.schedules.get(v.get("schedule_id") or 0)
    zone = zone_of(schedule.timezone) if schedule is not None else book.zone
    near = v["next_open"] - book.now < _WEEK_MS
    opens = local(v["next_open"], zone).strftime("%a %H:%M" if near else "%a %Y-%m-%d %H:%M")
    return f"closed{why}, opens {opens}{'' if zone.key == book.zone.key else f' {zone.key}'}"


def _state(v: Values, _: Book) -> str:
    if v["state"] == "unknown":
        return "the caller's state is not known, and the campaign blocks such calls"
    return f"callers from {v['state']} are blocked (state rule {v['rule_id']})"


def _consent(v: Values, _: Book) -> str:
    given = ", ".join(v["given"]) or "none"
    return f"callers from {v['state']} need consent ({v['consent_type']}), given: {given} (state rule {v['rule_id']})"


def _listed(v: Values, book: Book) -> str:
    why = f", {v['why']}" if v.get("why") else ""
    until = f", until {when(v['expires_at'], book.zone)}" if v.get("expires_at") else ""
    return f"the caller is on the list {v['list_type']} (entry {v['entry_id']}{why}{until})"


def _filter(v: Values, _: Book) -> str:
    wanted = "" if v["op"] in ("exists", "not_exists") else f" {_value(v['value'])}"
    actual = "the call has no such tag" if v.get("actual") is None else f"it is {_value(v['actual'])}"
    return f"filter {v['tag']} {v['op']}{wanted}: {actual}"


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _duplicate(v: Values, book: Book) -> str:
    window = f"within {v['window_days']} days" if v.get("window_days") else "at any time"
    return (
        f"duplicate: {v['of']} wants callers not {v['after']} before {window} (per {v['scope'].replace('_', ' ')}), "
        f"call {v['previous_call']} was at {when(v['previous_at'], book.zone)}"
    )


def _spacing(v: Values, book: Book) -> str:
    return f"spacing: {v['limit']} s between attempts, the next not before {when(v['free_at'], book.zone)}"


def _no_trunk(v: Values, _: Book) -> str:
    wanted = f" (trunk {v['trunk_id']})" if v.get("trunk_id") else ""
    return f"no active trunk serves {v['endpoint']}{wanted}"


_WORDS: Mapping[str, Callable[[Values, Book], str]] = {
    "paused": _paused,
    "misconfigured": lambda v, _: f"misconfigured: {v.get('message', '')}",
    "loop": lambda v, _: f"its endpoint {v['endpoint']} is one of our own numbers: a loop",
    "no_trunk": _no_trunk,
    "closed": _closed,
    "state_blocked": _state,
    "consent_required": _consent,
    "suppressed": _listed,
    "filter": _filter,
    "duplicate": _duplicate,
    "already_tried": lambda _v, _b: "was dialled for this call before",
    "rerouted": lambda v, _: (
        f"takes calls connected at most {v['limit']} times before, this one was {v['connections']}"
    ),
    "skill": lambda v, _: f"lacks the skill {', '.join(v['missing'])}",
    "spacing": _spacing,
    "weight_zero": lambda _v, _b: "weight 0, and others are left among its equals",
    "no_member": lambda v, _: "none of its members can take the call" if v.get("members") else "has no members",
    # the call itself
    "no_number": lambda v, _: f"{v['number']} is not one of our numbers, or is paused",
    "no_campaign": lambda v, _: f"{v['number']} leads to no campaign",
    "blocked": _listed,
    "source_paused": _own_pause("source"),
    "source_capped": _capped,
    "campaign_paused": _own_pause("campaign"),
    "campaign_closed": lambda v, book: f"the campaign is {_closed(v, book)}",
    "campaign_capped": _capped,
    "campaign_concurrency": _capped,
}
