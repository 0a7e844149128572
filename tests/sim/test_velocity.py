"""Numbers that ring too often, on live calls: counted beside the call, kept out from the next one on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dcx_ari.services import velocity
from dcx_ari.testing.far_end import AnswersThenHangsUp
from tests.sim.exchange import Exchange, exchange

pytestmark = pytest.mark.sim
OFTEN, OTHER = "+12125550001", "+12125550002"


async def one_call(x: Exchange, caller: str) -> str:
    """Place a call, wait for its end; its status."""
    x.call(caller=caller)
    return str((await x.over())[-1]["status"])


async def rule(x: Exchange, **values: int) -> None:
    async with x.engine.database.write() as session:
        await velocity.change(session, {"calls": 3, "minutes": 1, "block_minutes": 2, **values})


async def test_the_third_call_in_a_minute_keeps_the_number_out_for_two(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        await x.buyer("Acme", *[AnswersThenHangsUp(5.0)] * 12)
        assert [await one_call(x, OFTEN) for _ in range(4)] == ["COMPLETED"] * 4  # off unless it is wished
        await asyncio.sleep(60)
        await rule(x)
        seen = [await one_call(x, OFTEN) for _ in range(5)]
        assert seen == ["COMPLETED", "COMPLETED", "COMPLETED", "BLOCKED", "BLOCKED"]
        assert await one_call(x, OTHER) == "COMPLETED"
        (entry,) = await x.query("SELECT phone_number, reason FROM suppression_lists")
        assert (entry["phone_number"], entry["reason"]) == (OFTEN, "auto:velocity")
        await asyncio.sleep(120)
        assert await one_call(x, OFTEN) == "COMPLETED"


async def test_a_whitelisted_number_may_ring_as_often_as_it_likes_and_so_may_the_unknown(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        await x.buyer("Acme", *[AnswersThenHangsUp(5.0)] * 8)
        await rule(x, calls=2)
        await x.add("suppressions", phone_number=OFTEN, list_type="whitelist")
        assert [await one_call(x, OFTEN) for _ in range(4)] == ["COMPLETED"] * 4
        assert [await one_call(x, "anonymous") for _ in range(4)] == ["COMPLETED"] * 4
        assert len(await x.query("SELECT id FROM suppression_lists")) == 1
