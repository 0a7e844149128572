"""A small piece of call control to be put on trial: on the fake, on the real Asterisk, on a tape of either."""

import json
from typing import Any

import pytest

from dcx_ari.ari.errors import EndpointUnavailable
from dcx_ari.ari.resources import Ari
from dcx_ari.ari.transport import Transport
from tests.contract.world import LONG


async def answer_and_connect(transport: Transport, call_id: str, buyer: str) -> list[str]:
    """Answers a call, plays a menu, waits for a digit, connects `buyer` until the caller goes; the events seen."""
    ari, seen = Ari(transport), []
    caller = ""
    async for session in transport.sessions():
        async for raw in session:
            event: dict[str, Any] = json.loads(raw)
            subject = event.get("channel", event.get("peer", event.get("playback", {}))).get("id", "")
            seen.append(f"{event['type']} {subject.replace(call_id, '…')}")
            match event["type"]:
                case "StasisStart" if not caller:
                    caller = subject
                    await ari.channels.answer(caller)
                    await ari.channels.play_with_id(caller, f"{call_id}.menu", media=LONG)
                case "ChannelDtmfReceived":
                    await ari.playbacks.stop(f"{call_id}.menu")
                    with pytest.raises(EndpointUnavailable):
                        await ari.channels.create(
                            endpoint="PJSIP/nobody-there", app="dcx-0", channel_id=f"{call_id}.leg1"
                        )
                    await ari.channels.create(endpoint=buyer, app="dcx-0", channel_id=f"{call_id}.leg2")
                case "StasisStart":
                    await ari.channels.dial(subject, timeout_s=30)
                case "Dial" if event["dialstatus"] == "ANSWER":
                    await ari.bridges.create_with_id(f"{call_id}.bridge1", type="mixing")
                    await ari.bridges.add_channel(f"{call_id}.bridge1", channel=[caller, subject])
                case "StasisEnd" if subject == caller:
                    await ari.channels.hangup(f"{call_id}.leg2")
                case "ChannelDestroyed":
                    await ari.bridges.destroy(f"{call_id}.bridge1")
                    return seen
    return seen
