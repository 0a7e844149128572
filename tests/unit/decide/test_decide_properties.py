"""What holds for every configuration: the same inputs give the same Decision, and nobody is over a cap."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcx_ari.decide.caps import buyer_caps, exceeds, group_caps
from dcx_ari.decide.decision import Decision
from dcx_ari.decide.facts import CallFacts, Earnings, PreviousCall, Usage
from dcx_ari.decide.periods import period_keys, zone_of
from dcx_ari.decide.record import Inputs
from dcx_ari.decide.replay import rerun
from dcx_ari.decide.snapshot import build
from dcx_ari.decide.wanted import wanted

from .world import ALWAYS, CALLER, NOON, NUMBER, buyer, config, decide, tables

pytestmark = pytest.mark.unit

ZONES = ("America/New_York", "America/Los_Angeles", "Asia/Kolkata", "Pacific/Kiritimati")
small = st.integers(0, 3)
limit = st.none() | small
rule = st.none() | st.fixed_dictionaries(
    {
        "scope": st.sampled_from(["campaign", "buyer", "buyer_group", "company"]),
        "after": st.sampled_from(["attempted", "connected", "converted"]),
        "window_days": st.sampled_from([None, 0, 1, "forever"]),
        "action": st.sampled_from(["skip_buyer", "route_but_unpaid", "block", "prefer_previous"]),
    }
)
condition = st.fixed_dictionaries(
    {
        "tag": st.sampled_from(["state", "age", "missing"]),
        "op": st.sampled_from(["==", "!=", "exists", "not_exists", ">", "begins"]),
        "value": st.sampled_from(["NY", "5"]),
    }
)
buyer_fields = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["ACTIVE", "ACTIVE", "INACTIVE"]),
        "tier": st.integers(-1, 1),
        "weight": st.sampled_from([0, 1, 50, 100]),
        "revenue_cents": st.sampled_from([0, 100, 900]),
        "timezone": st.sampled_from([*ZONES, "Mars/Olympus"]),
        "schedule_id": st.sampled_from([1, 2, 9]),
        "cap_mode": st.sampled_from(["strict", "count_after"]),
        "cap_metric": st.sampled_from(["connect", "attempt"]),
        "daily_cap": limit,
        "hourly_cap": limit,
        "total_cap": limit,
        "converted_daily_limit": limit,
        "revenue_cap_total_cents": st.none() | st.integers(0, 900),
        "concurrency_limit": limit,
        "min_seconds_between": st.none() | st.integers(0, 60),
        "skills": st.lists(st.sampled_from(["en", "es"]), unique=True),
        "filters": st.lists(condition, max_size=2),
        "duplicate": rule,
        "endpoint_value": st.sampled_from([NUMBER, "+16465550000", "bad"]),
        "accept_rerouted_max": limit,
    },
)
campaign_fields = st.fixed_dictionaries(
    {},
    optional={
        "strategy": st.sampled_from(["tier", "bid", "epc"]),
        "weighting": st.sampled_from(["weighted_random", "smooth_wrr"]),
        "duplicate": rule,
        "unknown_state": st.sampled_from(["allow", "block"]),
        "daily_cap": st.none() | st.integers(1, 3),
        "filters": st.lists(condition, max_size=1),
    },
)
SCHEDULES = [
    {"id": 1, "weekly": ALWAYS},
    {"id": 2, "timezone": "Asia/Kolkata", "weekly": {"tue": [["20:00", "02:00"]]}, "holidays": {"country": "IN"}},
]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, Any], CallFacts, Usage, int, int, bool]:
    rows = [buyer(i, **draw(buyer_fields)) for i in range(1, draw(st.integers(1, 5)))]
    in_group = [row["id"] for row in rows if draw(st.booleans())]
    strategy = draw(st.sampled_from(["priority", "weighted", "round_robin", "simultaneous"]))
    data = tables(
        rows,
        campaign=draw(campaign_fields),
        source={"duplicate": draw(rule)},
        schedules=SCHEDULES,
        buyer_groups=[{"id": 1, "name": "G", "routing_strategy": strategy, "daily_cap": draw(limit)}],
        buyer_group_members=[
            {"id": n, "group_id": 1, "buyer_id": b, "weight": draw(small), "priority": draw(small)}
            for n, b in enumerate(in_group, start=1)
        ],
        attached=[{"id": 80, "campaign_id": 1, "group_id": 1}] if draw(st.booleans()) else [],
        state_rules=draw(st.sampled_from([[], [{"id": 1, "state_code": "NY", "action": "block", "buyer_id": 1}]])),
        suppression_lists=draw(
            st.sampled_from([[], [{"id": 1, "phone_number": CALLER, "list_type": "buyer_suppression", "buyer_id": 1}]])
        ),
    )
    started = NOON + draw(st.integers(-(10**10), 10**10))
    facts = CallFacts(
        "c",
        NUMBER,
        draw(st.sampled_from([CALLER, None, "+442079460000"])),
        started,
        tags=draw(st.sampled_from([{}, {"age": 70}, {"age": "x", "state": "CA"}])),
        tried=frozenset(draw(st.sets(small, max_size=2))),
        connections=draw(small),
        skills=frozenset(draw(st.sets(st.sampled_from(["en"])))),
    )
    return (
        data,
        facts,
        draw(usages(data, facts)),
        started + draw(st.integers(0, 10**6)),
        draw(st.integers(0, 2**64)),
        draw(st.booleans()),
    )


@st.composite
def usages(draw: st.DrawFn, data: dict[str, Any], facts: CallFacts) -> Usage:
    snapshot = build(data, version=1)
    counters = {}
    for row in (*snapshot.buyers.values(), *snapshot.groups.values()):
        try:
            keys = period_keys(facts.started_at, zone_of(row.timezone or snapshot.company_zone))
        except ValueError:
            continue
        for cap in group_caps(row) if hasattr(row, "routing_strategy") else buyer_caps(row):
            if cap.limit is not None:
                counters[(cap.scope, cap.scope_id, cap.metric, cap.period, keys[cap.period])] = draw(small)
    reached = st.sampled_from(["attempted", "connected", "converted"])
    return Usage(
        counters=counters,  # type: ignore[arg-type]
        history=tuple(
            PreviousCall(f"h{n}", 1, draw(small), NOON - n * 40_000_000, draw(reached)) for n in range(draw(small))
        ),
        earnings={1: Earnings(draw(small), draw(small) * 100)},
        turns={("campaign", 1, "buyer", 1): draw(small), ("group", 1, "buyer", 2): draw(small)},
    )


@given(worlds())
@settings(max_examples=250, deadline=None)
def test_inputs_that_were_kept_give_the_same_decision(world: Any) -> None:
    data, facts, usage, now, seed, explain = world
    decision = decide(build(data, version=3), facts, usage, now=now, seed=seed, explain_all=explain)
    text = decision.to_json()
    assert rerun(text) == decision
    kept = Decision.from_json(text)
    assert kept == decision
    assert json.loads(kept.to_json()) == json.loads(text)
    assert kept.steps == decision.steps
    assert kept.failure_reason == decision.failure_reason


@given(worlds())
@settings(max_examples=150, deadline=None)
def test_no_step_is_over_a_cap_paused_or_tried_and_everybody_is_accounted_for(world: Any) -> None:
    data, facts, usage, now, seed, _ = world
    snapshot = build(data, version=3)
    decision = decide(snapshot, facts, usage, now=now, seed=seed)
    for step in decision.steps:
        for buyer_id in step.buyer_ids:
            row = snapshot.buyers[buyer_id]
            keys = period_keys(facts.started_at, zone_of(row.timezone or snapshot.company_zone))
            for cap in buyer_caps(row):
                key = (cap.scope, cap.scope_id, cap.metric, cap.period, keys[cap.period])
                assert not exceeds(usage.counters.get(key, 0), cap)  # type: ignore[call-overload]
            assert row.status == "ACTIVE"
            assert buyer_id not in facts.tried
    if decision.refusal is None:
        seen = {(r.kind, r.id) for r in (*decision.ranked, *decision.rejected)}
        assert {("buyer", b) for b in snapshot.buyers} <= seen


@given(worlds())
@settings(max_examples=100, deadline=None)
def test_adding_a_paused_buyer_changes_nothing(world: Any) -> None:
    data, facts, usage, now, seed, _ = world
    before = decide(build(data, version=3), facts, usage, now=now, seed=seed)
    more = {
        **data,
        "buyers": [*data["buyers"], buyer(77, status="INACTIVE")],
        "campaign_buyers": [*data["campaign_buyers"], {"id": 99, "campaign_id": 1, "buyer_id": 77}],
    }
    after = decide(build(more, version=3), facts, usage, now=now, seed=seed)
    assert after.ranked == before.ranked
    assert [r for r in after.rejected if r.id != 77] == list(before.rejected)


@given(worlds())
@settings(max_examples=80, deadline=None)
def test_only_wanted_figures_are_looked_at(world: Any) -> None:
    data, facts, usage, now, seed, _ = world
    snapshot = build(data, version=3)
    want = wanted(snapshot, facts)
    less = Usage(
        counters={k: n for k, n in usage.counters.items() if (k[0], k[1]) in want.scopes and k[4] in want.period_keys},
        history=usage.history if want.history else (),
        earnings=usage.earnings if want.earnings else {},
        turns=usage.turns if want.turns else {},
    )
    assert decide(snapshot, facts, less, now=now, seed=seed) == decide(snapshot, facts, usage, now=now, seed=seed)


def test_the_campaigns_part_may_be_kept_apart() -> None:
    decision = decide(config([buyer(1), buyer(2, daily_cap=0)]))
    small_text = decision.to_json(campaign=False)
    assert isinstance(decision.inputs, Inputs)
    kept = decision.inputs.campaign_text()
    assert kept is not None
    assert json.loads(small_text)["inputs"]["campaign_digest"] == kept[0]
    assert rerun(small_text, kept[1]) == decision
    with pytest.raises(ValueError, match="without the campaign"):
        rerun(small_text)
    with pytest.raises(ValueError, match="not those"):
        rerun(small_text, kept[1].replace("Campaign", "campaign"))


def test_a_decision_keeps_no_secret() -> None:
    data = tables([buyer(1)])
    data["trunks"][0].update(username="u", password="hunter2")
    assert "hunter2" not in decide(build(data, version=1)).to_json()
