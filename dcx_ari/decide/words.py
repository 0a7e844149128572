"""Events in one line for people: for Slack, and for the subject of a mail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

_PERIODS = {"hour": "this hour", "day": "today", "month": "this month", "total": "in total"}
_METRICS = {"connect": "calls", "attempt": "attempts", "convert": "conversions", "revenue_cents": "revenue"}


def dollars(cents: int) -> str:
    """`$1,234.50`."""
    sign = "-" if cents < 0 else ""
    return f"{sign}${abs(cents) // 100:,}.{abs(cents) % 100:02d}"


def _call(data: Mapping[str, Any]) -> str:
    return f"call {data['call_id']} from {data.get('caller') or 'unknown'} to {data.get('dialled') or 'unknown'}"


def _cap(data: Mapping[str, Any]) -> str:
    amount: Callable[[int], str] = dollars if data["metric"] == "revenue_cents" else "{:,}".format
    what = _METRICS.get(data["metric"], data["metric"])
    when = _PERIODS.get(data["period"], data["period"])
    of = f"{amount(data['used'])} of {amount(data['limit'])} {what} {when}"
    scope = str(data["scope"]).capitalize()
    if data["percent"] >= 100:
        return f"{scope} {data['name']} is maxed out: {of}"
    return f"{scope} {data['name']} has used {data['percent']} % of a cap: {of}"


def _why(data: Mapping[str, Any]) -> str:
    return f" ({data['reason']})" if data.get("reason") else ""


def _summary(data: Mapping[str, Any]) -> str:
    money = ", ".join(f"{name} {dollars(data[f'{name}_cents'])}" for name in ("revenue", "payout", "cost", "profit"))
    return (
        f"{data['day']}: {data['calls']:,} calls, {data['connected']:,} connected, {data['converted']:,} sold; {money}"
    )


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = MappingProxyType(
    {
        "call.started": lambda data: f"New {_call(data)}",
        "call.ringing": lambda data: f"Ringing buyer {data.get('buyer_id')}: {_call(data)}",
        "call.answered": lambda data: f"Connected to buyer {data.get('buyer_id')}: {_call(data)}",
        "call.converted": lambda data: f"Sold for {dollars(data['revenue_cents'])}: {_call(data)}",
        "call.completed": lambda data: f"Ended ({data['status']}, {data['talk_ms'] // 1000} s): {_call(data)}",
        "recording.ready": lambda data: f"Recording ready: call {data['call_id']}",
        "cap.reached": _cap,
        "buyer.paused": lambda data: f"Buyer {data['name']} was paused{_why(data)}",
        "buyer.offline": lambda data: f"Buyer {data['name']} cannot be reached{_why(data)}",
        "callback.due": lambda data: f"Call back {data['phone_number']} at {data['due_at']} ({data['priority']})",
        "summary.daily": _summary,
        "endpoint.disabled": lambda data: f"Webhook {data['url']} was switched off{_why(data)}",
    }
)


def in_words(event: str, data: Mapping[str, Any]) -> str:
    """One line for a person."""
    words = _WORDS.get(event)
    return words(data) if words is not None else f"DCX: {event}"


def slack_text(event: str, data: Mapping[str, Any]) -> str:
    """The line, with what has a meaning in Slack's markup (& < >) written out: callers choose their own names."""
    return in_words(event, data).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mail_text(event: str, data: Mapping[str, Any]) -> str:
    """The line, and under it all that is known."""
    rows = [f"{name.replace('_', ' ')}: {value}" for name, value in data.items() if value not in (None, "")]
    return "\n".join([in_words(event, data), "", *rows, ""])
