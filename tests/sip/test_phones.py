"""Who hears whom through a real Asterisk, and what phones are told when a call does not come about."""

from __future__ import annotations

import asyncio

import pytest

from dcx_asterisk.phone import Phone, Registration
from dcx_asterisk.ports import free_ports
from dcx_asterisk.refuser import Refuser
from tests.sip.conftest import MakePhone, Switch

pytestmark = pytest.mark.sip

LOUD, SILENT = 3000, 100  # a phone talks with a tone of amplitude 8000


async def call(switch: Switch, phone: MakePhone) -> tuple[Phone, Phone]:
    """A caller (440 Hz) and a buyer (700 Hz), connected by the plain dialplan."""
    caller = await phone("caller", tone_hz=440)
    buyer = await phone("buyer", tone_hz=700, answer="auto")
    await switch.trunk("in", f"127.0.0.1:{caller.port}", "127.0.0.1", context="pair")
    await switch.trunk("out", f"127.0.0.1:{buyer.port}")
    await caller.dial(f"sip:+15550100@{switch.sip}")
    await caller.wait("CALL_ESTABLISHED")
    return caller, buyer


async def test_each_hears_the_other_and_not_itself(switch: Switch, phone: MakePhone) -> None:
    caller, buyer = await call(switch, phone)
    await asyncio.sleep(2)
    assert caller.hears(700, -1) > LOUD
    assert caller.hears(440, -1) < SILENT
    assert buyer.hears(440, -1) > LOUD
    assert buyer.hears(700, -1) < SILENT


async def test_digits_are_heard_once_each(switch: Switch, phone: MakePhone) -> None:
    caller, buyer = await call(switch, phone)
    await asyncio.sleep(0.5)
    await caller.digits("19#")
    digits = [(await buyer.wait("CALL_DTMF_START")).text for _ in range(3)]
    assert digits == ["1", "9", "#"]


async def test_hold_plays_our_music_and_resume_brings_the_caller_back(switch: Switch, phone: MakePhone) -> None:
    caller, buyer = await call(switch, phone)
    await asyncio.sleep(0.5)
    await caller.hold()
    await asyncio.sleep(1.5)
    assert buyer.hears(440, -1) < SILENT
    assert max(buyer.hears(hz, -1) for hz in (220, 247, 196)) > SILENT  # the lowest tones of the chords
    await caller.resume()
    await asyncio.sleep(1.5)
    assert buyer.hears(440, -1) > LOUD
    assert caller.hears(700, -1) > LOUD


async def test_hangup_ends_both(switch: Switch, phone: MakePhone) -> None:
    caller, buyer = await call(switch, phone)
    await asyncio.sleep(1)
    await buyer.hangup()
    await caller.wait("CALL_CLOSED")
    await asyncio.sleep(1)
    assert caller.hears(700, -0.5) > LOUD  # counted from the end of the call, not from now
    assert await switch.ask("GET", "channels") == []


async def test_a_rejecting_buyer_is_busy(switch: Switch, phone: MakePhone) -> None:
    caller = await phone("caller")
    buyer = await phone("buyer", answer="reject")
    await switch.trunk("in", f"127.0.0.1:{caller.port}", "127.0.0.1", context="pair")
    await switch.trunk("out", f"127.0.0.1:{buyer.port}")
    await caller.dial(f"sip:+15550100@{switch.sip}")
    assert (await caller.wait("CALL_CLOSED")).text == "486 Busy Here"


@pytest.mark.parametrize(("code", "told"), [(404, "404"), (503, "503"), (480, "480")])
async def test_the_cause_of_a_refusal_is_passed_on(switch: Switch, phone: MakePhone, code: int, told: str) -> None:
    caller = await phone("caller")
    (port,) = free_ports(1)
    await switch.trunk("in", f"127.0.0.1:{caller.port}", "127.0.0.1", context="pair")
    await switch.trunk("out", f"127.0.0.1:{port}")
    async with Refuser(port, code) as carrier:
        await caller.dial(f"sip:+15550100@{switch.sip}")
        assert (await caller.wait("CALL_CLOSED")).text.startswith(told)
    assert carrier.calls == 1


async def test_an_unknown_address_is_refused(switch: Switch, phone: MakePhone) -> None:
    caller = await phone("caller")
    await switch.trunk("in", f"127.0.0.1:{caller.port}", "192.0.2.1")
    await caller.dial(f"sip:+15550100@{switch.sip}")
    assert (await caller.wait("CALL_CLOSED", "CALL_ESTABLISHED")).text == "401 Unauthorized"


async def test_the_name_of_a_trunk_opens_nothing(switch: Switch, phone: MakePhone) -> None:
    """Even where the trunk itself does not say `identify_by = ip`."""
    caller = await phone("in")
    await switch.trunk("in", f"127.0.0.1:{caller.port}", "192.0.2.1", identify_by="username,ip")
    await caller.dial(f"sip:+15550100@{switch.sip}")
    assert (await caller.wait("CALL_CLOSED", "CALL_ESTABLISHED")).text == "401 Unauthorized"


async def test_a_phone_registers_and_can_be_called(switch: Switch, phone: MakePhone) -> None:
    await switch.asterisk.command("module load res_pjsip_endpoint_identifier_user.so")
    await switch.push("auth", "agent", {"auth_type": "userpass", "username": "agent", "password": "s3cret"})
    await switch.push("aor", "agent", {"max_contacts": "1"})
    fields = {"context": "dcx-phones", "allow": "!all,ulaw", "callerid": "", "aors": "agent", "auth": "agent"}
    await switch.push("endpoint", "agent", fields)
    try:
        agent = await phone("agent", answer="auto", registration=Registration(switch.sip, "agent", "s3cret"))
        await switch.ask(
            "POST", "channels", endpoint="PJSIP/agent", extension="x", context="pair", callerId="+15550100"
        )
        assert "+15550100" in (await agent.wait("CALL_INCOMING", "CALL_ESTABLISHED")).peer
        await agent.stop()
    finally:
        await switch.drop("agent")
        await switch.asterisk.command("module unload res_pjsip_endpoint_identifier_user.so")
