"""Conversions at the instant of their threshold, payouts, telephony cost: to the cent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcx_ari.decide.conversion import (
    Conversion,
    Due,
    Heard,
    Stages,
    applicable,
    conversion_due,
    expected_cents,
    rules_of,
)
from dcx_ari.decide.cost import billed_seconds, cost_cents, rate_for
from dcx_ari.decide.facts import PreviousCall
from dcx_ari.decide.payout import adjustment_cents, paid_before, payout_cents, payout_due_at, share_cents
from dcx_ari.decide.rows import (
    Buyer,
    ConversionRule,
    DuplicateRule,
    Filter,
    Payout,
    PayoutHours,
    PayoutTier,
    Rate,
)

from .world import NOON, NY, at

pytestmark = pytest.mark.unit

S = 1000
TALK = Stages(dial=NOON, answer=NOON + 5 * S, accept=NOON + 8 * S, bridge=NOON + 10 * S)


def due(buyer: Buyer, stages: Stages, now: int, heard: Heard | None = None) -> Any:
    return conversion_due(rules_of(buyer), buyer, stages, heard or Heard(), now)


@pytest.mark.parametrize(("start", "offset"), [("dial", 0), ("answer", 5), ("accept", 8), ("bridge", 10)])
def test_the_timer_runs_from_the_stage_that_the_rule_names(start: Any, offset: int) -> None:
    row = Buyer(1, revenue_cents=500, conversion_rules=(ConversionRule(threshold_s=30, timer_start=start),))
    reached = NOON + (offset + 30) * S
    assert due(row, TALK, reached - 1) == Due(reached, 500, 0)
    assert due(row, TALK, reached) == Conversion(reached, 500, 0)
    assert due(row, TALK, reached + 9999) == Conversion(reached, 500, 0)


def test_zero_seconds_from_dial_converts_on_dial() -> None:
    row = Buyer(1, revenue_cents=500, conversion_rules=(ConversionRule(timer_start="dial"),))
    assert due(row, Stages(dial=NOON), NOON) == Conversion(NOON, 500, 0)
    assert due(row, Stages(), NOON) is None


def test_a_leg_that_ended_reaches_no_further_threshold() -> None:
    row = Buyer(1, revenue_cents=500, conversion_rules=(ConversionRule(threshold_s=30),))
    ended = Stages(bridge=NOON, ended=NOON + 29_999)
    assert due(row, ended, NOON + 60 * S) is None
    assert due(row, Stages(bridge=NOON, ended=NOON + 30 * S), NOON + 60 * S) == Conversion(NOON + 30 * S, 500, 0)


def test_without_an_accept_digit_accept_is_the_bridge() -> None:
    row = Buyer(1, revenue_cents=1, conversion_rules=(ConversionRule(threshold_s=1, timer_start="accept"),))
    assert due(row, Stages(dial=NOON, bridge=NOON + S), NOON + S) == Due(NOON + 2 * S, 1, 0)


def test_the_first_rule_that_is_fulfilled_wins_and_the_nearest_is_armed() -> None:
    rules = (
        ConversionRule(threshold_s=90, revenue_cents=2000),
        ConversionRule(kind="digit", digit="1", revenue_cents=700),
        ConversionRule(threshold_s=30, revenue_cents=500),
    )
    row = Buyer(1, conversion_rules=rules)
    assert due(row, TALK, NOON + 11 * S) == Due(NOON + 40 * S, 500, 2)
    assert due(row, TALK, NOON + 40 * S) == Conversion(NOON + 40 * S, 500, 2)
    assert due(row, TALK, NOON + 100 * S) == Conversion(NOON + 100 * S, 2000, 0)
    assert due(row, TALK, NOON + 20 * S, Heard(digits=frozenset("1"))) == Conversion(NOON + 20 * S, 700, 1)
    assert due(row, TALK, NOON + 20 * S, Heard(digits=frozenset("2"))) == Due(NOON + 40 * S, 500, 2)


def test_digit_and_disposition_may_need_a_minimum_of_talk() -> None:
    rules = (ConversionRule(kind="disposition", disposition="sold", threshold_s=20),)
    row = Buyer(1, revenue_cents=900, conversion_rules=rules)
    sold = Heard(disposition="sold")
    assert due(row, TALK, NOON + 29 * S, sold) is None
    assert due(row, TALK, NOON + 30 * S, sold) == Conversion(NOON + 30 * S, 900, 0)
    assert due(row, TALK, NOON + 30 * S, Heard(disposition="lost")) is None


def test_a_postback_pays_within_its_bounds() -> None:
    rule = ConversionRule(kind="postback", revenue_min_cents=100, revenue_max_cents=5000)
    row = Buyer(1, revenue_cents=900, conversion_rules=(rule,))
    for said, paid in ((None, 900), (50, 100), (2500, 2500), (9000, 5000)):
        assert due(row, TALK, NOON, Heard(postback=True, postback_cents=said)) == Conversion(NOON, paid, 0)
    assert due(row, TALK, NOON) is None


def test_a_price_without_rules_pays_for_every_bridged_call() -> None:
    row = Buyer(1, revenue_cents=500)
    assert due(row, Stages(dial=NOON), NOON + S) is None
    assert due(row, TALK, NOON + 10 * S) == Conversion(NOON + 10 * S, 500, -1)
    assert due(Buyer(1), TALK, NOON + 99 * S) is None
    assert (expected_cents(row), expected_cents(Buyer(1))) == (500, 0)


def test_rules_apply_by_hours_tags_and_window() -> None:
    rules = (
        ConversionRule(hours=(("22:00", "06:00"),)),
        ConversionRule(filters=(Filter("state", "==", "NY"),)),
        ConversionRule(duplicate_window_days=30),
    )
    row = Buyer(1, conversion_rules=rules)
    sold = (PreviousCall("old", 1, 1, NOON - 86_400_000, "converted"),)

    def indexes(started_at: int, tags: dict[str, Any], history: Any = ()) -> list[int]:
        found = applicable(row, started_at=started_at, zone=NY, tags=tags, history=history)
        return [i for i, _ in found]

    assert indexes(NOON, {"state": "NY"}) == [1, 2]
    assert indexes(at("2026-03-10T05:59"), {}) == [0, 2]
    assert indexes(at("2026-03-10T22:00"), {}, sold) == [0]
    assert indexes(NOON, {}, (PreviousCall("old", 1, 1, NOON, "connected"),)) == [2]


def pay(payout: Payout, talk_ms: int = 60_000, revenue: int = 1000, started_at: int = NOON) -> int:
    return payout_cents(payout, talk_ms=talk_ms, revenue_cents=revenue, started_at=started_at, zone=NY)


def test_payout_models() -> None:
    assert pay(Payout(cents=300)) == 300
    assert pay(Payout("share", share_bp=2500), revenue=1001) == 250
    tiers = Payout("tiers", tiers=(PayoutTier(90, 900), PayoutTier(30, 300)))
    assert [pay(tiers, ms) for ms in (29_999, 30_000, 89_999, 90_000)] == [0, 300, 300, 900]
    night = Payout("hours", cents=100, hours=(PayoutHours("22:00", "06:00", 50, ("fri",)),))
    moments = ("2026-03-13T21:59", "2026-03-13T22:00", "2026-03-14T05:59", "2026-03-14T06:00", "2026-03-15T01:00")
    assert [pay(night, started_at=at(m)) for m in moments] == [100, 50, 50, 100, 100]


def test_a_payout_has_a_threshold_of_its_own() -> None:
    payout = Payout(cents=300, threshold_s=60, timer_start="answer")
    assert payout_due_at(payout, TALK) == NOON + 65 * S
    assert payout_due_at(payout, Stages(answer=NOON, ended=NOON + 59 * S)) is None
    assert payout_due_at(payout, Stages(answer=NOON, ended=NOON + 60 * S)) == NOON + 60 * S
    assert payout_due_at(payout, Stages(dial=NOON)) is None


def test_a_payout_has_a_duplicate_rule_of_its_own() -> None:
    payout = Payout(cents=300, duplicate=DuplicateRule("campaign", "connected", 7))
    week = 7 * 86_400_000
    for age, paid in ((week, True), (week + 1, False)):
        history = (PreviousCall("old", 1, 9, NOON - age, "connected"),)
        assert (paid_before(payout, history, NOON, campaign_id=1, buyer_id=2) is not None) is paid
    assert paid_before(Payout(), history, NOON, campaign_id=1, buyer_id=2) is None


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=6), st.integers(0, 10_000))
def test_corrections_always_add_up_to_what_the_last_revenue_gives(revenues: list[int], share: int) -> None:
    booked = 0
    for revenue in revenues:
        booked += adjustment_cents(booked, share_cents(revenue, share))
    assert booked == share_cents(revenues[-1], share)
    assert abs(booked * 10_000 - revenues[-1] * share) <= 5_000


def test_half_a_cent_goes_away_from_zero() -> None:
    assert [share_cents(c, 5_000) for c in (1, 2, 3, -1, -3)] == [1, 1, 2, -1, -2]


RATES = (
    Rate("1", 100, 0, 1, 0),
    Rate("1212", 250, 30, 6, 5),
    Rate("44", 990, 60, 60, 10),
)


def test_the_longest_prefix_wins() -> None:
    assert rate_for(RATES, "+12125550100") is RATES[1]
    assert rate_for(RATES, "+13105550100") is RATES[0]
    assert rate_for(RATES, "+4915") is None
    assert rate_for((*RATES, Rate("", 7)), "+4915") == Rate("", 7)


@pytest.mark.parametrize(
    ("rate", "answered_ms", "billed", "cents"),
    [
        (0, 0, 0, 0),
        (0, 1, 1, 0),
        (0, 60_000, 60, 1),
        (0, 29_999, 30, 1),
        (0, 29_000, 29, 0),
        (1, 1, 30, 6),
        (1, 30_001, 36, 7),
        (1, 60_000, 60, 8),
        (2, 60_001, 120, 30),
    ],
)
def test_cost_of_a_leg(rate: int, answered_ms: int, billed: int, cents: int) -> None:
    assert cost_cents(RATES[rate], answered_ms) == cents
    if answered_ms:
        assert billed_seconds(RATES[rate], answered_ms) == billed


def test_a_leg_that_was_not_answered_or_has_no_rate_costs_nothing() -> None:
    assert cost_cents(RATES[1], 0) == cost_cents(None, 60_000) == 0
