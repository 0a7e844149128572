"""Tapes: a call recorded once can be played to the same code again, under other ids."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from dcx_ari.ari.errors import AriError, EndpointUnavailable
from dcx_ari.ari.resources import Ari
from dcx_ari.ari.transport import Transport
from dcx_ari.testing import Answers, FakeAsterisk, virtual_now
from dcx_ari.testing.tape import TapeMismatch, TapePlayer, TapeRecorder, load
from tests.sim.kit import BUYER

pytestmark = pytest.mark.sim


async def answer_and_connect(transport: Transport, call_id: str) -> list[str]:
    """Code on trial: answers a call, plays a menu, waits for a digit, connects a leg until the caller goes."""
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
                    await ari.channels.play_with_id(caller, f"{call_id}.menu", media="sound:menu")
                case "ChannelDtmfReceived":
                    await ari.playbacks.stop(f"{call_id}.menu")
                    with pytest.raises(EndpointUnavailable):
                        await ari.channels.create(endpoint="PJSIP/none", app="dcx-0", channel_id=f"{call_id}.leg1")
                    await ari.channels.create(endpoint=BUYER, app="dcx-0", channel_id=f"{call_id}.leg2")
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


async def record(path: Path) -> list[str]:
    fake = FakeAsterisk()
    fake.sound("sound:menu", 20.0)
    fake.phone(BUYER, Answers(after=3.0))
    recorder = TapeRecorder(fake, path)
    running = asyncio.create_task(answer_and_connect(recorder, "call-one"))
    await asyncio.sleep(0)
    caller = fake.call()
    await caller.press("1", after=5)
    caller.hang_up(after=60)
    seen = await running
    await recorder.close()
    return seen


async def test_a_tape_replays_under_other_ids(tmp_path: Path) -> None:
    recorded = await record(tmp_path / "call.jsonl")
    began = virtual_now()
    player = TapePlayer(load(tmp_path / "call.jsonl"))
    replayed = await answer_and_connect(player, "another")
    await player.finished()
    await player.close()
    assert replayed == recorded
    assert len(replayed) > 15
    assert virtual_now() - began == pytest.approx(65, abs=0.1)
    assert player.ids["call-one.leg2"] == "another.leg2"


async def test_other_requests_than_the_tape_has_are_a_mismatch(tmp_path: Path) -> None:
    await record(tmp_path / "call.jsonl")
    player = TapePlayer(load(tmp_path / "call.jsonl"))
    with pytest.raises(TapeMismatch):
        await Ari(player).channels.start_moh("whoever")


async def test_a_request_that_is_never_made_is_a_mismatch(tmp_path: Path) -> None:
    await record(tmp_path / "call.jsonl")
    player = TapePlayer(load(tmp_path / "call.jsonl"), patience_s=30)

    async def does_nothing() -> None:
        async for session in player.sessions():
            async for _ in session:
                pass

    idle = asyncio.create_task(does_nothing())
    await asyncio.sleep(0)
    with pytest.raises(TapeMismatch, match="answer"):
        await player.finished()
    idle.cancel()


async def test_errors_are_on_the_tape_too(tmp_path: Path) -> None:
    await record(tmp_path / "call.jsonl")
    failed = [entry for entry in load(tmp_path / "call.jsonl") if entry.error]
    assert [(entry.error, entry.status) for entry in failed] == [("EndpointUnavailable", 500)]
    assert issubclass(EndpointUnavailable, AriError)
