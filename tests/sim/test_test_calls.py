"""Test calls on the whole engine: they reach the buyer and leave no trace in caps, money and turns."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest

from dcx_ari.services.test_call import NotPlaced, Trial
from dcx_ari.testing.far_end import AnswersThenHangsUp
from tests.sim.exchange import NUMBER, exchange

pytestmark = pytest.mark.sim


@pytest.mark.parametrize(("mark", "test"), [("1", True), ("0", False)])
async def test_a_test_call_counts_for_nothing(tmp_path: Path, mark: str, test: bool) -> None:
    async with exchange(tmp_path, weighting="smooth_wrr", daily_cap=5) as x:
        await x.buyer("A", AnswersThenHangsUp(30.0), daily_cap=1, min_seconds_between=1)
        await x.buyer("B", AnswersThenHangsUp(30.0), daily_cap=1)
        x.fake.call(NUMBER, args=("in", urlencode({"to": NUMBER, "test": mark})))
        (call,) = await x.over()
        assert (call["status"], bool(call["test"])) == ("COMPLETED", test)
        assert call["postback_key"].count(".") == 1
        money = [call[name] for name in ("revenue_cents", "payout_cents", "cost_cents", "converted")]
        assert money == ([0, 0, 0, 0] if test else [1000, 300, 0, 1])
        tables = ("money_entries", "cap_holds", "cap_counters")
        booked = [len(await x.query(f"SELECT 1 FROM {name}")) for name in tables]  # noqa: S608
        assert (not any(booked)) if test else all(booked)
        x.call()
        again = (await x.over())[-1]
        assert (again["buyer_id"] == call["buyer_id"]) is test  # whose turn it is


async def test_an_asterisk_that_cannot_place_it_says_so(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        with pytest.raises(NotPlaced):
            await x.engine.place_test_call(Trial(NUMBER, "+12125550100", "1", 5))
        (asked,) = x.fake.asked("POST channels")
        wanted = {
            "endpoint": f"Local/{NUMBER}@dcx-test/n",
            "context": "dcx-test-caller",
            "callerId": '"DCX test" <+12125550100>',
        }
        assert wanted.items() <= asked.request.query.items()
        assert asked.request.body == {"variables": {"DCX_TEST_S": "5", "DCX_TEST_DIGITS": "1", "DCX_SLOT": "0"}}
