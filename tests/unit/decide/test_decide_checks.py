"""Each check of a candidate, its values, and the order in which they are asked."""

from __future__ import annotations

from typing import Any

import pytest

from dcx_ari.decide.facts import PreviousCall, Usage
from dcx_ari.decide.rows import Suppression

from .world import ALWAYS, CALLER, NOON, NUMBER, at, buyer, call, config, decide, order, reasons, used

pytestmark = pytest.mark.unit

SHUT = {"id": 1, "name": "Shut", "timezone": "America/New_York", "weekly": {"wed": [["09:00", "17:00"]]}}


def only(decision: Any) -> tuple[str, dict[str, Any]]:
    [rejected] = decision.rejected
    return rejected.reason, rejected.values


def test_a_buyer_that_passes_everything_is_the_only_step() -> None:
    decision = decide(config([buyer(1)]))
    assert order(decision) == [1]
    assert decision.rejected == ()
    assert decision.failure_reason is None
    assert (decision.state, decision.geo_source) == ("NY", "npa")


@pytest.mark.parametrize("of", ["buyer", "attachment"])
def test_paused(of: str) -> None:
    row = buyer(1, status="INACTIVE") if of == "buyer" else buyer(1, attachment={"status": "INACTIVE"})
    assert only(decide(config([row]))) == ("paused", {"of": of, "status": "INACTIVE"})


def test_closed_says_when_it_opens() -> None:
    reason, values = only(decide(config([buyer(1, schedule_id=1)], schedules=[SHUT])))
    assert (reason, values["next_open"], values["why"]) == ("closed", at("2026-03-11T09:00"), "weekly")


def test_state_rules_of_a_buyer_beat_those_for_all() -> None:
    rules = [
        {"id": 1, "state_code": "NY", "action": "block"},
        {"id": 2, "state_code": "NY", "buyer_id": 2, "action": "allow"},
        {"id": 3, "state_code": "CA", "buyer_id": 2, "action": "block"},
    ]
    decision = decide(config([buyer(1), buyer(2)], state_rules=rules))
    assert order(decision) == [2]
    assert only(decision) == ("state_blocked", {"state": "NY", "rule_id": 1})


def test_consent_is_required_of_the_right_kind() -> None:
    rules = [{"id": 1, "state_code": "NY", "action": "require_consent", "consent_type": "written"}]
    snapshot = config([buyer(1)], state_rules=rules)
    reason, values = only(decide(snapshot, call(consents=frozenset({"verbal"}))))
    assert (reason, values["consent_type"], values["given"]) == ("consent_required", "written", ["verbal"])
    assert order(decide(snapshot, call(consents=frozenset({"written"})))) == [1]


def test_an_unknown_state_blocks_only_where_the_campaign_says_so() -> None:
    rules = [{"id": 1, "state_code": "NY", "action": "block"}]
    foreign = call("+442079460000")
    assert order(decide(config([buyer(1)], state_rules=rules), foreign)) == [1]
    strict = config([buyer(1)], campaign={"unknown_state": "block"})
    assert only(decide(strict, foreign)) == ("state_blocked", {"state": "unknown"})


def test_suppressed_for_one_buyer_until_it_expires() -> None:
    entry = {
        "id": 9,
        "phone_number": CALLER,
        "list_type": "buyer_suppression",
        "buyer_id": 1,
        "reason": "complained",
        "expires_at": NOON + 1,
    }
    snapshot = config([buyer(1), buyer(2)], suppression_lists=[entry])
    decision = decide(snapshot)
    assert order(decision) == [2]
    assert only(decision)[1]["why"] == "complained"
    assert set(order(decide(snapshot, now=NOON + 1))) == {1, 2}


def test_list_entries_may_come_with_the_usage() -> None:
    entry = Suppression(3, CALLER, "buyer_suppression", buyer_id=1)
    assert reasons(decide(config([buyer(1)]), usage=Usage(suppressions=(entry,)))) == {1: "suppressed"}


def test_a_filter_shows_what_it_compared() -> None:
    row = buyer(1, filters=[{"tag": "age", "op": ">", "value": 64}])
    assert only(decide(config([row]), call(tags={"age": "60"}))) == (
        "filter",
        {"tag": "age", "op": ">", "value": 64, "actual": "60"},
    )
    assert only(decide(config([row])))[1]["actual"] is None
    assert order(decide(config([row]), call(tags={"age": "65"}))) == [1]


def test_already_tried_rerouted_and_skill() -> None:
    rows = [buyer(1), buyer(2, accept_rerouted_max=0), buyer(3, skills=["es"]), buyer(4, skills=["es", "en"])]
    facts = call(tried=frozenset({1}), connections=1, skills=frozenset({"en"}))
    decision = decide(config(rows), facts)
    assert reasons(decision) == {1: "already_tried", 2: "rerouted", 3: "skill"}
    assert order(decision) == [4]
    assert order(decide(config([buyer(1, accept_rerouted_max=1)]), call(connections=1))) == [1]


@pytest.mark.parametrize(
    ("field", "limit", "metric", "period", "key", "name"),
    [
        ("total_cap", 5, "connect", "total", "all", "cap.total"),
        ("monthly_cap", 5, "connect", "month", "2026-03", "cap.monthly"),
        ("daily_cap", 5, "connect", "day", "2026-03-10", "cap.daily"),
        ("hourly_cap", 5, "connect", "hour", "2026-03-10T12-0400", "cap.hourly"),
        ("converted_total_limit", 5, "convert", "total", "all", "cap.converted_total"),
        ("converted_monthly_limit", 5, "convert", "month", "2026-03", "cap.converted_monthly"),
        ("converted_daily_limit", 5, "convert", "day", "2026-03-10", "cap.converted_daily"),
        ("revenue_cap_total_cents", 5000, "revenue_cents", "total", "all", "cap.revenue_total"),
        ("revenue_cap_monthly_cents", 5000, "revenue_cents", "month", "2026-03", "cap.revenue_monthly"),
        ("revenue_cap_daily_cents", 5000, "revenue_cents", "day", "2026-03-10", "cap.revenue_daily"),
        ("concurrency_limit", 5, "attempt", "concurrent", "now", "concurrency"),
    ],
)
def test_every_cap_closes_at_its_limit_and_not_before(
    field: str, limit: int, metric: str, period: str, key: str, name: str
) -> None:
    snapshot = config([buyer(1, **{field: limit})])
    full = used(("buyer", 1, metric, period, key, limit))
    reason, values = only(decide(snapshot, usage=full))
    assert (reason, values["used"], values["limit"]) == (name, limit, limit)
    step = 1000 if metric == "revenue_cents" else 1
    assert order(decide(snapshot, usage=used(("buyer", 1, metric, period, key, limit - step)))) == [1]
    yesterday = {"now": "now", "all": "all"}.get(key, key.replace("10", "09").replace("-03", "-02"))
    if yesterday != key:
        assert order(decide(snapshot, usage=used(("buyer", 1, metric, period, yesterday, limit)))) == [1]


def test_a_cap_says_when_it_resets_in_the_buyers_zone() -> None:
    snapshot = config([buyer(1, daily_cap=1, timezone="America/Los_Angeles")])
    _, values = only(decide(snapshot, usage=used(("buyer", 1, "connect", "day", "2026-03-10", 1))))
    assert values["resets_at"] == at("2026-03-11T00:00", "America/Los_Angeles")


def test_a_revenue_cap_needs_room_for_the_whole_price_unless_it_counts_after() -> None:
    tight = ("buyer", 1, "revenue_cents", "day", "2026-03-10", 4500)
    strict = config([buyer(1, revenue_cap_daily_cents=5000)])
    assert only(decide(strict, usage=used(tight)))[1]["add"] == 1000
    loose = config([buyer(1, revenue_cap_daily_cents=5000, cap_mode="count_after")])
    assert order(decide(loose, usage=used(tight))) == [1]
    assert only(decide(loose, usage=used((*tight[:5], 5000))))[1]["add"] == 0


def test_limit_zero_is_closed_and_null_unlimited() -> None:
    assert reasons(decide(config([buyer(1, daily_cap=0)]))) == {1: "cap.daily"}
    assert order(decide(config([buyer(1, daily_cap=None)]))) == [1]


def test_spacing_counts_from_the_last_attempt() -> None:
    snapshot = config([buyer(1, min_seconds_between=60, concurrency_limit=9)])
    recent = used(("buyer", 1, "attempt", "spacing", "last", NOON - 59_999))
    assert only(decide(snapshot, usage=recent))[1]["free_at"] == NOON + 1
    assert order(decide(snapshot, usage=used(("buyer", 1, "attempt", "spacing", "last", NOON - 60_000)))) == [1]


def test_the_order_of_the_checks_is_that_of_the_rule() -> None:
    everything = buyer(
        1,
        status="INACTIVE",
        schedule_id=1,
        filters=[{"tag": "x", "op": "exists"}],
        duplicate={"after": "attempted"},
        accept_rerouted_max=0,
        total_cap=0,
        monthly_cap=0,
        daily_cap=0,
        hourly_cap=0,
        converted_total_limit=0,
        revenue_cap_daily_cents=0,
        min_seconds_between=60,
        concurrency_limit=0,
    )
    entry = {"id": 1, "phone_number": CALLER, "list_type": "buyer_suppression", "buyer_id": 1}
    rules = [{"id": 1, "state_code": "NY", "action": "block"}]
    snapshot = config([everything], schedules=[SHUT], suppression_lists=[entry], state_rules=rules)
    usage = Usage(
        counters=used(("buyer", 1, "attempt", "spacing", "last", NOON)).counters,
        history=(PreviousCall("old", 1, 1, NOON - 1, "connected"),),
    )
    facts = call(tried=frozenset({1}), connections=1, skills=frozenset({"en"}))
    [rejected] = decide(snapshot, facts, usage, explain_all=True).rejected
    assert [rejected.reason, *(f.reason for f in rejected.also)] == [
        "paused",
        "closed",
        "state_blocked",
        "suppressed",
        "filter",
        "duplicate",
        "already_tried",
        "rerouted",
        "skill",
        "cap.total",
        "cap.monthly",
        "cap.daily",
        "cap.hourly",
        "cap.converted_total",
        "cap.revenue_daily",
        "spacing",
        "concurrency",
    ]
    assert decide(snapshot, facts, usage).rejected[0].also == ()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"endpoint_value": NUMBER}, "loop"),
        ({"endpoint_value": "nonsense"}, "no_trunk"),
        ({"trunk_id": 99}, "no_trunk"),
        ({"timezone": "Mars/Olympus"}, "misconfigured"),
        ({"schedule_id": 42}, "misconfigured"),
        ({"filters": [{"tag": "x", "op": "=~", "value": "(a+)+$"}]}, "misconfigured"),
        ({"filters": [{"tag": "x", "op": "~~", "value": "a"}]}, "misconfigured"),
        ({"endpoint_type": "GROUP", "endpoint_value": "nobody"}, "misconfigured"),
    ],
)
def test_a_fault_of_one_buyer_is_a_named_reason_and_leaves_the_others_alone(
    fields: dict[str, Any], reason: str
) -> None:
    decision = decide(config([buyer(1, **fields), buyer(2)]))
    assert reasons(decision) == {1: reason}
    assert order(decision) == [2]


def test_an_open_schedule_lets_the_buyer_in() -> None:
    always = {"id": 1, "name": "Always", "weekly": ALWAYS}
    assert order(decide(config([buyer(1, schedule_id=1)], schedules=[always]))) == [1]
