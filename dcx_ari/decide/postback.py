"""What a buyer reports about a call after the fact, and what becomes of it (row 115).

The body is JSON: `id` (unique per report), `amount_cents` (whole, 0 or more), `currency` (ISO 4217), `at`
(epoch ms, or RFC 3339 with an offset). It is signed with the key of the call:

    X-DCX-Signature: t=<epoch seconds>,v1=<hex of HMAC-SHA256(key, "<t>." + body)>

The same `id` again changes nothing; a newer report corrects the amount by an adjusting entry; one that is
older than what is booked changes nothing. A late one is booked all the same and may be over a cap: that is for
the ledger to see.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from dcx_ari.decide.periods import to_ms

TOLERANCE_S = 300
MAX_BODY = 16_384
ABSURD_CENTS = 10_000_00
_HEADER = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Postback:
    """A report that was read: amount in cents, `at` in epoch ms."""

    id: str
    amount_cents: int
    currency: str
    at: int


class Booked(NamedTuple):
    """A report that was booked before."""

    id: str
    amount_cents: int
    at: int


@dataclass(frozen=True, slots=True)
class Accept:
    """The first report: book the amount. `late`: the room held for it was given back already."""

    amount_cents: int
    late: bool


@dataclass(frozen=True, slots=True)
class Adjust:
    """A newer report: book the difference (may be negative)."""

    delta_cents: int
    late: bool


@dataclass(frozen=True, slots=True)
class Noop:
    """Nothing to book: `repeated` or `older`."""

    why: str


@dataclass(frozen=True, slots=True)
class Reject:
    """Refused with an HTTP status; nothing is booked."""

    status: int
    reason: str
    field: str = ""


def sign(key: bytes, body: bytes, at_s: int) -> str:
    """The value of the signature header."""
    return f"t={at_s},v1={_digest(key, body, at_s)}"


def check_signature(key: bytes, header: str, body: bytes, now: int) -> Reject | None:
    """None where the header signs exactly this body, at most five minutes from `now` (epoch ms)."""
    match = _HEADER.fullmatch(header.strip())
    if match is None:
        return Reject(401, "signature_missing")
    at_s = int(match[1])
    if not hmac.compare_digest(_digest(key, body, at_s), match[2]):
        return Reject(401, "signature_wrong")
    if abs(now - at_s * 1000) > TOLERANCE_S * 1000:
        return Reject(401, "signature_expired")
    return None


def parse_postback(body: bytes) -> Postback | Reject:
    """Read the body; every fault names its field."""
    if len(body) > MAX_BODY:
        return Reject(413, "too_large")
    try:
        data: Any = json.loads(body)
    except (ValueError, RecursionError):
        return Reject(400, "not_json")
    if not isinstance(data, dict):
        return Reject(400, "not_json")
    report_id, amount, currency = data.get("id"), data.get("amount_cents"), data.get("currency")
    if not isinstance(report_id, str) or not 0 < len(report_id) <= 100:
        return Reject(422, "invalid", "id")
    if isinstance(amount, bool) or not isinstance(amount, int):
        return Reject(422, "invalid", "amount_cents")
    if not isinstance(currency, str) or re.fullmatch(r"[A-Z]{3}", currency) is None:
        return Reject(422, "invalid", "currency")
    at = _moment(data.get("at"))
    return Reject(422, "invalid", "at") if at is None else Postback(report_id, amount, currency, at)


def judge(
    report: Postback,
    booked: Iterable[Booked],
    *,
    currency: str,
    started_at: int,
    now: int,
    hold_until: int | None = None,
    max_cents: int = ABSURD_CENTS,
) -> Accept | Adjust | Noop | Reject:
    """What becomes of a signed report on a call that started at `started_at`; times are epoch ms.

    `booked` are the reports booked so far, in any order. `hold_until` is when the room kept for a postback is
    given back (None = it never was kept).
    """
    if report.currency != currency:
        return Reject(422, "wrong_currency", "currency")
    if report.amount_cents < 0:
        return Reject(422, "negative", "amount_cents")
    if report.amount_cents > max_cents:
        return Reject(422, "absurd", "amount_cents")
    if report.at > now + TOLERANCE_S * 1000:
        return Reject(422, "in_the_future", "at")
    if report.at < started_at - TOLERANCE_S * 1000:
        return Reject(422, "before_the_call", "at")
    known = list(booked)
    if any(b.id == report.id for b in known):
        return Noop("repeated")
    late = hold_until is None or now > hold_until
    if not known:
        return Accept(report.amount_cents, late)
    last = max(known, key=lambda b: b.at)
    if report.at <= last.at:
        return Noop("older")
    return Adjust(report.amount_cents - last.amount_cents, late)


def _digest(key: bytes, body: bytes, at_s: int) -> str:
    return hmac.new(key, b"%d." % at_s + body, sha256).hexdigest()


def _moment(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value < 10**14 else None
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return to_ms(moment) if moment.tzinfo is not None else None
