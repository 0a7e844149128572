"""Call control on a fake Asterisk: whatever happens, nothing is left behind."""

from __future__ import annotations

import asyncio

import pytest

from dcx_ari.call.call import Call
from dcx_ari.call.dialing import Target, dial, new_legs
from dcx_ari.call.leg import Leg
from dcx_ari.decide.causes import LegResult
from dcx_ari.decide.digits import Complete, DigitRule
from dcx_ari.flows.offer import Terms, accepted, talk
from dcx_ari.testing.far_end import (
    Answers,
    AnswersThenHangsUp,
    Busy,
    Congestion,
    NoAnswer,
    NoSuchNumber,
    Rejects,
    Unreachable,
)
from dcx_ari.testing.parties import Caller
from tests.sim.world import World, world

pytestmark = pytest.mark.sim

BUYERS = [f"PJSIP/+1555000000{n}@trunk-1" for n in range(1, 4)]


async def _ring(call: Call, *endpoints: str, timeout_s: float = 30.0) -> tuple[Leg | None, list[LegResult]]:
    targets = [Target(endpoint, "+12125550123", ring_timeout_s=timeout_s) for endpoint in endpoints]
    legs = new_legs(call, targets)
    winner = await dial(call, legs, targets, budget_s=60.0)
    return winner, [leg.result for leg in legs]


async def _connect(call: Call) -> None:
    await call.ring()
    winner, _ = await _ring(call, BUYERS[0])
    if winner is not None:
        await talk(call, winner, record=True)
        call.ended_by = "buyer"


async def test_a_talk_ended_by_the_buyer() -> None:
    async with world(_connect) as w:
        buyer = w.fake.phone(BUYERS[0], AnswersThenHangsUp(30.0))
        caller = w.call()
        await w.over()
        assert caller.talked_with(buyer.call) == pytest.approx(30, abs=0.1)
        assert w.notes.stages == ["talking"]
        assert w.notes.closed_calls[0].ended_by == "buyer"
        assert w.notes.recorded == [("start", w.notes.recorded[0][1]), ("stop", w.notes.recorded[0][1])]


async def test_a_talk_ended_by_the_caller() -> None:
    async with world(_connect) as w:
        buyer = w.fake.phone(BUYERS[0], Answers(after=2.0))
        caller = w.call()
        await caller.until_answered()
        caller.hang_up(after=12)
        await w.over()
        assert buyer.call.ended_at is not None
        assert caller.ended_at is not None
        assert buyer.call.ended_at - caller.ended_at < 1.0
        assert w.notes.closed_calls[0].ended_by == "caller"
        assert w.notes.recorded[-1][0] == "stop"


@pytest.mark.parametrize(
    ("script", "result"),
    [
        (Busy(), LegResult.BUSY),
        (Rejects(), LegResult.REJECTED),
        (NoAnswer(), LegResult.NO_ANSWER),
        (NoAnswer(silent=True), LegResult.UNREACHABLE),
        (Unreachable(), LegResult.UNREACHABLE),
        (NoSuchNumber(), LegResult.UNREACHABLE),
        (Congestion(), LegResult.CONGESTION),
    ],
)
async def test_a_failed_leg_has_a_name_and_the_caller_stays(script: object, result: LegResult) -> None:
    seen: list[LegResult] = []

    async def flow(call: Call) -> None:
        await call.ring()
        winner, results = await _ring(call, BUYERS[0], timeout_s=10)
        assert winner is None
        seen.extend(results)
        winner, _ = await _ring(call, BUYERS[1])
        assert winner is not None
        await talk(call, winner, record=False)

    async with world(flow) as w:
        w.fake.phone(BUYERS[0], script)  # type: ignore[arg-type]
        second = w.fake.phone(BUYERS[1], AnswersThenHangsUp(5.0))
        caller = w.call()
        await w.over()
        assert seen == [result]
        assert caller.talked_with(second.call) == pytest.approx(5, abs=0.1)


async def test_simultaneous_first_answer_wins_and_the_others_are_told_so() -> None:
    outcome: list[LegResult] = []

    async def flow(call: Call) -> None:
        winner, results = await _ring(call, *BUYERS)
        outcome.extend(results)
        assert winner is not None
        await talk(call, winner, record=False)

    async with world(flow) as w:
        phones = [w.fake.phone(BUYERS[0], Answers(9.0)), w.fake.phone(BUYERS[1], AnswersThenHangsUp(5.0))]
        phones.append(w.fake.phone(BUYERS[2], NoAnswer()))
        w.call()
        await w.over()
        assert outcome == [LegResult.CANCELLED, LegResult.ANSWERED, LegResult.CANCELLED]
        assert [phone.call.cause for phone in phones] == [26, 16, 26]


async def test_two_answers_in_the_same_instant_one_wins() -> None:
    async def flow(call: Call) -> None:
        winner, _ = await _ring(call, BUYERS[0], BUYERS[1])
        assert winner is not None
        await talk(call, winner, record=False)

    async with world(flow) as w:
        both = [w.fake.phone(endpoint, AnswersThenHangsUp(5.0)) for endpoint in BUYERS[:2]]
        caller = w.call()
        await w.over()
        assert sorted(caller.talked_with(phone.call) > 4 for phone in both) == [False, True]


async def test_whisper_is_for_the_buyer_alone_and_the_accept_digit_decides() -> None:
    results: list[LegResult] = []

    async def flow(call: Call) -> None:
        terms = Terms("A call from the radio.", accept_digit="1", accept_timeout_s=5)
        for endpoint in BUYERS[:2]:
            targets = [Target(endpoint)]
            legs = new_legs(call, targets)
            await call.ring()
            winner = await dial(call, legs, targets, budget_s=60, confirm=lambda leg: accepted(call, leg, terms))
            results.append(legs[0].result)
            if winner is not None:
                await talk(call, winner, record=False)

    async with world(flow) as w:
        silent = w.fake.phone(BUYERS[0], Answers(1.0))
        eager = w.fake.phone(BUYERS[1], Answers(1.0, hangs_up_after=20, presses=[(2.0, "1")]))
        caller = w.call()
        await w.over()
        assert results == [LegResult.NOT_ACCEPTED, LegResult.ANSWERED]
        assert any("radio" in heard for heard in silent.call.media)
        assert any("radio" in heard for heard in eager.call.media)
        assert not any("radio" in heard for heard in caller.media)
        assert caller.talked_with(silent.call) == 0
        assert caller.talked_with(eager.call) > 15


async def _whole(call: Call) -> None:
    """Every stage of a call, for hanging up in each."""
    await call.answer()
    await call.speak("Welcome.")
    await call.speak("Press 1.", barge_in=True)
    entry = await call.digits(DigitRule(choices=frozenset({"1"})), first_s=5, between_s=2)
    assert entry == Complete("1")
    await call.ring()
    targets = [Target(endpoint) for endpoint in BUYERS]
    terms = Terms("A call.", accept_digit="1")
    legs = new_legs(call, targets)
    winner = await dial(call, legs, targets, budget_s=60, confirm=lambda leg: accepted(call, leg, terms))
    if winner is not None:
        await talk(call, winner, record=True)


@pytest.mark.parametrize("step", range(48))
async def test_the_caller_hangs_up_at_any_instant(step: int) -> None:
    """Every quarter of a second from arrival to well into the talk: all legs are gone within a second."""
    async with world(_whole, latency_s=0.003, event_latency_s=0.002) as w:
        w.fake.sound("sound:said/Welcome.", 2.0)
        w.fake.phone(BUYERS[0], Answers(2.0, presses=[(2.0, "1")]))
        w.fake.phone(BUYERS[1], Answers(2.5, presses=[(2.0, "1")]))
        w.fake.phone(BUYERS[2], NoAnswer())
        caller = w.call()
        caller.at(3.5, caller.channel.digit, "1")
        caller.hang_up(after=0.01 + step * 0.25)
        await caller.until_ended()
        assert caller.ended_at is not None
        await w.fake.settled(1.0)
        await w.over()
        assert len(w.notes.closed_calls) == 1


async def test_a_hangup_between_arrival_and_first_command() -> None:
    async with world(_whole, latency_s=0.05) as w:
        caller = w.call()
        caller.hang_up(after=0.01)
        await w.over()
        assert w.notes.closed_calls[0].ended_by == "caller"


async def test_digits_typed_fast_are_not_lost() -> None:
    entries: list[object] = []

    async def flow(call: Call) -> None:
        await call.answer()
        rule = DigitRule(minimum=10, maximum=10)
        entries.append(await call.digits(rule, first_s=5, between_s=2))

    async with world(flow) as w:
        caller = w.call()
        await caller.until_answered()
        await caller.press("0123456789", gap=0.05)
        await w.over()
        assert entries == [Complete("0123456789")]


async def test_a_faulty_flow_ends_its_own_call_only() -> None:
    async def flow(call: Call) -> None:
        await call.answer()
        if call.facts.dialled == "+18005550001":
            raise RuntimeError("a fault")
        await call.wait(lambda: False, 20)

    async with world(flow) as w:
        bad, good = w.call("+18005550001"), w.call("+18005550002")
        await bad.until_ended()
        assert good.in_call
        await w.over()
        assert w.notes.closed_calls[0].failure_reason == "error"
        assert (good.ended_at or 0) >= 20


async def test_stopping_ends_live_calls_and_takes_no_new_ones() -> None:
    async with world(_connect) as w:
        w.fake.phone(BUYERS[0], Answers(1.0))
        caller = w.call()
        await caller.until_answered()
        await w.exchange.stop(0.5)
        late = w.call()
        await late.until_ended()
        await w.fake.settled(2.0)
        assert (caller.ended_at or 0) < 5
        assert [call.ended_by for call in w.notes.closed_calls] == ["system"]


async def test_hangups_missed_while_the_socket_was_down_are_found_on_reconnect() -> None:
    async with world(_connect) as w:
        w.fake.phone(BUYERS[0], Answers(1.0))
        caller = w.call()
        await caller.until_answered()
        w.fake.drop_connection()
        caller.hang_up()
        await w.over()
        assert w.notes.closed_calls[0].ended_by == "caller"


async def test_an_answer_missed_while_the_socket_was_deaf_is_found_on_reconnect() -> None:
    async with world(_connect) as w:
        w.fake.phone(BUYERS[0], Answers(1.0))
        caller = w.call()
        await asyncio.sleep(0.5)
        w.fake.stall()
        await asyncio.sleep(2.0)  # the leg is up, and in our application; nobody has told us
        assert caller.answered_at is None
        w.fake.drop_connection()
        await caller.hears(BUYERS[0], timeout_s=3.0)
        caller.hang_up()
        await w.over()


async def _left_alone(w: World, caller: Caller) -> None:
    await asyncio.sleep(30)
    assert caller.in_call


async def test_talk_goes_on_while_the_socket_reconnects() -> None:
    async with world(_connect) as w:
        buyer = w.fake.phone(BUYERS[0], Answers(1.0))
        caller = w.call()
        await caller.hears(BUYERS[0])
        w.fake.drop_connection()
        await _left_alone(w, caller)
        assert caller.talked_with(buyer.call) > 29
        caller.hang_up()
        await w.over()
