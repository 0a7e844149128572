"""One call offered to several buyers, with real phones: what each did has a name, and the caller is greeted once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from dcx_ari.decide.decision import Decision
from dcx_asterisk.phone import Phone
from dcx_asterisk.ports import free_ports
from dcx_asterisk.refuser import Refuser
from tests.sip.device import Device
from tests.sip.exchange import GREETED, GREETING, MENU, SORRY, WHISPER, Exchange
from tests.sip.parties import CALLER_HZ, until
from tests.sip.sounds import order, seconds

pytestmark = pytest.mark.sip

HEARD = {"greeting": GREETING, "menu": MENU, "whisper": WHISPER, "one": 700, "two": 850, "three": 1000, "sorry": SORRY}
FIRST, SECOND, THIRD = 700, 850, 1000


async def choose(x: Exchange, caller: Phone) -> None:
    """The caller listens to the greeting and takes the menu's first choice."""
    await x.hear(caller, MENU)
    await caller.digits("1")


async def test_every_refusal_has_its_name_and_the_caller_is_greeted_once(x: Exchange) -> None:
    caller, (busy, last) = await x.caller(), await x.phones(busy=(FIRST, "reject"), last=(SECOND, "auto"))
    ports = free_ports(4, spacing=2)
    await x.campaign(flow=GREETED)
    await x.buyer("Busy", busy, tier=-5)
    async with AsyncExitStack() as refusers:
        for tier, (port, code) in enumerate(zip(ports, (603, 503, 404, 480), strict=True)):
            await refusers.enter_async_context(Refuser(port, code))
            await x.buyer(f"Refuses{code}", port, tier=tier)
        good = await x.buyer("Good", last, tier=9)
        call = await x.call(caller)
        await choose(x, caller)
        await x.hear(caller, SECOND)
        await caller.hangup()
        (row,) = await x.over()
    assert await x.results(call.id) == ["busy", "rejected", "congestion", "unreachable", "unreachable", "answered"]
    assert (row["status"], row["buyer_id"], row["revenue_cents"]) == ("COMPLETED", good, 1000)
    assert order(caller.heard, HEARD) == ["greeting", "menu", "two"]


async def test_three_tiers_of_busy_silent_and_full_buyers(x: Exchange) -> None:
    """The silent and the unreachable ring together, so that their five seconds pass once."""
    caller = await x.caller()
    busy, silent, full, last = await x.phones(
        busy=(FIRST, "reject"), silent=FIRST, full=(FIRST, "auto"), last=(SECOND, "auto")
    )
    (nobody,) = free_ports(1)
    await x.campaign(flow=GREETED)
    await x.buyer("Busy", busy, tier=-10)
    group = await x.add("groups", name="Team", routing_strategy="simultaneous", tier=0)
    for name, at in (("Silent", silent.port), ("Nobody", nobody)):
        member = await x.add("buyers", name=name, endpoint_value=f"sip:{name}@127.0.0.1:{at}", ring_timeout_s=5)
        await x.add("group-members", group_id=group, buyer_id=member)
    await x.add("campaign-buyers", campaign_id=x.campaign_id, group_id=group)
    full_id = await x.buyer("Full", full, tier=1, daily_cap=0)
    await x.buyer("Last", last, tier=1)
    call = await x.call(caller)
    await choose(x, caller)
    await silent.wait("CALL_INCOMING")
    await silent.wait("CALL_CLOSED")
    await x.hear(caller, SECOND)
    await last.hangup()
    await caller.wait("CALL_CLOSED")
    (row,) = await x.over()
    results = await x.results(call.id)
    assert (results[0], sorted(results[1:3]), results[3:]) == ("busy", ["no_answer", "unreachable"], ["answered"])
    (rejected,) = Decision.from_json(row["decision"]).rejected
    assert (rejected.id, rejected.reason) == (full_id, "cap.daily")
    assert full.heard is None
    assert order(caller.heard, HEARD) == ["greeting", "menu", "two"]


async def test_two_answers_in_the_same_instant_and_only_one_talks(x: Exchange) -> None:
    caller = await x.caller()
    phones = await x.phones(one=(FIRST, "auto"), two=(SECOND, "auto"))
    (port,) = free_ports(1, spacing=4)
    group = await x.add("groups", name="Team", routing_strategy="simultaneous", daily_cap=5)
    ids = []
    for number, at in enumerate([*(phone.port for phone in phones), port]):
        uri = f"sip:m{number}@127.0.0.1:{at}"
        ids.append(await x.add("buyers", name=f"M{number}", endpoint_value=uri, daily_cap=5, revenue_cents=500))
        await x.add("group-members", group_id=group, buyer_id=ids[-1])
    await x.add("campaign-buyers", campaign_id=x.campaign_id, group_id=group)
    async with Device(port, 180) as third:
        call = await x.call(caller)
        await x.stage(call, "talking")
        (winner,) = [leg for leg in call.legs.values() if leg.accepted_at is not None]
        won = ids.index(winner.buyer_id or 0)
        loser = phones[1 - won]
        await x.hear(phones[won], CALLER_HZ)
        await x.hear(caller, (FIRST, SECOND)[won])
        if any(event.kind == "CALL_INCOMING" for event in loser.events):
            await until(lambda: any(e.kind == "CALL_CLOSED" for e in loser.events), "the loser is released")
        await until(lambda: "CANCEL" in third.requests, "the phone that rings is told")
        assert "completed elsewhere" in third.header("CANCEL", "Reason")
        await caller.hangup()
        (row,) = await x.over()
    assert seconds(loser.heard, CALLER_HZ) == 0
    assert seconds(caller.heard, (FIRST, SECOND)[1 - won]) == 0
    assert (row["buyer_id"], row["revenue_cents"]) == (ids[won], 500)
    assert sorted(await x.results(call.id)) == ["answered", "cancelled", "cancelled"]
    used = await x.query("SELECT scope, scope_id FROM cap_counters WHERE period = 'day' AND used > 0")
    sold = {(each["scope"], each["scope_id"]) for each in used}
    assert {("buyer", ids[won]), ("group", group)} <= sold
    assert not {("buyer", each) for each in ids if each != ids[won]} & sold


async def test_a_buyer_who_does_not_press_the_digit_loses_the_caller(x: Exchange) -> None:
    caller, (one, two) = await x.caller(), await x.phones(one=(FIRST, "auto"), two=(SECOND, "auto"))
    prompt = f"tone {WHISPER} for 1.5"
    await x.buyer("One", one, tier=0, whisper=prompt, accept_digit="1", accept_timeout_s=1)
    await x.buyer("Two", two, tier=1, whisper=prompt, accept_digit="1", accept_timeout_s=10)
    call = await x.call(caller)
    await x.hear(one, WHISPER)
    await one.wait("CALL_CLOSED")
    await x.hear(two, WHISPER)
    await two.digits("1")
    await x.stage(call, "talking")
    await asyncio.gather(x.hear(two, CALLER_HZ), x.hear(caller, SECOND))
    await two.hangup()
    await caller.wait("CALL_CLOSED")
    (row,) = await x.over()
    assert await x.results(call.id) == ["not_accepted", "answered"]
    assert order(one.heard, {**HEARD, "caller": CALLER_HZ}) == ["whisper"]
    assert order(two.heard, {**HEARD, "caller": CALLER_HZ}) == ["whisper", "caller"]
    assert order(caller.heard, HEARD) == ["two"]
    assert row["revenue_cents"] == 1000


async def test_a_buyer_who_hangs_up_after_a_second_loses_the_caller_to_the_next(x: Exchange) -> None:
    caller, (hasty, good) = await x.caller(), await x.phones(hasty=(FIRST, "auto"), good=(SECOND, "auto"))
    await x.campaign(flow=GREETED, recover_below_s=8, record=True)
    rules = [{"kind": "duration", "threshold_s": 2, "timer_start": "bridge"}]
    await x.buyer("Hasty", hasty, tier=0, conversion_rules=rules)
    kept = await x.buyer("Good", good, tier=1, conversion_rules=rules)
    call = await x.call(caller)
    await choose(x, caller)
    await asyncio.gather(x.hear(caller, FIRST), x.hear(hasty, CALLER_HZ))
    await hasty.hangup()
    await asyncio.gather(x.hear(caller, SECOND), x.hear(good, CALLER_HZ))
    await asyncio.sleep(1.8)
    await caller.hangup()
    (row,) = await x.over()
    assert order(caller.heard, HEARD) == ["greeting", "menu", "one", "two"]
    assert (row["buyer_id"], row["revenue_cents"], row["ended_by"]) == (kept, 1000, "caller")
    assert "recovering" in await x.stages(call.id)
    recordings = await x.query("SELECT path, state FROM recordings ORDER BY id")
    assert [each["state"] for each in recordings] == ["ready", "ready"]
    heard = [order(x.settings.home / each["path"], HEARD, channel=1) for each in recordings]
    assert heard == [["one"], ["two"]]


async def test_the_last_slot_is_sold_once_to_callers_who_come_together(x: Exchange) -> None:
    one, rest = await x.phones(one=(FIRST, "auto"), rest=(SECOND, "auto"))
    callers = await asyncio.gather(*(x.caller(f"+1212555010{number}") for number in range(4)))
    first = await x.buyer("One", one, tier=0, concurrency_limit=1)
    other = await x.buyer("Rest", rest, tier=1)
    await asyncio.gather(*(x.dial(caller, x.number) for caller in callers))
    calls = x.engine.exchange.calls

    def all_talk() -> bool:
        return len(calls) == len(callers) and all(call.stage_name == "talking" for call in calls.values())

    await until(all_talk, "all callers talk")
    await asyncio.gather(*(caller.hangup() for caller in callers))
    rows = await x.over()
    assert sorted(row["buyer_id"] for row in rows) == [first, other, other, other]


async def test_nobody_takes_the_call_and_the_fallbacks_do(x: Exchange) -> None:
    ask, sold_out = await asyncio.gather(x.caller("+12125550101"), x.caller("+12125550102"))
    busy, office = await x.phones(busy=(FIRST, "reject"), office=(THIRD, "auto"))
    announcement = {"on": "any", "kind": "announcement", "value": f"tone {SORRY} for 1.0"}
    refused = await x.campaign(fallbacks=[announcement])
    await x.buyer("Busy", busy)
    forward = {"on": "all_maxed_out", "kind": "forward", "value": f"sip:office@127.0.0.1:{office.port}"}
    full = await x.campaign(fallbacks=[forward, announcement])
    await x.buyer("Full", busy, daily_cap=0)
    await asyncio.gather(x.call(ask, refused), x.call(sold_out, full))
    await asyncio.gather(x.hear(ask, SORRY), x.hear(sold_out, THIRD), x.hear(office, CALLER_HZ))
    await ask.wait("CALL_CLOSED")
    await office.hangup()
    await sold_out.wait("CALL_CLOSED")
    rows = {row["caller"]: row for row in await x.over()}
    told, forwarded = rows[ask.name], rows[sold_out.name]
    assert (told["status"], told["failure_reason"]) == ("NO_ANSWER", "all_no_answer")
    assert (forwarded["status"], forwarded["failure_reason"], forwarded["buyer_id"]) == ("COMPLETED", None, None)
    assert [row["revenue_cents"] for row in (told, forwarded)] == [0, 0]
