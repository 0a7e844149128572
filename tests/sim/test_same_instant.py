"""Two buyers of a simultaneous ring who answer in the same instant: one call is sold, and sold once."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcx_ari.testing.far_end import AnswersThenHangsUp
from tests.sim.exchange import Exchange, exchange

pytestmark = pytest.mark.sim


async def team(x: Exchange, count: int, **buyer: object) -> list[int]:
    """A group whose members ring together and answer after exactly one second."""
    group = await x.add("groups", name="Team", routing_strategy="simultaneous")
    ids = []
    for n in range(count):
        number = f"+1555777000{n}"
        ids.append(await x.add("buyers", name=f"M{n}", endpoint_value=number, revenue_cents=500, **buyer))
        await x.add("group-members", group_id=group, buyer_id=ids[-1])
        x.fake.phone(f"PJSIP/{number}@trunk-{x.trunk_id}", AnswersThenHangsUp(20.0, after=1.0))
    await x.add("campaign-buyers", campaign_id=x.campaign_id, group_id=group)
    return ids


async def test_the_losers_are_cancelled_and_nothing_of_them_counts(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        rules = [{"kind": "duration", "threshold_s": 0, "timer_start": "accept"}]
        ids = await team(x, 3, conversion_rules=rules, cap_metric="attempt", daily_cap=5)
        x.call()
        (call,) = await x.over()
        legs = await x.query("SELECT result, answered_at, accepted_at, cause FROM legs ORDER BY position")
        assert [leg["answered_at"] is not None for leg in legs] == [True] * 3  # all did, or this tests nothing
        assert sorted(leg["result"] for leg in legs) == ["answered", "cancelled", "cancelled"]
        losers = [leg for leg in legs if leg["result"] == "cancelled"]
        assert [(leg["accepted_at"], leg["cause"]) for leg in losers] == [(None, 26)] * 2
        assert call["revenue_cents"] == 500
        used = await x.query(
            "SELECT scope_id FROM cap_counters WHERE scope = 'buyer' AND period = 'day' AND metric = 'attempt' "
            "AND used > 0"
        )
        assert [row["scope_id"] for row in used] == [call["buyer_id"]]
        assert call["buyer_id"] in ids
