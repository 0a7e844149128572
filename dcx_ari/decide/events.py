"""What is told to the outside: the events, the shape of their data, and the body of a webhook.

The envelope is that of Standard Webhooks 1.0.0: `{"type", "timestamp", "data"}`, below 20 kB.
Times in data are RFC 3339 with milliseconds, money is integer cents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CallData:
    """What is known of the call when it happens; null where that is not known, or not yet."""

    call_id: str
    direction: str = "inbound"
    caller: str | None = None
    dialled: str | None = None
    started_at: str | None = None
    number_id: int | None = None
    campaign_id: int | None = None
    traffic_source_id: int | None = None
    flow_id: int | None = None
    test: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LegData(CallData):
    """A leg to a buyer: `at` is when it rang, or when the two were connected."""

    leg_id: str | None = None
    buyer_id: int | None = None
    group_id: int | None = None
    at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedData(CallData):
    """`revenue_cents` is what the call is worth by now: the same call can be told again when a report corrects it."""

    buyer_id: int | None = None
    revenue_cents: int = 0
    converted_at: str | None = None
    over_cap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedData(CallData):
    status: str = ""
    failure_reason: str | None = None
    ended_by: str | None = None
    buyer_id: int | None = None
    group_id: int | None = None
    answered_at: str | None = None
    connected_at: str | None = None
    ended_at: str | None = None
    talk_ms: int = 0
    converted: bool = False
    revenue_cents: int = 0
    payout_cents: int = 0
    cost_cents: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingData:
    """The file itself is fetched over the API: `GET /api/recordings/{recording_id}`."""

    recording_id: str
    call_id: str
    duration_ms: int | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    channels: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CapData:
    """A cap came to `percent` (75, 90 or 100) of its limit. `used` and `limit` count calls, or cents."""

    scope: str
    scope_id: int
    name: str
    metric: str
    period: str
    period_key: str
    percent: int
    used: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuyerData:
    """`reason` says who paused: a person, or the engine and why."""

    buyer_id: int
    name: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackData:
    """Somebody is to be called at `due_at`. `call_id` is the call that it came of; `retry`: that call, once more."""

    id: int
    phone_number: str
    due_at: str
    priority: str
    status: str
    assigned_to: str | None = None
    notes: str = ""
    call_id: str | None = None
    campaign_id: int | None = None
    retry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryData:
    """All calls of one day in the company's time zone."""

    day: str
    calls: int
    connected: int
    converted: int
    revenue_cents: int
    payout_cents: int
    cost_cents: int
    profit_cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointData:
    """A webhook endpoint that the engine switched off."""

    endpoint_id: int
    url: str
    reason: str


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of event; `data` is the class of its data."""

    name: str
    data: type[Any]
    help: str


_ALL = (
    Event("call.started", CallData, "A call arrived."),
    Event("call.ringing", LegData, "A buyer's phone rings."),
    Event("call.answered", LegData, "Caller and buyer are connected."),
    Event("call.converted", ConvertedData, "The call was sold, or a report changed what it was worth."),
    Event("call.completed", CompletedData, "The call is over, its money is booked."),
    Event("recording.ready", RecordingData, "A recording can be fetched."),
    Event("cap.reached", CapData, "A cap came to 75, 90 or 100 % of its limit; once per period."),
    Event("buyer.paused", BuyerData, "A buyer was paused."),
    Event(
        "buyer.offline", BuyerData, "Nothing gets through to a buyer: three attempts or more in a quarter of an hour."
    ),
    Event("callback.due", CallbackData, "A callback is due within half an hour."),
    Event("summary.daily", SummaryData, "The figures of yesterday."),
    Event("endpoint.disabled", EndpointData, "A webhook endpoint was switched off: it failed for days, or is gone."),
    Event("webhook.test", dict, "Sent by hand, to try an endpoint."),
)
EVENTS: Mapping[str, Event] = MappingProxyType({event.name: event for event in _ALL})
EVERY = "*"


def wants(events: Iterable[str], name: str) -> bool:
    """Whether an endpoint with this list of events is sent `name`: by its name, by `call.*`, by `*`."""
    return any(wanted in (EVERY, name) or (wanted.endswith(".*") and name.startswith(wanted[:-1])) for wanted in events)


def moment(at_ms: int | None) -> str | None:
    """RFC 3339 with milliseconds, UTC."""
    if at_ms is None:
        return None
    seconds, millis = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def filled(kind: type[Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a data class from what is known under the same names; `*_at` from epoch ms."""
    found: dict[str, Any] = {}
    for each in fields(kind):
        value = known.get(each.name)
        if (each.name == "at" or each.name.endswith("_at")) and isinstance(value, int):
            value = moment(value)
        if value is not None:
            found[each.name] = value
    made = kind(**found)
    return {each.name: getattr(made, each.name) for each in fields(kind)}


def envelope(name: str, at_ms: int, data: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a webhook, before it is JSON. Raises KeyError for an event that is not in the table."""
    return {"type": EVENTS[name].name, "timestamp": moment(at_ms), "data": dict(data)}
