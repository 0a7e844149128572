"""Holds, guards, what is committed, maxed out, alerts."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcx_ari.decide.caps import (
    Cap,
    CounterKey,
    Hold,
    Outcome,
    alerts,
    buyer_caps,
    committed,
    exceeds,
    holds_for,
    max_price_cents,
    maxed_out,
    merged,
)
from dcx_ari.decide.rows import Buyer, Campaign, ConversionRule, Group, Source

from .world import NOON, NY, at

pytestmark = pytest.mark.unit

COMPANY = "America/New_York"


def holds(**buyer_fields: Any) -> dict[tuple[str, str], Hold]:
    row = Buyer(1, revenue_cents=1000, **buyer_fields)
    return {(h.metric, h.period): h for h in holds_for(NOON, COMPANY, buyer=row)}


def test_only_configured_caps_are_held_unless_asked() -> None:
    assert holds() == {}
    assert len(holds_for(NOON, COMPANY, buyer=Buyer(1), unlimited=True)) == 11
    assert all(h.limit is None for h in holds_for(NOON, COMPANY, buyer=Buyer(1), unlimited=True))


def test_all_scopes_in_lock_order_with_the_keys_of_their_zones() -> None:
    late = at("2026-03-31T23:30")
    found = holds_for(
        late,
        COMPANY,
        buyer=Buyer(4, daily_cap=1, timezone="Europe/London"),
        group=Group(3, monthly_cap=2),
        source=Source(1, daily_call_cap=9),
        campaign=Campaign(2, concurrency_limit=5),
    )
    assert [(h.scope, h.period_key) for h in found] == [
        ("source", "2026-03-31"),
        ("campaign", "now"),
        ("group", "2026-03"),
        ("buyer", "2026-04-01"),
    ]
    assert list(found) == sorted(found, key=lambda h: h.lock_order)


def test_strict_caps_hold_the_worst_case() -> None:
    rules = (ConversionRule(revenue_cents=700), ConversionRule(kind="postback", revenue_max_cents=2500))
    found = holds(conversion_rules=rules, converted_total_limit=3, revenue_cap_daily_cents=9000)
    assert found["convert", "total"].amount == 1
    assert found["revenue_cents", "day"].amount == 2500
    assert max_price_cents(Buyer(1, revenue_cents=1000)) == 1000


def test_count_after_caps_are_guards_that_take_nothing() -> None:
    found = holds(cap_mode="count_after", converted_total_limit=3, revenue_cap_daily_cents=9000, daily_cap=5)
    assert (found["convert", "total"].amount, found["convert", "total"].limit) == (0, 2)
    assert (found["revenue_cents", "day"].amount, found["revenue_cents", "day"].limit) == (0, 8999)
    assert (found["connect", "day"].amount, found["connect", "day"].limit) == (1, 5)


def test_attempt_or_connect() -> None:
    assert ("attempt", "day") in holds(cap_metric="attempt", daily_cap=5)
    assert ("connect", "day") in holds(daily_cap=5)


@given(
    used=st.integers(0, 20),
    limit=st.integers(0, 20),
    mode=st.sampled_from(["strict", "count_after"]),
    price=st.integers(0, 5),
)
@settings(max_examples=200, deadline=None)
def test_routing_and_ledger_ask_the_same_question(used: int, limit: int, mode: Any, price: int) -> None:
    row = Buyer(1, revenue_cents=price, cap_mode=mode, revenue_cap_daily_cents=limit, daily_cap=limit)
    caps = {c.name: c for c in buyer_caps(row)}
    for hold in holds_for(NOON, COMPANY, buyer=row):
        cap = caps["cap.revenue_daily" if hold.metric == "revenue_cents" else "cap.daily"]
        assert hold.limit is not None
        assert exceeds(used, cap) is not (used + hold.amount <= hold.limit)


def test_legs_that_ring_together_share_the_holds_of_their_group() -> None:
    group = Group(3, daily_cap=5)
    both = merged(h for b in (1, 2) for h in holds_for(NOON, COMPANY, buyer=Buyer(b, daily_cap=1), group=group))
    assert [(h.scope, h.scope_id) for h in both] == [("group", 3), ("buyer", 1), ("buyer", 2)]


def test_what_remains_at_the_end() -> None:
    row = Buyer(
        1,
        revenue_cents=1000,
        concurrency_limit=1,
        daily_cap=1,
        converted_total_limit=1,
        revenue_cap_total_cents=5000,
    )
    held = holds_for(NOON, COMPANY, buyer=row)
    talked = {h.metric + "." + h.period: committed(h, Outcome(True, 1, 800)) for h in held}
    assert talked == {
        "attempt.concurrent": 0,
        "connect.day": 1,
        "convert.total": 1,
        "revenue_cents.total": 800,
    }
    assert {committed(h, Outcome()) for h in held} == {0}
    [attempt] = holds_for(NOON, COMPANY, buyer=Buyer(1, cap_metric="attempt", daily_cap=3))
    assert committed(attempt, Outcome()) == 1


def test_maxed_out_names_every_cap_with_its_reset() -> None:
    row = Buyer(1, daily_cap=50, monthly_cap=900, total_cap=0)
    used = {CounterKey("buyer", 1, "connect", "day", "2026-03-10"): 50}
    found = maxed_out(buyer_caps(row), used, NOON, NY)
    assert [(m.cap, m.used, m.limit, m.resets_at) for m in found] == [
        ("cap.total", 0, 0, None),
        ("cap.daily", 50, 50, at("2026-03-11T00:00")),
    ]
    assert maxed_out(buyer_caps(replace(row, total_cap=None)), {}, NOON, NY) == ()


def test_every_limit_of_a_buyer_can_max_it_out() -> None:
    limits = [f.name for f in fields(Buyer) if f.name.endswith(("_cap", "_limit")) or "_cap_" in f.name]
    assert len(limits) == 11
    for name in limits:
        assert len(maxed_out(buyer_caps(Buyer(1, **{name: 0})), {}, NOON, NY)) == 1, name  # type: ignore[arg-type]


def test_alerts_fire_once_where_they_are_crossed() -> None:
    assert alerts(74, 75, 100) == (75,)
    assert alerts(75, 76, 100) == ()
    assert alerts(0, 4, 4) == (75, 90, 100)
    assert alerts(2, 3, 4) == (75,)
    assert alerts(5, 6, None) == alerts(0, 1, 0) == ()


def test_an_unlimited_cap_is_never_exceeded() -> None:
    assert not exceeds(10**9, Cap("cap.daily", "buyer", 1, "connect", "day", None, 1))
