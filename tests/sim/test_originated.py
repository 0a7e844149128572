"""Legs that are originated: rung by one request, ours only a moment after their answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dcx_ari.call.call import Call
from dcx_ari.call.dialing import Target, dial, new_legs
from dcx_ari.call.errors import CallEnded
from dcx_ari.decide.causes import LegResult
from dcx_ari.flows.offer import Terms, accepted, talk
from dcx_ari.testing.far_end import Answers, AnswersThenHangsUp, NoAnswer
from tests.sim.world import world

pytestmark = pytest.mark.sim

BUYER = "PJSIP/+15550000001@trunk-1"


async def _sell(call: Call, results: list[LegResult] | None = None, terms: Terms | None = None, **dialled: Any) -> None:
    targets = [Target(BUYER, "+12125550123", ring_timeout_s=90, **dialled)]
    legs = new_legs(call, targets)
    confirm = None if terms is None else (lambda leg: accepted(call, leg, terms))
    try:
        winner = await dial(call, legs, targets, budget_s=90, confirm=confirm)
        if winner is not None:
            await talk(call, winner, record=True)
    finally:
        if results is not None:
            results.append(legs[0].result)


async def test_one_request_rings_and_the_caller_does_not_wait_for_the_leg_to_enter() -> None:
    async with world(_sell, setup_s=0.5) as w:
        buyer = w.fake.phone(BUYER, AnswersThenHangsUp(10.0, after=1.0))
        caller = w.call()
        await w.over()
        assert w.fake.asked("POST channels")
        assert not w.fake.asked("POST channels/create")
        assert caller.answered_at == buyer.call.answered_at
        assert buyer.call.answered_at is not None
        assert w.fake.asked("POST bridges/*/addChannel")[0].at >= buyer.call.answered_at + 0.5
        assert caller.talked_with(buyer.call) == pytest.approx(9.5, abs=0.1)


async def test_a_whisper_waits_until_the_leg_has_entered() -> None:
    async def flow(call: Call) -> None:
        await _sell(call, terms=Terms("A call.", accept_digit="1"))

    async with world(flow, setup_s=0.5) as w:
        buyer = w.fake.phone(BUYER, Answers(1.0, hangs_up_after=20, presses=[(3.0, "1")]))
        caller = w.call()
        await w.over()
        assert any("A call." in heard for heard in buyer.call.media)
        assert caller.talked_with(buyer.call) > 10


@pytest.mark.parametrize("terms", [None, Terms("A call.")])
async def test_a_leg_that_never_enters_is_hung_up_and_the_caller_goes_on(terms: Terms | None) -> None:
    reached: list[str] = []

    async def flow(call: Call) -> None:
        await _sell(call, terms=terms)
        await call.play("sound:sorry")
        reached.append("the rest of the flow")

    async with world(flow, setup_s=30.0) as w:
        buyer = w.fake.phone(BUYER, Answers(1.0))
        w.call()
        await w.over()
        assert reached
        assert buyer.call.ended_at is not None
        assert buyer.call.answered_at is not None
        assert buyer.call.ended_at - buyer.call.answered_at < 10


async def test_a_far_end_that_hangs_up_before_it_has_entered() -> None:
    async with world(_sell) as w:
        buyer = w.fake.phone(BUYER, AnswersThenHangsUp(0.0, after=1.0))
        caller = w.call()
        await w.over()
        assert caller.talked_with(buyer.call) == 0


@pytest.mark.parametrize("step", range(1, 60))
async def test_the_caller_hangs_up_in_any_half_millisecond_of_the_setup(step: int) -> None:
    async with world(_sell, latency_s=0.003, event_latency_s=0.002, setup_s=0.004) as w:
        buyer = w.fake.phone(BUYER, Answers(0.004))
        caller = w.call()
        caller.hang_up(after=step * 0.0005)
        await caller.until_ended()
        await asyncio.sleep(0.1)  # the news of a caller who left at once comes after him
        await w.fake.settled(1.0)
        await w.over()
        assert len(w.notes.closed_calls) == 1
        assert all(call.ended_at is not None for call in buyer.calls)


async def test_nobody_is_rung_for_a_caller_who_has_gone() -> None:
    results: list[LegResult] = []

    async def flow(call: Call) -> None:
        await asyncio.sleep(1.0)
        with pytest.raises(CallEnded):
            await _sell(call, results)

    async with world(flow) as w:
        buyer = w.fake.phone(BUYER, Answers(1.0))
        w.call().hang_up(after=0.5)
        await w.over()
        assert results
        assert buyer.calls == []
        assert w.notes.legs == {}


async def test_an_originate_whose_answer_is_lost_leaves_no_phone_ringing() -> None:
    results: list[LegResult] = []

    async def flow(call: Call) -> None:
        await _sell(call, results)

    async with world(flow) as w:
        buyer = w.fake.phone(BUYER, NoAnswer())
        w.fake.fail("POST", "channels", status=0, runs=True)
        w.call()
        await w.over()
        assert results == [LegResult.UNREACHABLE]
        assert buyer.call.ended_at is not None
        assert buyer.call.ended_at < 15


async def test_headers_and_whose_leg_it_is_go_with_the_request() -> None:
    async def flow(call: Call) -> None:
        await _sell(call, headers={"X-Campaign": "solar"}, caller_name='Ann "A" <b>')

    async with world(flow) as w:
        buyer = w.fake.phone(BUYER, Answers(1.0))
        w.call()
        await buyer_rings(w, buyer)
        channel = buyer.call.channel
        assert channel.variables["PJSIP_HEADER(add,X-Campaign)"] == "solar"
        assert channel.to_json()["channelvars"]["DCX"].endswith("role=leg owner=dcx-0")
        assert channel.connected == ("Ann A b", "+12125550123")


async def buyer_rings(w: Any, buyer: Any) -> None:
    await w.fake.core.until(lambda: bool(buyer.calls) and buyer.call.channel.state == "Ringing", 10)
