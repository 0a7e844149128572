"""What refuses a call before any buyer is asked, and the one reason of a call that nobody took."""

from __future__ import annotations

from typing import Any

import pytest

from dcx_ari.decide.facts import CallFacts, PreviousCall, Usage
from dcx_ari.decide.reasons import of_call, word

from .world import CALLER, NOON, NUMBER, at, buyer, call, config, decide, order, used

pytestmark = pytest.mark.unit


def refused(decision: Any) -> str:
    assert decision.refusal is not None
    assert decision.steps == ()
    return str(decision.refusal.reason)


def test_an_unknown_or_inactive_number() -> None:
    unknown = decide(config([buyer(1)]), CallFacts("c", "+18005559999", CALLER, NOON))
    assert (refused(unknown), unknown.failure_reason) == ("no_number", "no_number")
    assert refused(decide(config([buyer(1)], number={"status": "INACTIVE"}))) == "no_number"


def test_a_number_without_a_campaign() -> None:
    decision = decide(config([buyer(1)], number={"campaign_id": None}))
    assert (refused(decision), decision.failure_reason) == ("no_campaign", "no_buyers_attached")


def test_the_facts_may_name_another_campaign() -> None:
    two = {"attached": [{"id": 50, "campaign_id": 2, "buyer_id": 2}]}
    snapshot = config([buyer(1), buyer(2, apart=True)], **two)
    both = config([buyer(1), buyer(2, apart=True)], **two, campaigns=[{"id": 1}, {"id": 2}])
    assert refused(decide(snapshot, call(campaign_id=2))) == "no_campaign"
    assert order(decide(both, call(campaign_id=2))) == [2]


def entry(row_id: int, list_type: str, **fields: Any) -> dict[str, Any]:
    return {"id": row_id, "phone_number": CALLER, "list_type": list_type, **fields}


def test_whitelist_beats_blacklist_and_global_suppression() -> None:
    black, white = entry(1, "blacklist", reason="spam"), entry(2, "whitelist")
    decision = decide(config([buyer(1)], suppression_lists=[black]))
    assert (refused(decision), decision.failure_reason) == ("blocked", "blocked")
    assert decision.refusal is not None
    assert decision.refusal.values["why"] == "spam"
    assert refused(decide(config([buyer(1)], suppression_lists=[entry(1, "global_suppression")]))) == "blocked"
    assert order(decide(config([buyer(1)], suppression_lists=[black, white]))) == [1]
    gone = [black, {**white, "expires_at": NOON}]
    assert refused(decide(config([buyer(1)], suppression_lists=gone))) == "blocked"


def test_blocked_comes_before_source_and_campaign() -> None:
    snapshot = config(
        [buyer(1)],
        source={"status": "INACTIVE"},
        campaign={"status": "INACTIVE"},
        suppression_lists=[entry(1, "blacklist")],
    )
    assert refused(decide(snapshot)) == "blocked"


def test_source_paused_and_capped() -> None:
    paused = decide(config([buyer(1)], source={"status": "INACTIVE"}))
    assert (refused(paused), paused.failure_reason) == ("source_paused", "all_paused")
    full = used(("source", 1, "connect", "day", "2026-03-10", 3))
    capped = decide(config([buyer(1)], source={"daily_call_cap": 3}), usage=full)
    assert (refused(capped), capped.failure_reason) == ("source_capped", "source_capped")
    assert capped.refusal is not None
    assert capped.refusal.values["resets_at"] == at("2026-03-11T00:00")
    loose = config([buyer(1)], source={"daily_call_cap": 3, "auto_pause_on_cap": False})
    assert order(decide(loose, usage=full)) == [1]


def test_campaign_paused_closed_filtered_and_capped() -> None:
    hours = {"id": 1, "name": "h", "weekly": {"wed": [["09:00", "10:00"]]}}
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"status": "INACTIVE"}, "campaign_paused", "all_paused"),
        ({"status": "ARCHIVED"}, "campaign_paused", "all_paused"),
        ({"timezone": "Mars/Olympus"}, "campaign_paused", "all_paused"),
        ({"schedule_id": 1}, "campaign_closed", "all_closed"),
        ({"filters": [{"tag": "state", "op": "==", "value": "CA"}]}, "filter", "all_filtered"),
        ({"daily_cap": 0}, "campaign_capped", "all_maxed_out"),
        ({"concurrency_limit": 0}, "campaign_concurrency", "all_concurrency"),
    ]
    for fields, reason, failure in cases:
        decision = decide(config([buyer(1)], campaign=fields, schedules=[hours]))
        assert (refused(decision), decision.failure_reason) == (reason, failure)


def test_a_call_that_holds_its_place_is_not_refused_for_it() -> None:
    snapshot = config([buyer(1)], campaign={"concurrency_limit": 1}, source={"concurrency_limit": 1})
    mine = used(("campaign", 1, "attempt", "concurrent", "now", 1), ("source", 1, "attempt", "concurrent", "now", 1))
    assert refused(decide(snapshot, usage=mine)) == "source_capped"
    assert order(decide(snapshot, call(holds_taken=True), mine)) == [1]


def test_a_duplicate_that_the_campaign_blocks() -> None:
    rule = {"scope": "campaign", "after": "converted", "window_days": 30, "action": "block"}
    snapshot = config([buyer(1)], campaign={"duplicate": rule})
    seen = Usage(history=(PreviousCall("old", 1, 5, NOON - 86_400_000 * 30, "converted"),))
    decision = decide(snapshot, usage=seen)
    assert (refused(decision), decision.failure_reason) == ("duplicate", "all_duplicate")
    assert order(decide(snapshot, usage=seen, now=NOON + 1)) == [1]


def test_nobody_attached() -> None:
    decision = decide(config())
    assert decision.refusal is None
    assert decision.failure_reason == "no_buyers_attached"
    assert decision.number == NUMBER


def test_the_reason_of_a_decision_without_a_way_out() -> None:
    cases: list[tuple[list[dict[str, Any]], str]] = [
        ([buyer(1, status="INACTIVE"), buyer(2, status="INACTIVE")], "all_paused"),
        ([buyer(1, daily_cap=0), buyer(2, hourly_cap=0)], "all_maxed_out"),
        ([buyer(1, daily_cap=0), buyer(2, status="INACTIVE")], "all_maxed_out"),
        ([buyer(1, concurrency_limit=0)], "all_concurrency"),
        ([buyer(1, daily_cap=0), buyer(2, concurrency_limit=0)], "mixed"),
        ([buyer(1, filters=[{"tag": "x", "op": "exists"}])], "all_filtered"),
    ]
    for rows, reason in cases:
        assert decide(config(rows)).failure_reason == reason


def test_the_reason_of_a_whole_call() -> None:
    assert of_call(attempts=["busy", "no_answer", "not_accepted"]) == "all_no_answer"
    assert of_call(attempts=["busy"], checks=["cap.daily"]) == "mixed"
    assert of_call(attempts=["reserve_lost"], checks=["cap.daily", "paused"]) == "all_maxed_out"
    assert of_call(attempts=["busy"], caller_hung_up=True) == "caller_hung_up"
    decision = decide(config([buyer(1), buyer(2, daily_cap=0)]))
    assert decision.failure(("no_answer",)) == "mixed"
    assert decision.failure(("no_answer",), caller_hung_up=True) == "caller_hung_up"


def test_the_three_words() -> None:
    assert word("all_concurrency") == word("source_capped") == word("all_maxed_out") == "all maxed out"
    assert word("caller_hung_up") == "caller hung up"
    assert word("blocked") == word("mixed") == word("all_closed") == "no buyers available"
