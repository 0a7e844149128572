"""Selling calls, whole: routing, caps, money and rows on a fake Asterisk and a real database."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from dcx_ari.decide.decision import Decision
from dcx_ari.decide.replay import rerun
from dcx_ari.testing.far_end import Answers, AnswersThenHangsUp, Busy, NoAnswer, Rejects, Unreachable
from tests.sim.exchange import exchange

pytestmark = [pytest.mark.sim, pytest.mark.databases]


async def test_one_call_sold_once_with_all_its_money(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        buyer = await x.buyer("Acme", AnswersThenHangsUp(30.0), whisper="A call from {{source}}.")
        caller = x.call()
        (call,) = await x.over()
        assert caller.talked_with(buyer.call) == pytest.approx(30, abs=1.5)
        assert "sound:said/A call from Radio." in buyer.call.media
        assert not any("said" in heard for heard in caller.media)
        assert (call["status"], call["failure_reason"], call["ended_by"]) == ("COMPLETED", None, "buyer")
        assert (call["revenue_cents"], call["payout_cents"], call["converted"]) == (1000, 300, 1)
        assert call["talk_ms"] == pytest.approx(30_000, abs=1500)
        assert call["caller_state"] == "NY"
        decision = Decision.from_json(call["decision"])
        (shared,) = await x.query("SELECT text FROM decision_tables")
        assert rerun(call["decision"], shared["text"]) == decision
        assert [entry.kind for entry in decision.ranked] == ["buyer"]


async def test_three_tiers_busy_no_answer_and_full_then_the_next(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        await x.buyer("Busy", Busy(), tier=-10)
        await x.buyer("Silent", NoAnswer(), tier=-10)
        await x.buyer("Away", Unreachable(), tier=0)
        await x.buyer("Full", Answers(1.0), tier=0, daily_cap=0)
        last = await x.buyer("Last", AnswersThenHangsUp(5.0), tier=1)
        caller = x.call()
        (call,) = await x.over()
        assert sorted((await x.results())[:2]) == ["busy", "no_answer"]
        assert (await x.results())[2:] == ["unreachable", "answered"]
        assert caller.talked_with(last.call) == pytest.approx(5, abs=0.5)
        decision = Decision.from_json(call["decision"])
        (full,) = decision.rejected
        assert (full.reason, full.values["used"], full.values["limit"]) == ("cap.daily", 0, 0)


async def test_nobody_left_gives_one_reason_and_an_apology(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        await x.buyer("Busy", Busy())
        await x.buyer("Rejects", Rejects())
        caller = x.call()
        (call,) = await x.over()
        assert (call["status"], call["failure_reason"]) == ("NO_ANSWER", "all_no_answer")
        assert any("sorry" in heard for heard in caller.media)
        assert call["revenue_cents"] == call["payout_cents"] == 0


async def test_no_buyers_at_all(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        x.call()
        (call,) = await x.over()
        assert call["failure_reason"] == "no_buyers_attached"


async def test_an_unknown_number_is_told_so(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        caller = x.call("+18005550000")
        (call,) = await x.over()
        assert caller.media == ["sound:ss-noservice"]
        assert (caller.cause, caller.answered_at) == (1, None)
        assert (call["status"], call["failure_reason"]) == ("FAILED", "no_number")


async def test_a_cap_holds_while_calls_race_for_the_last_slot(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        one = await x.buyer("One", Answers(1.0, hangs_up_after=20), concurrency_limit=1, tier=0)
        rest = await x.buyer("Rest", Answers(1.0, hangs_up_after=20), tier=1)
        for _ in range(10):
            x.call()
        calls = await x.over()
        assert [call["status"] for call in calls] == ["COMPLETED"] * 10
        assert (len(one.calls), len(rest.calls)) == (
            1,
            9,
        )  # nobody's phone rings, or is even asked for, without a place
        dialled = await x.query("SELECT buyer_id, COUNT(*) AS n FROM legs GROUP BY buyer_id ORDER BY buyer_id")
        assert [row["n"] for row in dialled] == [1, 9]


@pytest.mark.sqlite_only  # asks for the configuration's version every 250 ms of two days
async def test_a_daily_cap_frees_itself_the_next_day(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        await x.buyer("Once", AnswersThenHangsUp(5.0), daily_cap=1)
        x.call()
        await x.over()
        x.call()
        calls = await x.over()
        assert [call["failure_reason"] for call in calls] == [None, "all_maxed_out"]
        await asyncio.sleep(14 * 3600)  # past midnight in New York
        x.call()
        calls = await x.over()
        assert calls[2]["status"] == "COMPLETED"


async def test_the_caller_hangs_up_while_a_buyer_rings(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        await x.buyer("Slow", NoAnswer(), concurrency_limit=1)
        caller = x.call()
        caller.hang_up(after=3.0)
        (call,) = await x.over()
        assert (call["status"], call["failure_reason"], call["ended_by"]) == ("ABANDONED", "caller_hung_up", "caller")
        assert await x.results() == ["cancelled"]


async def test_a_buyer_who_hangs_up_at_once_loses_the_caller_to_the_next(tmp_path: Path) -> None:
    async with exchange(tmp_path, recover_below_s=10) as x:
        rules = [{"kind": "duration", "threshold_s": 5, "timer_start": "bridge"}]
        hasty = await x.buyer("Hasty", AnswersThenHangsUp(1.0), tier=0, conversion_rules=rules)
        good = await x.buyer("Good", AnswersThenHangsUp(30.0), tier=1, conversion_rules=rules)
        caller = x.call()
        (call,) = await x.over()
        assert caller.talked_with(hasty.call) == pytest.approx(1, abs=0.3)
        assert caller.talked_with(good.call) == pytest.approx(30, abs=0.5)
        assert call["revenue_cents"] == 1000
        assert "recovering" in await x.kinds()


async def test_a_buyer_added_during_the_call_can_get_it_after_all(tmp_path: Path) -> None:
    async with exchange(tmp_path, recover_below_s=10) as x:
        await x.buyer("Hasty", AnswersThenHangsUp(3.0))
        caller = x.call()
        await caller.until_answered()
        new = await x.buyer("New", AnswersThenHangsUp(30.0))
        (call,) = await x.over()
        assert caller.talked_with(new.call) == pytest.approx(30, abs=0.5)
        assert call["failure_reason"] is None


async def test_the_caller_who_leaves_a_short_talk_is_not_offered_again(tmp_path: Path) -> None:
    async with exchange(tmp_path, recover_below_s=10) as x:
        await x.buyer("First", Answers(1.0), tier=0)
        second = await x.buyer("Second", Answers(1.0), tier=1)
        caller = x.call()
        await caller.until_answered()
        caller.hang_up(after=2.0)
        await x.over()
        assert second.calls == []


async def test_conversion_happens_at_the_threshold_not_at_the_hangup(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        rules = [{"kind": "duration", "threshold_s": 60, "timer_start": "bridge"}]
        await x.buyer("Acme", Answers(1.0), conversion_rules=rules)
        caller = x.call()
        await caller.until_answered()
        await asyncio.sleep(59)
        assert await x.query("SELECT * FROM money_entries") == []
        await asyncio.sleep(2)
        (entry,) = await x.query("SELECT * FROM money_entries")
        assert (entry["kind"], entry["amount_cents"]) == ("revenue", 1000)
        caller.hang_up()
        (call,) = await x.over()
        assert call["revenue_cents"] == 1000


@pytest.mark.parametrize(
    ("start", "threshold_s", "talk_s", "sold"),
    [("dial", 0, 0.0, True), ("dial", 5, 3.0, True), ("answer", 5, 3.0, False), ("bridge", 3, 3.5, True)],
)
async def test_where_the_timer_starts(tmp_path: Path, start: str, threshold_s: int, talk_s: float, sold: bool) -> None:
    async with exchange(tmp_path) as x:
        rules = [{"kind": "duration", "threshold_s": threshold_s, "timer_start": start}]
        script = AnswersThenHangsUp(talk_s, after=4.0) if talk_s else Busy(after=2.0)
        await x.buyer("Acme", script, conversion_rules=rules)
        x.call()
        (call,) = await x.over()
        assert call["revenue_cents"] == (1000 if sold else 0)


async def test_a_simultaneous_group_first_accept_wins_and_only_its_caps_are_used(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        phones, ids = [], []
        for n, script in enumerate([Answers(1.0), Answers(2.0, hangs_up_after=15, presses=[(1.0, "1")]), NoAnswer()]):
            number = f"+1555777000{n}"
            ids.append(
                await x.add(
                    "buyers", name=f"M{n}", endpoint_value=number, daily_cap=5, accept_digit="1", revenue_cents=500
                )
            )
            phones.append(x.fake.phone(f"PJSIP/{number}@trunk-{x.trunk_id}", script))
        group = await x.add("groups", name="Team", routing_strategy="simultaneous", daily_cap=1)
        for buyer_id in ids:
            await x.add("group-members", group_id=group, buyer_id=buyer_id)
        await x.add("campaign-buyers", campaign_id=x.campaign_id, group_id=group)
        caller = x.call()
        (call,) = await x.over()
        assert call["buyer_id"] == ids[1]
        assert caller.talked_with(phones[0].call) == 0
        used = await x.query(
            "SELECT scope_id FROM cap_counters WHERE scope = 'buyer' AND metric = 'connect' "
            "AND period = 'day' AND used > 0"
        )
        assert [row["scope_id"] for row in used] == [ids[1]]
        x.call()
        calls = await x.over()
        assert calls[1]["failure_reason"] == "all_maxed_out"


async def test_a_change_is_seen_by_the_next_call(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        first = await x.buyer("First", AnswersThenHangsUp(5.0))
        x.call()
        await x.over()
        await x.change("buyers", "First", status="INACTIVE")
        x.call()
        calls = await x.over()
        assert len(first.calls) == 1
        assert calls[1]["failure_reason"] == "all_paused"


async def test_a_buyer_paused_during_a_call_keeps_it(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        buyer = await x.buyer("Acme", Answers(1.0, hangs_up_after=30))
        caller = x.call()
        await caller.until_answered()
        await x.change("buyers", "Acme", status="INACTIVE")
        await x.over()
        assert caller.talked_with(buyer.call) == pytest.approx(30, abs=0.5)


async def test_without_a_voice_the_whisper_is_skipped_and_not_the_call(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        x.voice.broken = True
        buyer = await x.buyer("Acme", AnswersThenHangsUp(5.0), whisper="A call.")
        caller = x.call()
        await x.over()
        assert caller.talked_with(buyer.call) == pytest.approx(5, abs=0.5)
        assert "speech_failed" in await x.kinds()


async def test_a_blocked_caller(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        await x.buyer("Acme", Answers(1.0))
        await x.add("suppressions", phone_number="+12125550123", list_type="blacklist", reason="spam")
        x.call(caller="+12125550123")
        (call,) = await x.over()
        assert (call["status"], call["failure_reason"]) == ("BLOCKED", "blocked")


async def test_odd_callers_are_taken_like_any_other(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        await x.buyer("Acme", AnswersThenHangsUp(2.0))
        x.call(caller="", caller_name="")
        x.call(caller="anonymous", caller_name="x" * 300)
        x.call(caller="1" * 40, caller_name='Jos\ufffd "quoted" <tag>')
        calls = await x.over()
        assert [call["status"] for call in calls] == ["COMPLETED"] * 3
        x.call("1" * 40)
        x.call("")
        calls = await x.over()
        assert [call["failure_reason"] for call in calls[3:]] == ["no_number"] * 2


async def test_a_recording_is_paused_and_goes_on(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        await x.change("campaigns", "Solar", record=True)
        await x.buyer("Acme", Answers(1.0, hangs_up_after=30))
        caller = x.call()
        await caller.until_answered()
        await asyncio.sleep(5)
        (call_id,) = x.engine.exchange.calls
        assert await x.engine.pause_recording(call_id, True)
        await asyncio.sleep(4)
        assert await x.engine.pause_recording(call_id, False)
        await x.over()
        assert not await x.engine.pause_recording(call_id, True)
        await x.engine.recorder.drain(10)
        await x.engine.journal.durable()
        (row,) = await x.query("SELECT pauses, state FROM recordings")
        ((begin, end),) = json.loads(row["pauses"])
        assert (begin, end - begin) == (pytest.approx(5000, abs=300), pytest.approx(4000, abs=50))
