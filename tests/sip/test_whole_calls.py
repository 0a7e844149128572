"""Whole calls: who hears whom, what is recorded and what the call's row says."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest

from dcx_ari.clock import now_ms
from dcx_ari.decide.decision import Decision
from dcx_ari.media.tones import read_wav
from dcx_asterisk.phone import Phone
from dcx_asterisk.ports import free_ports
from tests.sip.device import Device
from tests.sip.exchange import GREETED, GREETING, MENU, RINGBACK, WHISPER, Exchange
from tests.sip.parties import CALLER_HZ, until
from tests.sip.sounds import order, seconds, spans

pytestmark = pytest.mark.sip

BUYER_HZ = 700
HEARD = {"greeting": GREETING, "menu": MENU, "whisper": WHISPER, "ringback": RINGBACK}


async def both_hear(x: Exchange, caller: Phone, buyer: Phone, buyer_hz: float = BUYER_HZ) -> None:
    await asyncio.gather(x.hear(caller, buyer_hz), x.hear(buyer, CALLER_HZ))


async def test_a_whole_call_from_greeting_to_bill(x: Exchange) -> None:
    (phone,) = await x.phones(acme=BUYER_HZ)
    caller = await x.caller()
    number = await x.campaign(flow=GREETED, record=True)
    rates = [{"prefix": "1", "cents_per_minute_x100": 6000, "minimum_s": 6, "increment_s": 6}]
    trunk = await x.add("trunks", name="out", host="127.0.0.1", port=phone.port, rates=rates)
    rules = [{"kind": "duration", "threshold_s": 1, "timer_start": "bridge"}]
    whisper = f"tone {WHISPER} for 1.0 from {{{{source}}}}"
    buyer_id = await x.buyer(
        "Acme", phone, endpoint_value="+15550101001", trunk_id=trunk, whisper=whisper, conversion_rules=rules
    )

    call = await x.call(caller, number)
    await x.hear(caller, MENU)
    await caller.digits("1")
    ringing = await phone.wait("CALL_INCOMING")
    assert caller.name in ringing.peer
    await x.hear(caller, RINGBACK)
    await phone.accept()
    await x.stage(call, "talking")
    await both_hear(x, caller, phone)
    await asyncio.sleep(1.5)
    await phone.hangup()
    await caller.wait("CALL_CLOSED")
    (row,) = await x.over()

    everything = {**HEARD, "buyer": BUYER_HZ, "caller": CALLER_HZ}
    assert order(caller.heard, everything) == ["greeting", "menu", "ringback", "buyer"]
    assert order(phone.heard, everything) == ["whisper", "caller"]
    assert seconds(caller.heard, MENU) < 5  # of 8: the digit cut it short
    assert f"tone {WHISPER} for 1.0 from Radio" in x.said

    assert (row["status"], row["failure_reason"], row["ended_by"]) == ("COMPLETED", None, "buyer")
    assert (row["caller"], row["dialled"], row["caller_state"]) == ("+12125550123", number, "NY")
    assert (row["buyer_id"], row["traffic_source_id"]) == (buyer_id, x.source_id)
    assert (row["revenue_cents"], row["payout_cents"], row["cost_cents"]) == (1000, 300, 6)
    assert row["started_at"] <= row["answered_at"] < row["connected_at"] < row["ended_at"]
    assert 1500 <= row["talk_ms"] <= row["ended_at"] - row["connected_at"] + 100
    assert [entry.id for entry in Decision.from_json(row["decision"]).ranked] == [buyer_id]
    story = [stage for stage in await x.stages(row["id"]) if stage in set(STORY)]
    assert story == STORY
    (leg,) = await x.query("SELECT * FROM legs")
    assert leg["dialled_at"] <= leg["ringing_at"] <= leg["answered_at"] < leg["accepted_at"] <= leg["bridged_at"]
    assert (leg["result"], leg["endpoint"]) == ("answered", f"PJSIP/+15550101001@trunk-{trunk}")

    (recording,) = await x.query("SELECT * FROM recordings")
    path = x.settings.home / recording["path"]
    assert (recording["state"], recording["channels"]) == ("ready", 2)
    assert recording["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert recording["duration_ms"] == pytest.approx(row["talk_ms"], abs=400)
    assert order(path, everything, channel=0) == ["caller"]
    assert order(path, everything, channel=1) == ["buyer"]


STORY = ["answer", "play", "menu", "route", "ringing", "dialling", "whispering", "talking", "converted"]


async def test_a_paused_recording_is_silent_and_keeps_its_time(x: Exchange) -> None:
    caller, (phone,) = await x.caller(), await x.phones(acme=(BUYER_HZ, "auto"))
    await x.campaign(record=True)
    await x.buyer("Acme", phone)
    call = await x.call(caller)
    await x.stage(call, "talking")
    await both_hear(x, caller, phone)
    recording_id = call.recording_id
    assert recording_id is not None
    await asyncio.sleep(0.7)
    await x.engine.recorder.pause(recording_id, True, now_ms())
    await asyncio.sleep(1.2)
    await x.engine.recorder.pause(recording_id, False, now_ms())
    await asyncio.sleep(0.8)
    await caller.hangup()
    (row,) = await x.over()
    (recording,) = await x.query("SELECT * FROM recordings")
    path = x.settings.home / recording["path"]
    ((begin_ms, end_ms),) = json.loads(recording["pauses"])
    for channel, hz in ((0, CALLER_HZ), (1, BUYER_HZ)):
        before, after = spans(path, hz, channel)
        assert before[1] == pytest.approx(begin_ms / 1000, abs=0.3)
        assert after[0] == pytest.approx(end_ms / 1000, abs=0.3)
        samples, rate = read_wav(path, channel)
        assert max(samples[round((before[1] + 0.1) * rate) : round((after[0] - 0.1) * rate)]) == 0
    assert recording["duration_ms"] == pytest.approx(row["talk_ms"], abs=400)
    assert row["ended_by"] == "caller"


async def test_digits_of_a_talking_buyer_are_seen_and_pass_on(x: Exchange) -> None:
    caller, (phone,) = await x.caller(), await x.phones(acme=(BUYER_HZ, "auto"))
    rules = [{"kind": "digit", "digit": "5"}]
    await x.buyer("Acme", phone, conversion_rules=rules)
    call = await x.call(caller)
    await x.stage(call, "talking")
    await both_hear(x, caller, phone)
    await phone.digits("95")
    (leg,) = call.legs.values()
    await until(lambda: list(leg.digits) == ["9", "5"], "the engine sees the buyer's digits")
    assert [(await caller.wait("CALL_DTMF_START")).text for _ in "95"] == ["9", "5"]
    await caller.digits("7")
    await until(lambda: list(call.caller.digits) == ["7"], "the engine sees the caller's digit")
    assert (await phone.wait("CALL_DTMF_START")).text == "7"
    await both_hear(x, caller, phone)
    await caller.hangup()
    (row,) = await x.over()
    assert (row["converted"], row["revenue_cents"]) == (1, 1000)


async def test_early_media_of_a_buyer_reaches_the_caller(x: Exchange) -> None:
    caller, (port,) = await x.caller(), free_ports(1, spacing=4)
    await x.campaign(flow=ANSWERED, ring_tone="early_media")
    await x.buyer("Singer", port)
    async with Device(port, 183, tone_hz=BUYER_HZ) as device:
        await x.call(caller)
        await x.hear(caller, BUYER_HZ)
        await caller.hangup()
        await until(lambda: "CANCEL" in device.requests, "the buyer is told")
    assert order(caller.heard, {**HEARD, "buyer": BUYER_HZ}) == ["buyer"]
    (row,) = await x.over()
    assert (row["status"], row["failure_reason"]) == ("ABANDONED", "caller_hung_up")


async def test_with_ringback_early_media_stays_outside(x: Exchange) -> None:
    caller, (port,) = await x.caller(), free_ports(1, spacing=4)
    await x.campaign(flow=ANSWERED)
    await x.buyer("Singer", port)
    async with Device(port, 183, tone_hz=BUYER_HZ):
        await x.call(caller)
        await x.hear(caller, RINGBACK)
        assert seconds(caller.heard, 440) > 0
        await caller.hangup()
        await x.over()
    assert order(caller.heard, {**HEARD, "buyer": BUYER_HZ}) == ["ringback"]


ANSWERED = {"start": "a", "nodes": {"a": {"type": "answer", "next": "r"}, "r": {"type": "route"}}}


async def test_hold_music_while_ringing_and_the_buyer_after_it(x: Exchange) -> None:
    caller, (phone,) = await x.caller(), await x.phones(acme=BUYER_HZ)
    await x.campaign(ring_tone="music")
    await x.buyer("Acme", phone)
    call = await x.call(caller)
    await phone.wait("CALL_INCOMING")
    await until(lambda: max(caller.hears(hz, -1) for hz in (220, 247, 196)) > 100, "the caller hears music")
    await phone.accept()
    await x.stage(call, "talking")
    await both_hear(x, caller, phone)
    await phone.hangup()
    (row,) = await x.over()
    assert row["status"] == "COMPLETED"


async def test_a_changed_trunk_is_used_by_the_next_call(x: Exchange) -> None:
    caller, (old, new) = await x.caller(), await x.phones(old=(BUYER_HZ, "auto"), new=(1000, "auto"))
    trunk = await x.add("trunks", name="out", host="127.0.0.1", port=old.port)
    await x.trunk_leads_to(trunk, old.port)
    await x.buyer("Acme", old, endpoint_value="+15550101001", trunk_id=trunk)
    await x.call(caller)
    await both_hear(x, caller, old)
    await x.change("trunks", "out", port=new.port)
    await x.trunk_leads_to(trunk, new.port)
    await asyncio.sleep(0.6)
    await both_hear(x, caller, old)  # the talk goes on
    await caller.hangup()
    await x.over()
    await x.call(caller)
    await both_hear(x, caller, new, 1000)
    await caller.hangup()
    first, second = await x.over()
    assert [row["status"] for row in (first, second)] == ["COMPLETED"] * 2
