"""What calls count where no limit is set, and the money of a call that a buyer reports on while it lasts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from dcx_ari.decide.postback import sign
from dcx_ari.services.postbacks import receive
from dcx_ari.testing.far_end import Answers, AnswersThenHangsUp, Busy
from tests.sim.exchange import EPOCH_MS, Exchange, exchange

pytestmark = pytest.mark.sim

NEW_YORK = "America/New_York"


async def used(x: Exchange, scope: str, metric: str, period: str = "day") -> dict[int, int]:
    found = await x.query(
        "SELECT scope_id, used FROM cap_counters WHERE scope = :scope AND metric = :metric AND period = :period",
        scope=scope,
        metric=metric,
        period=period,
    )
    return {row["scope_id"]: row["used"] for row in found}


async def test_a_cap_that_is_set_at_noon_knows_of_the_morning(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        await x.buyer("Busy", Busy(), Busy(), cap_metric="attempt", tier=0)
        await x.buyer("Acme", AnswersThenHangsUp(20.0), AnswersThenHangsUp(20.0), tier=1)
        for _ in range(2):
            x.call()
            await x.over()
        assert await x.query("SELECT DISTINCT period FROM cap_holds WHERE amount > 0") == [{"period": "concurrent"}]
        assert (await used(x, "buyer", "attempt"), await used(x, "buyer", "connect")) == ({1: 2}, {2: 2})
        assert (await used(x, "buyer", "convert"), await used(x, "buyer", "revenue_cents")) == ({2: 2}, {2: 2000})
        assert (await used(x, "campaign", "connect"), await used(x, "source", "connect")) == ({1: 2}, {1: 2})
        await x.change("buyers", "Busy", daily_cap=2)
        await x.change("buyers", "Acme", revenue_cap_daily_cents=2000)
        x.call()
        calls = await x.over()
        assert calls[2]["failure_reason"] == "all_maxed_out"


async def test_a_recovered_call_counts_once_for_its_source_and_campaign(tmp_path: Path) -> None:
    async with exchange(tmp_path, recover_below_s=10) as x:
        await x.buyer("Hasty", AnswersThenHangsUp(1.0), tier=0)
        await x.buyer("Good", AnswersThenHangsUp(30.0), tier=1)
        x.call()
        await x.over()
        assert await used(x, "buyer", "connect") == {1: 1, 2: 1}
        assert (await used(x, "campaign", "connect"), await used(x, "source", "connect")) == ({1: 1}, {1: 1})


async def test_who_loses_a_simultaneous_ring_counts_nothing(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        ids = []
        for n, script in enumerate([Answers(5.0), AnswersThenHangsUp(15.0, after=1.0)]):
            number = f"+1555777000{n}"
            ids.append(await x.add("buyers", name=f"M{n}", endpoint_value=number, cap_metric=("attempt", "connect")[n]))
            x.fake.phone(f"PJSIP/{number}@trunk-{x.trunk_id}", script)
        group = await x.add("groups", name="Team", routing_strategy="simultaneous")
        for buyer_id in ids:
            await x.add("group-members", group_id=group, buyer_id=buyer_id)
        await x.add("campaign-buyers", campaign_id=x.campaign_id, group_id=group)
        x.call()
        (call,) = await x.over()
        assert call["buyer_id"] == ids[1]
        assert (await used(x, "buyer", "attempt"), await used(x, "buyer", "connect")) == ({}, {ids[1]: 1})
        assert await used(x, "group", "connect") == {group: 1}


async def test_a_report_during_the_call_pays_the_source_once(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        await x.change("sources", "Radio", payout={"model": "share", "share_bp": 2500, "threshold_s": 5})
        rules = [{"kind": "duration", "threshold_s": 10, "timer_start": "bridge"}]
        await x.buyer("Acme", Answers(1.0, hangs_up_after=60), conversion_rules=rules)
        caller = x.call()
        await caller.until_answered()
        await asyncio.sleep(30)
        (row,) = await x.query("SELECT postback_key FROM calls")
        name, _, secret = row["postback_key"].partition(".")
        now = EPOCH_MS + round(asyncio.get_running_loop().time() * 1000)
        body = json.dumps({"id": "r1", "amount_cents": 2000, "currency": "USD", "at": now}).encode()
        signature = sign(secret.encode(), body, now // 1000)
        database, ledger = x.engine.database, x.engine.ledger
        told = await receive(database, ledger, name, signature, body, now, company_zone=NEW_YORK)
        assert (told.status, told.revenue_cents, told.late) == ("booked", 2000, False)
        (call,) = await x.over()
        assert (call["revenue_cents"], call["payout_cents"]) == (2000, 500)
        assert (await used(x, "buyer", "convert"), await used(x, "buyer", "revenue_cents")) == ({1: 1}, {1: 2000})
