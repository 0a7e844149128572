"""The rows of a great many closed calls: seeded, so that they are always the same."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from dcx_ari.decide.local_time import local_time

Values = tuple[Any, ...]

CALL = (
    *("id", "worker", "dialled", "caller", "caller_state", "number_id", "campaign_id", "traffic_source_id"),
    *("buyer_id", "stage", "stage_data", "status", "failure_reason", "tags", "started_at", "answered_at"),
    *("connected_at", "ended_at", "talk_ms", "billable_ms", "ended_by", "cause", "revenue_cents", "payout_cents"),
    *("cost_cents", "converted", "converted_at", "source_converted", "decision", "config_version", "sip_call_id"),
    *("headers", "local_day", "local_hour", "local_weekday", "local_minute", "caller_city", "outcome"),
)
LEG = (
    *("id", "call_id", "buyer_id", "trunk_id", "endpoint", "position", "dialled_at", "ringing_at", "answered_at"),
    *("bridged_at", "ended_at", "result", "cause"),
)
RECORDING = (*("id", "call_id", "leg_id", "path", "size_bytes", "duration_ms", "state", "started_at", "ended_at"),)
MONEY = ("call_id", "kind", "key", "amount_cents", "buyer_id", "source_id", "reason", "over_cap", "at")

_BATCH = 20_000
_ZONE = ZoneInfo("America/New_York")  # the default of DCX_TIMEZONE
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_STATES = "CA TX FL NY PA IL OH GA NC MI NJ VA WA AZ MA TN IN MO MD WI".split(" ")  # noqa: SIM905
_CITIES = (
    *("Los Angeles, CA", "Houston, TX", "Miami, FL", "New York"),
    *("Erie, PA", "Chicago, IL", "Dayton, OH", "Macon, GA"),
)
# Calls by hour of the day, UTC: the working day of the United States.
_HOURS = (6, 4, 2, 1, 1, 0, 0, 0, 0, 1, 2, 4, 8, 16, 24, 28, 30, 30, 30, 28, 26, 22, 14, 9)
_UNSOLD = (
    *(("ABANDONED", "caller_hung_up", 16),) * 12,
    *(("NO_ANSWER", "all_no_answer", 19),) * 7,
    *(("FAILED", "all_maxed_out", 34),) * 5,
    *(("BLOCKED", "blocked", 21),) * 3,
    *(("BUSY", "all_no_answer", 17),) * 2,
)
_FILLER = [{"kind": "buyer", "id": n, "tier": n % 4, "weight": 100, "score": 0, "draw": 0.5} for n in range(1, 16)]


@dataclass
class Batch:
    calls: list[Values] = field(default_factory=list)
    legs: list[Values] = field(default_factory=list)
    recordings: list[Values] = field(default_factory=list)
    money: list[Values] = field(default_factory=list)


def calls_of(count: int, from_ms: int, to_ms: int) -> Iterator[Batch]:
    """`count` calls in the order of their beginning, in [from_ms, to_ms), with what belongs to them."""
    rng = random.Random(20261101)
    starts = _starts(rng, count, from_ms, to_ms)
    batch = Batch()
    for started_at in starts:
        _call(batch, rng, started_at)
        if len(batch.calls) == _BATCH:
            yield batch
            batch = Batch()
    yield batch


def _starts(rng: random.Random, count: int, from_ms: int, to_ms: int) -> list[int]:
    days = (to_ms - from_ms) // 86_400_000
    weights = [1.0 if (from_ms // 86_400_000 + day + 3) % 7 < 5 else 0.4 for day in range(days)]
    chosen = zip(rng.choices(range(days), weights, k=count), rng.choices(range(24), _HOURS, k=count), strict=True)
    return sorted(from_ms + day * 86_400_000 + hour * 3_600_000 + rng.randrange(3_600_000) for day, hour in chosen)


def _call(batch: Batch, rng: random.Random, at: int) -> None:
    call_id = _id(at, rng.getrandbits(50))
    number = 1 + int(rng.random() ** 2 * 50)  # a few numbers get most of the calls
    campaign, source = (number - 1) % 20 + 1, (number - 1) % 30 + 1
    buyer = (campaign - 1) * 5 + 1 + int(rng.random() ** 1.5 * 5)
    caller = f"+1{rng.randrange(200, 990)}555{rng.randrange(10_000):04d}"
    state = _STATES[int(rng.random() ** 1.3 * 20)] if rng.random() < 0.95 else None
    price = 1_500 + 10 * buyer
    sold = rng.random() < 0.71
    talk = int(rng.expovariate(1 / 210_000)) + 2_000 if sold else 0
    dialled, answered = at + 1_800, at + 1_800 + rng.randrange(2_000, 18_000)
    ended = answered + talk if sold else at + rng.randrange(4_000, 45_000)
    converted = sold and talk >= 90_000
    paid = converted and rng.random() < 0.97
    cost = -(-talk * 90 // 6_000_000)
    status, reason, cause = ("COMPLETED", None, 16) if sold else rng.choice(_UNSOLD)
    routed = status != "BLOCKED"
    if routed:
        result = ("answered", "busy", "no_answer")[0 if sold else 1 + (cause != 17)]
        talked = (dialled + 700, answered, answered, ended) if sold else (dialled + 700, None, None, ended)
        endpoint = f"PJSIP/+1512556{buyer:04d}@trunk-1"
        batch.legs.append((f"{call_id}.leg1", call_id, buyer, 1, endpoint, 1, dialled, *talked, result, cause))
    if sold:
        file = f"recordings/{call_id[:6]}/{call_id}.rec1.wav"
        taken = (talk * 32, talk, "ready", answered, ended)
        batch.recordings.append((f"{call_id}.rec1", call_id, f"{call_id}.leg1", file, *taken))
        batch.money.append((call_id, "cost", "attempt1", cost, buyer, source, "trunk 1", False, ended))
    if converted:
        batch.money.append((call_id, "revenue", "attempt1", price, buyer, source, "rule 0", False, answered + 90_000))
    if paid:
        batch.money.append((call_id, "payout", "call", 800, buyer, source, "flat", False, ended))
    batch.calls.append(
        (
            *(call_id, "dcx-0", f"+1800555{number:04d}", caller, state, number, campaign, source),
            *(buyer if sold else None, "ended", f'{{"leg":"{call_id}.leg1"}}' if routed else "{}", status, reason),
            *(json.dumps({"caller": caller, "state": state, "zip": f"{number:05d}"}), at, at + 3),
            *(answered if sold else None, ended, talk, talk, "caller" if talk % 3 else "buyer", cause),
            *(price if converted else 0, 800 if paid else 0, cost, converted),
            *(answered + 90_000 if converted else None, paid, _decision(call_id, caller, buyer) if routed else None),
            *(12, call_id[::-1], "{}", *local_time(at, _ZONE)),
            *(_CITIES[number % 8] if state else None, "sale" if paid and talk % 4 == 0 else None),
        )
    )


def _decision(call_id: str, caller: str, buyer: int) -> str:
    """As long as a real one of a campaign with a few buyers: it makes the row as wide as it is in life."""
    return f'{{"call_id":"{call_id}","caller":"{caller}","buyer":{buyer},"ranked":{_RANKED}}}'


_RANKED = json.dumps(_FILLER)


def _id(at_ms: int, chance: int) -> str:
    """As dcx_ari.call.ids makes them: the time, then 50 random bits."""
    number, digits = (at_ms << 50) | chance, []
    for _ in range(20):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
