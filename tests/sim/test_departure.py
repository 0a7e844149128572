"""A worker leaves: who takes its calls, who gets time, who is ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from dcx_ari.departure import SETTLE_S, Left, depart
from dcx_ari.orders import Orders
from dcx_ari.store.errors import StoreError
from dcx_ari.testing.channels import Channel
from dcx_ari.testing.far_end import Answers, AnswersThenHangsUp, NoAnswer
from tests.sim.exchange import Exchange, exchange

pytestmark = pytest.mark.sim

Others = Callable[[], Awaitable[bool]]


async def nobody() -> bool:
    return False


async def somebody() -> bool:
    return True


async def nobody_knows() -> bool:
    raise StoreError("the database is away")


async def at_stage(x: Exchange, name: str) -> None:
    async with asyncio.timeout(60):
        while not any(call.stage_name == name for call in x.engine.exchange.calls.values()):
            await asyncio.sleep(0.01)


async def leave(x: Exchange, others: Others, limit_s: float, orders: Orders | None = None) -> tuple[Left, float]:
    """How it left, and after how many seconds."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    left = await depart(x.engine.exchange, others, limit_s, orders or Orders())
    return left, loop.time() - began


async def test_without_calls_at_once(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        assert await leave(x, nobody, 30) == (Left(), 0)
        assert await x.engine.not_ready() == "draining: no new calls are taken"


async def test_who_talks_is_left_to_the_others(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        await x.buyer("Acme", Answers(1.0))
        caller = x.call()
        await at_stage(x, "talking")
        assert await leave(x, somebody, 0) == (Left(1, leave_alone=True), 0)
        assert caller.ended_at is None
        caller.hang_up()
        await x.over()


async def test_who_rings_may_come_to_talk_first(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        await x.buyer("Acme", Answers(4.0))
        caller = x.call()
        await at_stage(x, "ringing")
        left, after = await leave(x, somebody, 0)
        assert left == Left(1, leave_alone=True)
        assert after == pytest.approx(4, abs=0.5)
        caller.hang_up()
        await x.over()


async def test_and_who_never_talks_is_handed_over_as_he_is(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        await x.buyer("Acme", NoAnswer(), ring_timeout_s=60)
        caller = x.call()
        await at_stage(x, "ringing")
        left, after = await leave(x, somebody, 0)
        assert left == Left(1, leave_alone=True)
        assert after == pytest.approx(SETTLE_S, abs=0.5)
        caller.hang_up()
        await x.over()


@pytest.mark.parametrize("others", [nobody, nobody_knows])
async def test_nobody_there_calls_get_time(tmp_path: Path, others: Others) -> None:
    async with exchange(tmp_path / "a") as x:
        await x.buyer("Acme", AnswersThenHangsUp(20.0))
        x.call()
        await at_stage(x, "talking")
        left, after = await leave(x, others, 30)
        assert left == Left()
        assert after == pytest.approx(20, abs=1)


async def test_and_no_more_than_that(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        await x.buyer("Acme", Answers(1.0))
        caller = x.call()
        await at_stage(x, "talking")
        left, after = await leave(x, nobody, 5)
        assert left == Left(ended=1)
        assert after == pytest.approx(5, abs=0.2)
        caller.hang_up()
        await x.over()


async def test_our_own_next_process_takes_them_at_once(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        await x.buyer("Acme", NoAnswer(), ring_timeout_s=60)
        caller = x.call()
        await at_stage(x, "ringing")
        orders = Orders()
        orders.hand_over.set()
        assert await leave(x, nobody, 30, orders) == (Left(1, leave_alone=True), 0)
        caller.hang_up()
        await x.over()


async def test_when_all_leave_nobody_is_left_to(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        await x.buyer("Acme", Answers(1.0))
        caller = x.call()
        await at_stage(x, "talking")
        orders = Orders()
        orders.alone.set()
        assert (await leave(x, somebody, 3, orders))[0] == Left(ended=1)
        caller.hang_up()
        await x.over()


async def test_a_new_call_goes_on_to_the_next_engine(tmp_path: Path) -> None:
    async with exchange(tmp_path / "a") as x:
        went_on: list[str] = []
        ends = x.fake.core.dialplan

        def dialplan(channel: Channel) -> None:
            went_on.append(channel.id)
            ends(channel)

        x.fake.core.dialplan = dialplan
        x.engine.exchange.drain()
        caller = x.call()
        async with asyncio.timeout(10):
            while not went_on:
                await asyncio.sleep(0.01)
        assert len(went_on) == 1
        assert caller.answered_at is None
        assert await x.query("SELECT * FROM calls") == []
