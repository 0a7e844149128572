"""Order of the candidates: tiers, weights, turns, bids, earnings, groups, callers seen before."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcx_ari.decide.facts import Earnings, PreviousCall, Usage
from dcx_ari.decide.weights import smooth_order

from .world import NOON, buyer, config, decide, order, reasons, used

pytestmark = pytest.mark.unit


def group(row_id: int = 1, **fields: Any) -> dict[str, Any]:
    return {"id": row_id, "name": f"Group {row_id}", **fields}


def members(*pairs: tuple[int, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": i, "group_id": 1, "buyer_id": b, **more} for i, (b, more) in enumerate(pairs, start=1)]


def in_group(strategy: str, *pairs: tuple[int, dict[str, Any]], **fields: Any) -> dict[str, Any]:
    return {
        "buyer_groups": [group(routing_strategy=strategy, **fields)],
        "buyer_group_members": members(*pairs),
        "attached": [{"id": 90, "campaign_id": 1, "group_id": 1}],
    }


def test_lower_tiers_first_and_an_attachment_overrides_the_buyer() -> None:
    rows = [buyer(1, tier=1), buyer(2), buyer(3, tier=-10), buyer(4, attachment={"tier": -20})]
    assert order(decide(config(rows))) == [4, 3, 2, 1]


def test_weights_75_and_25_within_a_point_over_ten_thousand_draws() -> None:
    snapshot = config([buyer(1, weight=75), buyer(2, weight=25)])
    first = Counter(order(decide(snapshot, seed=seed))[0] for seed in range(10_000))
    assert abs(first[1] / 10_000 - 0.75) < 0.01


def test_three_equal_weights_share_all_six_orders() -> None:
    snapshot = config([buyer(1), buyer(2), buyer(3)])
    orders = Counter(tuple(order(decide(snapshot, seed=seed))) for seed in range(6_000))
    assert len(orders) == 6
    assert all(abs(n - 1000) < 150 for n in orders.values())


def test_weight_zero_is_never_chosen_unless_alone_among_equals() -> None:
    rows = [buyer(1, weight=0), buyer(2, weight=1), buyer(3, weight=0, tier=5)]
    decision = decide(config(rows))
    assert order(decision) == [2, 3]
    assert reasons(decision) == {1: "weight_zero"}
    nobody = decide(config([buyer(1, weight=0), buyer(2, weight=0)]))
    assert (nobody.steps, nobody.failure_reason) == ((), "all_filtered")


@given(
    weights=st.lists(st.integers(1, 100), min_size=1, max_size=6),
    calls=st.integers(1, 150),
)
@settings(max_examples=60, deadline=None)
def test_smooth_turns_are_never_a_call_off(weights: list[int], calls: int) -> None:
    counts = [0] * len(weights)
    for n in range(1, calls + 1):
        turns = smooth_order(weights, counts)
        assert turns.forgiven == (0,) * len(weights)
        counts[turns.order[0]] += 1
        assert all(abs(c - n * w / sum(weights)) <= 1 for c, w in zip(counts, weights, strict=True))


@given(
    weights=st.lists(st.integers(1, 100), min_size=2, max_size=5),
    counts=st.lists(st.integers(0, 500), min_size=5, max_size=5),
)
@settings(max_examples=100, deadline=None)
def test_one_that_was_away_is_owed_less_than_two_calls(weights: list[int], counts: list[int]) -> None:
    counts = counts[: len(weights)]
    turns = smooth_order(weights, counts)
    have = [n + more for n, more in zip(counts, turns.forgiven, strict=True)]
    assert min(turns.forgiven) == 0
    for n, w in zip(have, weights, strict=True):
        assert w * sum(have) / sum(weights) - n < 2
    assert sum(smooth_order(weights, have).forgiven) == 0


def test_smooth_wrr_in_a_campaign_says_whose_turn_was_taken() -> None:
    snapshot = config([buyer(1, weight=75), buyer(2, weight=25)], campaign={"weighting": "smooth_wrr"})
    counts: Counter[Any] = Counter()
    for seed in range(100):
        decision = decide(snapshot, usage=Usage(turns=dict(counts)), seed=seed)
        for turn in decision.turns:
            counts[(turn.within, turn.within_id, turn.kind, turn.id)] += turn.add
    assert counts == {("campaign", 1, "buyer", 1): 75, ("campaign", 1, "buyer", 2): 25}


def test_bid_puts_the_dearest_first_and_breaks_ties_by_weight() -> None:
    rows = [buyer(1, revenue_cents=500), buyer(2, revenue_cents=900), buyer(3, revenue_cents=900, weight=0)]
    decision = decide(config(rows, campaign={"strategy": "bid"}))
    assert order(decision) == [2, 1]
    assert reasons(decision) == {3: "weight_zero"}
    assert [r.score for r in decision.ranked] == [900, 500]


def test_a_bid_is_the_price_of_the_first_conversion_rule() -> None:
    rows = [buyer(1, revenue_cents=500), buyer(2, conversion_rules=[{"revenue_cents": 400}])]
    assert order(decide(config(rows, campaign={"strategy": "bid"}))) == [1, 2]


def test_epc_is_shrunk_to_the_mean_by_twenty_pseudo_calls() -> None:
    rows = [buyer(1), buyer(2), buyer(3)]
    earned = {1: Earnings(100, 30_000), 2: Earnings(10, 10_000)}
    decision = decide(config(rows, campaign={"strategy": "epc"}), usage=Usage(earnings=earned))
    default = 40_000 // 110
    assert {r.id: r.score for r in decision.ranked} == {
        1: (30_000 + 20 * default) * 1000 // 120,
        2: (10_000 + 20 * default) * 1000 // 30,
        3: default * 1000,
    }
    assert order(decision) == [2, 3, 1]
    assert ("buyer", 3, 0, 0, default) in decision.earnings


def test_group_by_priority_then_weight() -> None:
    rows = [buyer(i, apart=True) for i in (1, 2, 3)]
    extra = in_group("priority", (1, {"priority": 1}), (2, {"priority": 0, "weight": 0}), (3, {"priority": 0}))
    decision = decide(config(rows, **extra))
    assert order(decision) == [3, 2, 1]
    assert {s.group_id for s in decision.steps} == {1}


def test_weighted_group_shares_by_weight() -> None:
    rows = [buyer(i, apart=True) for i in (1, 2)]
    snapshot = config(rows, **in_group("weighted", (1, {"weight": 75}), (2, {"weight": 25})))
    first = Counter(order(decide(snapshot, seed=seed))[0] for seed in range(4_000))
    assert abs(first[1] / 4_000 - 0.75) < 0.03


def test_round_robin_takes_turns_and_passes_over_who_is_full() -> None:
    rows = [buyer(i, apart=True, daily_cap=10) for i in (1, 2, 3)]
    snapshot = config(rows, **in_group("round_robin", (1, {}), (2, {}), (3, {})))
    counts: Counter[Any] = Counter()
    firsts = []
    for _ in range(6):
        decision = decide(snapshot, usage=Usage(turns=dict(counts)))
        firsts.append(order(decision)[0])
        counts.update({(t.within, t.within_id, t.kind, t.id): t.add for t in decision.turns})
    assert firsts == [1, 2, 3, 1, 2, 3]
    full = used(("buyer", 1, "connect", "day", "2026-03-10", 10))
    assert order(decide(snapshot, usage=full)) == [2, 3]


def test_a_simultaneous_group_is_one_step_and_competes_by_tier() -> None:
    rows = [buyer(1, apart=True), buyer(2, apart=True, status="INACTIVE"), buyer(3, apart=True), buyer(4, tier=9)]
    snapshot = config(rows, **in_group("simultaneous", (1, {}), (2, {}), (3, {}), tier=-1))
    decision = decide(snapshot)
    assert [(set(s.buyer_ids), s.together) for s in decision.steps] == [({1, 3}, True), ({4}, False)]
    assert [(r.id, r.group_id, r.reason) for r in decision.rejected] == [(2, 1, "paused")]


def test_a_full_group_blocks_all_its_members() -> None:
    snapshot = config([buyer(1, apart=True)], **in_group("priority", (1, {}), daily_cap=5))
    decision = decide(snapshot, usage=used(("group", 1, "connect", "day", "2026-03-10", 5)))
    [rejected] = decision.rejected
    assert (rejected.kind, rejected.reason, rejected.values["scope"]) == ("group", "cap.daily", "group")
    assert decision.failure_reason == "all_maxed_out"


def test_a_group_without_a_fit_member_speaks_through_its_members() -> None:
    decision = decide(config([buyer(1, apart=True, daily_cap=0)], **in_group("priority", (1, {}))))
    assert [r.reason for r in decision.rejected] == ["cap.daily", "no_member"]
    assert decision.failure_reason == "all_maxed_out"


def test_a_buyer_whose_endpoint_is_a_group() -> None:
    rows = [buyer(9, endpoint_type="GROUP", endpoint_value="Group 1", daily_cap=1), buyer(1, apart=True)]
    extra = in_group("priority", (1, {})) | {"attached": []}
    [step] = decide(config(rows, **extra)).steps
    assert (step.buyer_ids, step.group_id, step.via_buyer_id) == ((1,), 1, 9)
    full = used(("buyer", 9, "connect", "day", "2026-03-10", 1))
    assert reasons(decide(config(rows, **extra), usage=full)) == {9: "cap.daily"}


def test_a_group_in_a_group_is_refused_by_name() -> None:
    rows = [buyer(9, endpoint_type="GROUP", endpoint_value="1", apart=True)]
    decision = decide(config(rows, **in_group("priority", (9, {}))))
    assert [r.reason for r in decision.rejected] == ["misconfigured"]


def test_a_buyer_alone_and_in_a_group_is_dialled_once() -> None:
    rows = [buyer(1, tier=1), buyer(2, apart=True)]
    decision = decide(config(rows, **in_group("priority", (1, {"priority": 0}), (2, {"priority": 1}))))
    assert order(decision) == [1, 2]


def seen(*calls: tuple[int, str]) -> Usage:
    return Usage(
        history=tuple(PreviousCall(f"old{b}", 1, b, NOON - 1000 + b, reached) for b, reached in calls)  # type: ignore[arg-type]
    )


def test_a_duplicate_rule_of_a_buyer_skips_it() -> None:
    rows = [buyer(1, duplicate={"after": "connected", "window_days": "forever"}), buyer(2)]
    decision = decide(config(rows), usage=seen((1, "connected"), (2, "converted")))
    assert (order(decision), reasons(decision)) == ([2], {1: "duplicate"})
    assert order(decide(config(rows[:1]), usage=seen((1, "attempted")))) == [1]


def test_a_campaign_rule_by_buyer_asks_for_a_new_one() -> None:
    rule = {"scope": "buyer", "after": "attempted", "action": "skip_buyer"}
    decision = decide(config([buyer(1), buyer(2)], campaign={"duplicate": rule}), usage=seen((1, "attempted")))
    assert (order(decision), reasons(decision)) == ([2], {1: "duplicate"})


def test_a_group_rule_looks_at_all_who_share_a_group() -> None:
    rows = [buyer(1, duplicate={"scope": "buyer_group"}), buyer(2, duplicate={"scope": "buyer_group"})]
    extra = {
        "buyer_groups": [group()],
        "buyer_group_members": members((1, {}), (3, {})),
    }
    decision = decide(config([*rows, buyer(3, apart=True)], **extra), usage=seen((3, "connected")))
    assert (order(decision), reasons(decision)) == ([2], {1: "duplicate"})


@pytest.mark.parametrize("of", ["campaign", "buyer"])
def test_the_previous_buyer_is_preferred_if_it_still_may(of: str) -> None:
    rule = {"scope": "company" if of == "campaign" else "buyer", "action": "prefer_previous"}
    rows = [buyer(1), buyer(2, tier=7, **({"duplicate": rule} if of == "buyer" else {}))]
    snapshot = config(rows, campaign={"duplicate": rule} if of == "campaign" else {})
    decision = decide(snapshot, usage=seen((2, "connected")))
    assert order(decision) == [2, 1]
    assert decision.ranked[0].sticky
    assert order(decide(snapshot)) == [1, 2]


def test_routed_but_unpaid() -> None:
    rule = {"action": "route_but_unpaid", "scope": "campaign"}
    by_buyer = decide(config([buyer(1, duplicate={**rule, "scope": "buyer"}), buyer(2)]), usage=seen((1, "connected")))
    assert (by_buyer.unpaid_buyers, by_buyer.no_payout) == ({1}, False)
    by_campaign = decide(config([buyer(1)], campaign={"duplicate": rule}), usage=seen((5, "connected")))
    assert (by_campaign.unpaid_buyers, by_campaign.no_payout) == ({1}, True)
    by_source = decide(config([buyer(1)], source={"duplicate": rule}), usage=seen((5, "connected")))
    assert (by_source.unpaid_buyers, by_source.no_payout) == (set(), True)
