"""The engine is killed in the middle of calls, and the next one goes on with them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dcx_ari.ari.resources import Ari
from dcx_ari.testing.far_end import Answers, AnswersThenHangsUp, Busy, NoAnswer
from tests.sim.exchange import Exchange, exchange, killed

pytestmark = [pytest.mark.sim, pytest.mark.databases]

CONVERTS_AFTER_30 = [{"kind": "duration", "threshold_s": 30, "revenue_cents": 2500}]


async def stage(x: Exchange, name: str) -> None:
    async with asyncio.timeout(60):
        while not await x.query("SELECT 1 FROM calls WHERE stage = :s", s=name):
            await asyncio.sleep(0.01)


async def test_who_talks_goes_on_talking_and_is_sold_once(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        buyer = await x.buyer(
            "Acme", AnswersThenHangsUp(60.0), conversion_rules=CONVERTS_AFTER_30, concurrency_limit=1, daily_cap=5
        )
        caller = x.call()
        await stage(x, "talking")
        await asyncio.sleep(10)
        async with killed(x):
            assert len(x.engine.exchange.calls) == 1
            (call,) = await x.over()
            assert caller.talked_with(buyer.call) == pytest.approx(60, abs=0.5)
            assert (call["status"], call["failure_reason"], call["ended_by"]) == ("COMPLETED", None, "buyer")
            assert (call["revenue_cents"], call["payout_cents"], call["converted"]) == (2500, 300, 1)
            assert call["talk_ms"] == pytest.approx(60_000, abs=500)
            assert call["buyer_id"] is not None
            assert (await x.kinds()).count("converted") == 1
            assert "adopted" in await x.kinds()
            counted = await x.query("SELECT used, held FROM cap_counters WHERE metric = 'connect' AND period = 'day'")
            assert [(row["used"], row["held"]) for row in counted if row["used"]] == [(1, 0)] * len(
                [row for row in counted if row["used"]]
            )


async def test_joined_in_the_last_moment_is_sold_to_whom_it_was_sold(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        buyer = await x.buyer("Acme", AnswersThenHangsUp(60.0), conversion_rules=CONVERTS_AFTER_30)
        caller = x.call()
        async with asyncio.timeout(60):
            while not x.fake.core.bridges or not any(len(each.members) == 2 for each in x.fake.core.bridges.values()):
                await asyncio.sleep(0.0002)
        async with killed(x):
            (before,) = await x.query("SELECT stage, data FROM (SELECT stage, stage_data AS data FROM calls)")
            (call,) = await x.over()
            assert caller.talked_with(buyer.call) == pytest.approx(60, abs=0.5)
            assert (call["status"], call["revenue_cents"]) == ("COMPLETED", 2500)
            assert call["buyer_id"] is not None, before
            assert call["connected_at"] is not None
            assert call["answered_at"] is not None


async def test_a_conversion_before_the_kill_is_not_booked_again(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        await x.buyer("Acme", AnswersThenHangsUp(60.0), conversion_rules=CONVERTS_AFTER_30)
        x.call()
        await stage(x, "talking")
        await asyncio.sleep(35)
        async with killed(x):
            (call,) = await x.over()
            assert (call["revenue_cents"], call["payout_cents"]) == (2500, 300)
            assert len(await x.query("SELECT * FROM money_entries WHERE kind = 'revenue'")) == 1


async def test_a_conversion_that_came_due_while_nobody_looked(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        await x.buyer("Acme", AnswersThenHangsUp(60.0), conversion_rules=CONVERTS_AFTER_30)
        x.call()
        await stage(x, "talking")
        await asyncio.sleep(25)
        async with killed(x, gap_s=10):
            (call,) = await x.over()
            assert call["revenue_cents"] == 2500


async def test_the_caller_hung_up_while_nobody_looked(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        phone = await x.buyer("Acme", Answers(1.0), conversion_rules=CONVERTS_AFTER_30, concurrency_limit=1)
        caller = x.call()
        await stage(x, "talking")
        await asyncio.sleep(20)
        caller.hang_up(after=1.0)
        async with killed(x, gap_s=30):
            (call,) = await x.over()
            assert (call["status"], call["failure_reason"], call["ended_by"]) == ("COMPLETED", None, "caller")
            assert call["talk_ms"] == pytest.approx(20_000, abs=1500)  # until the last sign of life
            assert call["revenue_cents"] == 0  # nobody saw them talk for 30 seconds
            assert phone.call.ended_at is not None


async def test_the_buyer_hung_up_while_nobody_looked(tmp_path: Path) -> None:
    """The caller is not sold a second time."""
    async with exchange(tmp_path / "a") as x:
        rules = [{"kind": "duration", "threshold_s": 10, "revenue_cents": 2500}]
        await x.buyer("Acme", AnswersThenHangsUp(20.0), Answers(1.0), conversion_rules=rules, concurrency_limit=1)
        await x.buyer("Next", Answers(1.0), tier=1)
        x.call()
        await stage(x, "talking")
        await asyncio.sleep(15)
        async with killed(x, gap_s=30):
            (call,) = await x.over()
            assert (call["status"], call["failure_reason"], call["ended_by"]) == ("COMPLETED", None, "buyer")
            assert call["talk_ms"] == pytest.approx(15_000, abs=1500)  # until the last sign of life
            assert call["revenue_cents"] == 2500
            assert len(await x.results()) == 1


async def test_a_talk_that_began_after_the_last_sign_of_life_is_no_less_than_nothing(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        await x.buyer("Acme", AnswersThenHangsUp(2.0))
        x.call()
        await stage(x, "talking")
        async with killed(x, gap_s=30):
            (call,) = await x.over()
            assert (call["status"], call["ended_by"]) == ("COMPLETED", "buyer")
            assert 0 <= call["talk_ms"] <= 1000


async def test_a_leg_dialled_while_asterisk_is_asked_is_not_taken_for_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with exchange(tmp_path / "a") as x:
        buyer = await x.buyer("Acme", AnswersThenHangsUp(5.0))
        await x.buyer("Next", AnswersThenHangsUp(5.0), tier=1)
        await x.buyer("Before", AnswersThenHangsUp(60.0), tier=-1, concurrency_limit=1)
        x.call()
        await stage(x, "talking")
        running, channels = x.engine.exchange, x.engine.exchange.ari.channels
        known, asked = await channels.list(), asyncio.Event()

        async def late() -> object:
            asked.set()
            await asyncio.sleep(3)
            return known

        monkeypatch.setattr(channels, "list", late)
        missing = asyncio.create_task(running.catch_up())
        await asked.wait()
        caller = x.call()
        await missing
        await x.over()
        assert caller.talked_with(buyer.call) == pytest.approx(5, abs=0.5)
        assert await x.results() == ["answered", "answered"]


async def test_an_engine_that_fails_hangs_up_on_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with exchange(tmp_path / "a") as x:
        buyer = await x.buyer("Acme", AnswersThenHangsUp(60.0))
        caller = x.call()
        await stage(x, "talking")
        failed, gone = list[int](), asyncio.Event()

        def alive(_exchange: object, state: str = "up") -> None:
            if not failed:
                failed.append(1)
                raise RuntimeError("a part that does not work")
            if state == "gone":
                gone.set()

        monkeypatch.setattr(x.engine.lifecycle, "alive", alive)
        await gone.wait()
        async with killed(x):
            (call,) = await x.over()
            assert caller.talked_with(buyer.call) == pytest.approx(60, abs=0.5)
            assert (call["status"], call["ended_by"]) == ("COMPLETED", "buyer")


async def test_a_caller_in_a_menu_gets_it_again(tmp_path: Path) -> None:
    document = {
        "start": "menu",
        "nodes": {
            "menu": {
                "type": "menu",
                "say": "Press 1.",
                "choices": {"1": "sell"},
                "timeout_s": 20,
                "on": {"timeout": "end", "invalid": "end"},
            },
            "sell": {"type": "route", "on": {"any": "end"}},
            "end": {"type": "hangup"},
        },
    }
    async with exchange(tmp_path / "a") as x:
        flow = await x.add("flows", name="Menu", document=document, status="published")
        await x.change("campaigns", x.campaign_id, flow_id=flow)
        buyer = await x.buyer("Acme", AnswersThenHangsUp(5.0))
        caller = x.call()
        await caller.hears("sound:said/Press 1.")
        await stage(x, "menu")
        async with killed(x):
            await asyncio.sleep(3)
            await caller.press("1")
            (call,) = await x.over()
            assert [heard for heard in caller.media if "Press 1" in heard] == ["sound:said/Press 1."] * 2
            assert caller.talked_with(buyer.call) == pytest.approx(5, abs=0.5)
            assert call["status"] == "COMPLETED"


async def test_ringing_legs_are_dialled_again(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        await x.buyer("Busy", Busy(), tier=-1)
        buyer = await x.buyer("Acme", NoAnswer(), AnswersThenHangsUp(5.0), concurrency_limit=1, ring_timeout_s=60)
        caller = x.call()
        await caller.hears("ringing")
        await asyncio.sleep(5)
        async with killed(x):
            (call,) = await x.over()
            assert caller.talked_with(buyer.call) == pytest.approx(5, abs=0.5)
            assert call["status"] == "COMPLETED"
            assert await x.query("SELECT id FROM legs GROUP BY id HAVING count(*) > 1") == []


async def test_a_buyer_who_answers_while_nobody_looks_is_hung_up_on_and_rung_again(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        buyer = await x.buyer("Acme", Answers(5.5), AnswersThenHangsUp(5.0), concurrency_limit=1, ring_timeout_s=60)
        caller = x.call()
        await caller.hears("ringing")
        await asyncio.sleep(5)
        async with killed(x):
            (call,) = await x.over()
            first, second = buyer.calls
            assert first.answered_at is not None  # or this tests nothing
            assert first.ended_at == pytest.approx(first.answered_at, abs=0.1)
            assert caller.talked_with(first) == 0
            assert caller.talked_with(second) == pytest.approx(5, abs=0.5)
            assert call["status"] == "COMPLETED"


async def test_a_phone_that_rings_for_a_call_of_which_nothing_is_known_is_silenced(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        phones = {owner: x.fake.phone(f"PJSIP/1@{owner}", NoAnswer()) for owner in ("dcx-0", "dcx-1")}
        for owner in phones:
            await Ari(x.fake).channels.originate(
                endpoint=f"PJSIP/1@{owner}",
                app="dcx-0",
                channel_id=f"of-{owner}.leg1",
                timeout_s=300,
                variables={"DCX": {"value": f"call=of-{owner} role=leg owner={owner}", "report_events": True}},
            )
        await asyncio.sleep(1)
        async with killed(x):
            await asyncio.sleep(5)
            assert not phones["dcx-0"].call.in_call
            assert phones["dcx-1"].call.in_call  # another's
            phones["dcx-1"].call.hang_up()
            await x.over()


async def test_a_buyer_who_hangs_up_early_after_the_kill_leads_to_the_next(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a", recover_below_s=30) as x:
        await x.buyer("First", AnswersThenHangsUp(15.0), tier=0)
        second = await x.buyer("Second", AnswersThenHangsUp(40.0), tier=1)
        caller = x.call()
        await stage(x, "talking")
        await asyncio.sleep(5)
        async with killed(x):
            (call,) = await x.over()
            assert caller.talked_with(second.call) == pytest.approx(40, abs=0.5)
            assert call["status"] == "COMPLETED"


async def test_killed_twice(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        buyer = await x.buyer("Acme", AnswersThenHangsUp(60.0), conversion_rules=CONVERTS_AFTER_30)
        caller = x.call()
        await stage(x, "talking")
        await asyncio.sleep(10)
        async with killed(x):
            await asyncio.sleep(10)
            async with killed(x):
                (call,) = await x.over()
                assert caller.talked_with(buyer.call) == pytest.approx(60, abs=0.5)
                assert (call["revenue_cents"], (await x.kinds()).count("adopted")) == (2500, 2)


def _asks(word: str, digit: str) -> dict[str, object]:
    """A menu that says `word` and leads to a node of that name."""
    menu = {"type": "menu", "say": word, "choices": {digit: word}, "timeout_s": 20, "on": {"any": word}}
    return {"start": "menu", "nodes": {"menu": menu, word: {"type": "hangup"}}}


@pytest.mark.parametrize("unpublished", [False, True])
async def test_a_call_keeps_the_version_it_began_with(tmp_path: Path, unpublished: bool) -> None:
    async with exchange(tmp_path / "a") as x:
        flow = await x.add("flows", name="Menu", document=_asks("old", "1"), status="published")
        await x.change("campaigns", x.campaign_id, flow_id=flow)
        first = x.call()
        await first.hears("sound:said/old")
        await x.change("flows", flow, document=_asks("new", "2"))
        draft = x.call()  # a saved draft changes nothing
        await draft.hears("sound:said/old")
        draft.hang_up()
        await x.change("flows", flow, status="published")
        second = x.call()
        await second.hears("sound:said/new")
        if unpublished:
            await x.change("flows", flow, status="draft")
        await x.engine.journal.durable()
        async with killed(x):
            await asyncio.sleep(3)
            await first.press("1")
            await second.press("2")
            await asyncio.sleep(20)  # by then the engine that was killed has given up, too
            calls = await x.over()
            assert [heard for heard in first.media if "said" in heard] == ["sound:said/old"] * 2
            assert [call["flow_version"] for call in calls] == [1, 1, 2]
            assert [call["flow_path"].split()[-1] for call in calls] == ["old:end", "menu", "new:end"]
