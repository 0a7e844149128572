"""A buyer's report: signed, read, and booked once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dcx_ari.decide.postback import (
    Accept,
    Adjust,
    Booked,
    Noop,
    Postback,
    Reject,
    check_signature,
    judge,
    parse_postback,
    sign,
)

from .world import NOON

pytestmark = pytest.mark.unit

KEY, BODY = b"key of the call", b'{"id":"a"}'


def test_a_signature_is_of_this_body_with_this_key_now() -> None:
    header = sign(KEY, BODY, NOON // 1000)
    assert check_signature(KEY, header, BODY, NOON) is None
    assert check_signature(KEY, header, BODY, NOON + 300_000) is None
    wrong = [
        (b"another", header, BODY, NOON, "signature_wrong"),
        (KEY, header, BODY + b" ", NOON, "signature_wrong"),
        (KEY, header.replace("v1=", "v1=0"), BODY, NOON, "signature_missing"),
        (KEY, "", BODY, NOON, "signature_missing"),
        (KEY, header, BODY, NOON + 301_000, "signature_expired"),
        (KEY, header, BODY, NOON - 301_000, "signature_expired"),
        (
            KEY,
            sign(KEY, BODY, NOON // 1000 - 1).replace(f"t={NOON // 1000 - 1}", f"t={NOON // 1000}"),
            BODY,
            NOON,
            "signature_wrong",
        ),
    ]
    for key, head, body, now, reason in wrong:
        assert check_signature(key, head, body, now) == Reject(401, reason)


def body(**fields: Any) -> bytes:
    good = {"id": "a", "amount_cents": 500, "currency": "USD", "at": NOON}
    return json.dumps({**good, **fields}).encode()


def test_a_body_is_read() -> None:
    assert parse_postback(body()) == Postback("a", 500, "USD", NOON)
    assert parse_postback(body(at="2026-03-10T16:00:00Z")) == Postback("a", 500, "USD", NOON)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"id": ""}, "id"),
        ({"id": 5}, "id"),
        ({"id": "x" * 101}, "id"),
        ({"amount_cents": "500"}, "amount_cents"),
        ({"amount_cents": 5.5}, "amount_cents"),
        ({"amount_cents": True}, "amount_cents"),
        ({"amount_cents": None}, "amount_cents"),
        ({"currency": "usd"}, "currency"),
        ({"at": "2026-03-10T12:00:00"}, "at"),
        ({"at": "yesterday"}, "at"),
        ({"at": -1}, "at"),
        ({"at": True}, "at"),
    ],
)
def test_a_bad_field_is_named(fields: dict[str, Any], field: str) -> None:
    assert parse_postback(body(**fields)) == Reject(422, "invalid", field)


@pytest.mark.parametrize("raw", [b"", b"nonsense", b"[]", b"\xff", b"[" * 10_000])
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    assert parse_postback(raw) == Reject(400, "not_json")
    assert parse_postback(b" " * 20_000) == Reject(413, "too_large")


def say(amount: int = 500, report_id: str = "a", at: int = NOON, currency: str = "USD") -> Postback:
    return Postback(report_id, amount, currency, at)


def verdict(report: Postback, *booked: Booked, now: int = NOON, hold_until: int | None = NOON) -> Any:
    return judge(report, booked, currency="USD", started_at=NOON - 1000, now=now, hold_until=hold_until)


def test_first_again_newer_older() -> None:
    first = Booked("a", 500, NOON)
    assert verdict(say()) == Accept(500, late=False)
    assert verdict(say(700), first) == Noop("repeated")
    assert verdict(say(700, "b", NOON + 1), first) == Adjust(200, late=False)
    assert verdict(say(0, "b", NOON + 1), first) == Adjust(-500, late=False)
    assert verdict(say(700, "b", NOON - 1), first) == Noop("older")
    assert verdict(say(900, "c", NOON + 2), Booked("b", 700, NOON + 1), first) == Adjust(200, late=False)


def test_late_is_booked_and_said() -> None:
    assert verdict(say(), now=NOON + 1) == Accept(500, late=True)
    assert verdict(say(), hold_until=None) == Accept(500, late=True)
    assert verdict(say(1, "b", NOON + 1), Booked("a", 500, NOON), now=NOON + 5) == Adjust(-499, late=True)


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (say(currency="EUR"), "wrong_currency"),
        (say(-1), "negative"),
        (say(1_000_001), "absurd"),
        (say(at=NOON + 300_001), "in_the_future"),
        (say(at=NOON - 301_001), "before_the_call"),
    ],
)
def test_nothing_is_booked_for_a_bad_report(report: Postback, reason: str) -> None:
    refused = verdict(report)
    assert (refused.status, refused.reason) == (422, reason)
