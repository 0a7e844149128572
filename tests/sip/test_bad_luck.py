"""What goes wrong on calls: callers who leave, numbers that do not exist, strangers, an Asterisk that dies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from dcx_ari.call.call import Call
from dcx_asterisk.phone import Phone
from dcx_asterisk.ports import free_ports
from tests.sip.device import Device
from tests.sip.exchange import GREETED, GREETING, MENU, WHISPER, Exchange
from tests.sip.parties import until
from tests.sip.quitter import quit_after
from tests.sip.raw import invite
from tests.sip.sounds import loudest

pytestmark = pytest.mark.sip

BUYER_HZ = 700
GONE_S = 2.0  # one second is what is promised; the other is for a machine that is busy
SPEECH = 800

Reach = Callable[[Exchange, Phone, Call], Awaitable[object]]


async def in_greeting(x: Exchange, caller: Phone, call: Call) -> None:
    await x.hear(caller, GREETING)


async def in_menu(x: Exchange, caller: Phone, call: Call) -> None:
    await x.hear(caller, MENU)


async def between_digits(x: Exchange, caller: Phone, call: Call) -> None:
    """The first of two digits has been heard, and the menu has ended for it."""
    await x.hear(caller, MENU)
    await caller.digits("2")
    await until(lambda: not call.caller.digits and caller.hears(MENU, -0.3) < 100, "the menu gives way to the digit")


async def hears_ringing(caller: Phone) -> None:
    """The phone knows nothing to hang up before its call has been answered with something."""
    await until(lambda: "CALL_RINGING" in [event.kind for event in caller.events], "the caller hears ringing")


async def while_ringing(x: Exchange, caller: Phone, call: Call) -> None:
    await until(lambda: any(leg.ringing_at for leg in call.legs.values()), "a phone rings")
    await hears_ringing(caller)


async def while_all_ring(x: Exchange, caller: Phone, call: Call) -> None:
    await until(lambda: len([leg for leg in call.legs.values() if leg.ringing_at]) == 2, "both phones ring")
    await hears_ringing(caller)


async def in_whisper(x: Exchange, caller: Phone, call: Call) -> None:
    await x.stage(call, "whispering")
    await until(lambda: all(leg.answered for leg in call.legs.values()), "the buyer has answered")


async def while_talking(x: Exchange, caller: Phone, call: Call) -> None:
    await x.stage(call, "talking")
    await x.hear(caller, BUYER_HZ)


async def leave(x: Exchange, number: str, caller: Phone, reach: Reach) -> tuple[str, float]:
    """Call, hang up at the moment that `reach` waits for; the call's id and for how long anything of it stayed."""
    call = await x.call(caller, number)
    await reach(x, caller, call)

    async def left() -> list[str]:
        ids = [*await x.channels(), *await x.bridges()]
        return [each for each in ids if each == call.caller.id or each.startswith(call.id)]

    assert call.caller.id in await left()
    began = time.monotonic()
    await caller.hangup()
    async with asyncio.timeout(10):
        while await left():
            await asyncio.sleep(0.02)
    return call.id, time.monotonic() - began


def closed(phone: Phone) -> int:
    return [event.kind for event in phone.events].count("CALL_CLOSED")


async def test_a_caller_who_leaves_at_any_step_takes_everything_along(x: Exchange) -> None:
    silent, other, whispered, talker = await x.phones(
        silent=BUYER_HZ, other=BUYER_HZ, whispered=(BUYER_HZ, "auto"), talker=(BUYER_HZ, "auto")
    )
    nodes = GREETED["nodes"] | {"menu": {**GREETED["nodes"]["menu"], "between_s": 10}}  # type: ignore[operator, index]
    prompts = await x.campaign(flow={**GREETED, "nodes": nodes})
    ringing = await x.campaign()
    await x.buyer("Silent", silent, concurrency_limit=5, ring_timeout_s=20)
    both = await x.campaign()
    group = await x.add("groups", name="Team", routing_strategy="simultaneous", concurrency_limit=5)
    for phone in (silent, other):
        uri = f"sip:{phone.name}@127.0.0.1:{phone.port}"
        member = await x.add("buyers", name=f"Member {phone.name}", endpoint_value=uri, ring_timeout_s=20)
        await x.add("group-members", group_id=group, buyer_id=member)
    await x.add("campaign-buyers", campaign_id=x.campaign_id, group_id=group)
    whisper = await x.campaign()
    await x.buyer("Whispered", whispered, whisper=f"tone {WHISPER} for 10", concurrency_limit=5)
    talk = await x.campaign(record=True)
    await x.buyer("Talker", talker, concurrency_limit=5)

    steps: list[tuple[str, Reach]] = [
        (prompts, in_greeting),
        (prompts, in_menu),
        (prompts, between_digits),
        (ringing, while_ringing),
        (both, while_all_ring),
        (whisper, in_whisper),
        (talk, while_talking),
    ]
    names = [f"+121255501{index:02d}" for index in range(len(steps))]
    callers = await asyncio.gather(*(x.caller(name) for name in names))
    left = await asyncio.gather(
        *(leave(x, number, caller, reach) for caller, (number, reach) in zip(callers, steps, strict=True))
    )
    slow = {reach.__name__: seconds for (_, reach), (_, seconds) in zip(steps, left, strict=True) if seconds > GONE_S}
    assert slow == {}
    rows = {row["id"]: row for row in await x.over()}
    ends = {
        reach.__name__: (rows[call_id]["status"], rows[call_id]["failure_reason"], rows[call_id]["ended_by"])
        for (_, reach), (call_id, _) in zip(steps, left, strict=True)
    }
    assert ends.pop("while_talking") == ("COMPLETED", None, "caller")
    assert set(ends.values()) == {("ABANDONED", "caller_hung_up", "caller")}, ends
    for phone, calls in ((silent, 2), (other, 1), (whispered, 1), (talker, 1)):
        await until(lambda phone=phone, calls=calls: closed(phone) == calls, f"{phone.name} is released")  # type: ignore[misc]
    assert {row["used"] for row in await x.query("SELECT used FROM cap_counters WHERE period = 'now'")} <= {0}


async def test_callers_who_leave_within_milliseconds(x: Exchange) -> None:
    """The news of their end comes while the call is being set up, or before anybody has heard of the call."""
    (port,) = free_ports(1, spacing=4)
    await x.buyer("Silent", port, concurrency_limit=100, ring_timeout_s=20)
    for begin_ms in (0, 5, 30):  # Asterisk here has media ports for ten calls at a time
        ports = free_ports(8, spacing=2)
        async with Device(port, 180):
            ends = await asyncio.gather(
                *(quit_after(at, x.sip_port, x.number, (begin_ms + index) / 1000) for index, at in enumerate(ports))
            )
        assert {end[:3] for end in ends} == {"487"}
        assert await x.left_behind() == ([], [])
    rows = await x.over()
    assert {row["failure_reason"] for row in rows} <= {"caller_hung_up"}


async def test_an_unknown_number_is_not_in_service(x: Exchange) -> None:
    caller = await x.caller()
    await x.dial(caller, "+18005559999")
    closed = await caller.wait("CALL_CLOSED", "CALL_ESTABLISHED", timeout_s=20)
    assert closed.text.startswith("404")
    assert caller.heard is not None
    assert loudest(caller.heard) > SPEECH  # as early media
    (row,) = await x.over()
    assert (row["status"], row["failure_reason"], row["dialled"]) == ("FAILED", "no_number", "+18005559999")
    assert (row["answered_at"], row["caller"]) == (None, caller.name)


async def test_without_any_buyer_the_caller_is_told_in_words(x: Exchange) -> None:
    caller = await x.caller()
    await x.call(caller)
    await caller.wait("CALL_ESTABLISHED")
    await until(lambda: caller.heard is not None and loudest(caller.heard) > SPEECH, "somebody speaks", every_s=0.1)
    await caller.hangup()
    (row,) = await x.over()
    assert "We are sorry." in " ".join(x.said)
    assert (row["status"], row["failure_reason"]) == ("FAILED", "no_buyers_attached")


ODD_CALLERS = {
    "nobody": "<sip:127.0.0.1>",
    "latin": '"Jos\xe9 M\xfcller" <sip:+12125550101@127.0.0.1>',
    "quoted": '"a \\"b\\" <c>, d; e" <sip:+12125550102@127.0.0.1>',
    "long": f'"{"x" * 200}" <sip:{"1" * 40}@127.0.0.1>',
    "anonymous": '"Anonymous" <sip:anonymous@anonymous.invalid>',
    "escaped": "<sip:%e9%ff%00@127.0.0.1>",
    "letters": '"${EPOCH}" <sip:a,b=c&d@127.0.0.1>',
}


async def test_odd_callers_are_offered_like_any_other(x: Exchange) -> None:
    """Whatever From says, the buyer's phone gets a well-formed INVITE, and the row can be read."""
    (busy,) = free_ports(1, spacing=4)
    ports = free_ports(len(ODD_CALLERS), spacing=2)
    number = await x.campaign(fallbacks=[{"on": "any", "kind": "hangup", "value": ""}])
    await x.buyer("Busy", busy)
    sip = f"127.0.0.1:{x.sip_port}"
    async with Device(busy, 486) as device:
        replies = await asyncio.gather(
            *(
                invite(sip, port, f"sip:{number}@127.0.0.1", from_=caller, until=300, wait_s=20)
                for port, caller in zip(ports, ODD_CALLERS.values(), strict=True)
            )
        )
        rows = await x.over()
    assert {name: reply[-1][:3] for name, reply in zip(ODD_CALLERS, replies, strict=True)} == dict.fromkeys(
        ODD_CALLERS, "503"
    )
    assert [row["failure_reason"] for row in rows] == ["all_no_answer"] * len(ODD_CALLERS)
    assert len(device.requests["INVITE"]) == len(ODD_CALLERS)
    for request in device.requests["INVITE"]:
        request.encode()  # raises where the device received what is no UTF-8
    assert {"+12125550101", "+12125550102", "1" * 40} <= {row["caller"] for row in rows}


async def test_odd_numbers_are_not_in_service(x: Exchange) -> None:
    dialled = {"sip:127.0.0.1": "", f"sip:{'1' * 40}@127.0.0.1": "1" * 40, "sip:5%e9%ff@127.0.0.1": "5"}
    ports = free_ports(len(dialled), spacing=2)
    sip = f"127.0.0.1:{x.sip_port}"
    replies = await asyncio.gather(
        *(invite(sip, port, uri, until=300, wait_s=20) for port, uri in zip(ports, dialled, strict=True))
    )
    assert [reply[-1][:3] for reply in replies] == ["404"] * len(dialled)
    rows = await x.over()
    assert sorted(row["dialled"] for row in rows) == sorted(dialled.values())
    assert {row["failure_reason"] for row in rows} == {"no_number"}


async def test_strangers_are_refused_and_the_engine_never_hears_of_them(x: Exchange) -> None:
    stranger, friend = await x.caller("+12125550101", host="127.0.0.9"), await x.caller("+12125550102")
    await x.dial(stranger, x.number)
    assert (await stranger.wait("CALL_CLOSED", "CALL_ESTABLISHED")).text == "401 Unauthorized"
    await x.change("trunks", "carrier", status="INACTIVE")
    await until(lambda: not x.engine.configuration.trunks[0].active, "the change is seen")
    await x.engine.push_trunks()
    await x.dial(friend, x.number)
    assert (await friend.wait("CALL_CLOSED", "CALL_ESTABLISHED")).text == "401 Unauthorized"
    assert await x.over() == []
