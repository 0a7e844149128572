"""Messages that callers leave: from the node to the row, on a fake Asterisk; its files are written by the test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dcx_ari.media.tones import heard, sine, write_wav
from dcx_ari.store.models import Prompt
from dcx_ari.testing.far_end import Answers, Busy
from tests.sim.exchange import Exchange, exchange, killed

pytestmark = pytest.mark.sim

NODE = {"type": "voicemail", "say": "Speak.", "silence_s": 4, "max_s": 30, "email": ["ann@example.com"]}


@pytest.fixture
async def x(tmp_path: Path) -> AsyncIterator[Exchange]:
    async with exchange(tmp_path / "home") as made:
        yield made


async def answering(x: Exchange, **node: Any) -> None:
    document = {"start": "vm", "nodes": {"vm": {**NODE, **node}, "bye": {"type": "hangup", "say": "Bye."}}}
    if "next" not in node and "on" not in node:
        del document["nodes"]["bye"]
    flow = await x.add("flows", name="box", document=document, status="published")
    await x.change("campaigns", x.campaign_id, flow_id=flow)


async def recording(x: Exchange) -> str:
    """The name of the recording that runs."""
    async with asyncio.timeout(60):
        while not (running := [each for each in x.fake.core.recordings.values() if each.state == "recording"]):
            await asyncio.sleep(0.05)
    return str(running[0].name)


def spool(x: Exchange) -> Path:
    folder = x.engine.settings.home.parent / "recording"
    folder.mkdir(exist_ok=True)
    return folder


def speak(x: Exchange, name: str, seconds: float = 2.0) -> Path:
    """What Asterisk would have written: silence, a quiet tone, silence."""
    path = spool(x) / f"{name}.wav"
    quiet = sine(0, 1.0)
    write_wav(path, quiet + sine(900, seconds, amplitude=1000) + quiet if seconds else quiet)
    return path


def dies(x: Exchange) -> None:
    """The process that `killed` leaves behind reaches the disk no more."""
    x.engine.voicemails._spool = Path("/nowhere")


async def rows(x: Exchange) -> list[dict[str, Any]]:
    return await x.query("SELECT * FROM voicemails ORDER BY id")


@pytest.mark.parametrize(("value", "greeting"), [("Leave word.", "Leave word."), (None, "Please leave a message")])
async def test_a_caller_whom_no_buyer_took_leaves_a_message(x: Exchange, value: str | None, greeting: str) -> None:
    forward = {"on": "any", "kind": "forward", "value": "+15125550199"}
    await x.change("campaigns", x.campaign_id, fallbacks=[forward, {"on": "any", "kind": "voicemail", "value": value}])
    await x.buyer("Busy", Busy())
    caller = x.call()
    await caller.hears(greeting)
    speak(x, await recording(x))
    await asyncio.sleep(3)
    caller.hang_up()
    (call,) = await x.over()
    (row,) = await rows(x)
    assert (call["status"], row["audio"], row["campaign_id"]) == ("VOICEMAIL", "ready", x.campaign_id)


async def test_a_message_that_a_fallback_takes_goes_on_in_the_next_process(x: Exchange) -> None:
    await x.change("campaigns", x.campaign_id, fallbacks=[{"on": "any", "kind": "voicemail", "value": "Leave word."}])
    caller = x.call()
    await caller.hears("Leave word.")
    name = await recording(x)
    buyer = await x.buyer("Late", Answers())
    speak(x, name)
    await x.engine.journal.durable()
    dies(x)
    async with killed(x):
        await asyncio.sleep(5)
        assert not buyer.calls  # he is not offered in the middle of his message
        caller.hang_up()
        (call,) = await x.over()
        (row,) = await rows(x)
        assert (call["status"], row["id"], row["audio"]) == ("VOICEMAIL", name, "ready")
        assert [each for each in caller.media if "Leave" in each] == ["sound:said/Leave word."]
        await asyncio.sleep(30)


async def test_a_message_until_hangup(x: Exchange) -> None:
    await answering(x)
    caller = x.call()
    await caller.hears("Speak.")
    name = await recording(x)
    assert [row["audio"] for row in await rows(x)] == ["recording"]  # before anything can die
    source = speak(x, name)
    await asyncio.sleep(3)
    caller.hang_up()
    (call,) = await x.over()
    (row,) = await rows(x)
    assert (call["status"], call["flow_path"]) == ("VOICEMAIL", "vm")
    assert (row["id"], row["audio"], row["state"], row["caller"]) == (name, "ready", "new", call["caller"])
    assert (row["campaign_id"], row["number_id"]) == (x.campaign_id, call["number_id"])
    assert 2000 <= row["duration_ms"] <= 2500  # of 4 s: trimmed
    kept = x.engine.settings.home / row["path"]
    assert heard(kept, 900, 0.3, 1.8) > 3000  # and made as loud as the rest
    assert not source.exists()
    (mail,) = await x.query("SELECT payload FROM outbox WHERE kind = 'email'")
    payload = json.loads(mail["payload"])
    assert payload["to"] == ["ann@example.com"]
    assert payload["attachments"][0]["path"] == row["path"]


async def test_a_digit_ends_it_and_the_flow_goes_on(x: Exchange) -> None:
    await answering(x, next="bye")
    caller = x.call()
    await caller.hears("Speak.")
    speak(x, await recording(x))
    await caller.press("#", after=2)
    await caller.hears("Bye.")
    (call,) = await x.over()
    assert (call["flow_path"], call["status"]) == ("vm:next bye:end", "VOICEMAIL")


@pytest.mark.parametrize("seconds", [None, 0.0])
async def test_nothing_said_is_no_message(x: Exchange, seconds: float | None) -> None:
    """In the greeting (no recording at all), and silence after the tone."""
    await answering(x)
    x.fake.sound("sound:said/Speak.", 10.0)
    caller = x.call()
    await caller.hears("Speak.")
    if seconds is not None:
        speak(x, await recording(x), seconds)
    await asyncio.sleep(2)
    caller.hang_up()
    (call,) = await x.over()
    assert (await rows(x), call["status"]) == ([], "ABANDONED")


async def test_a_full_disk_leaves_a_row_that_says_so(x: Exchange) -> None:
    await answering(x)
    caller = x.call()
    source = speak(x, await recording(x))
    (x.engine.settings.home / "voicemail").write_text("in the way")
    caller.hang_up()
    await x.over()
    (row,) = await rows(x)
    assert (row["audio"], row["path"]) == ("failed", None)
    assert row["error"]
    assert source.exists()  # what was said is not thrown away


async def test_what_was_recorded_when_the_engine_died_is_kept(x: Exchange) -> None:
    await answering(x)
    caller = x.call()
    source = speak(x, await recording(x))
    content = bytearray(source.read_bytes())
    content[4:8] = content[40:44] = bytes(4)  # Asterisk writes the sizes at the end
    source.write_bytes(content)
    await x.engine.journal.durable()
    dies(x)
    async with killed(x):
        caller.hang_up()
        (call,) = await x.over()
        await x.engine.voicemails.collect()
        (row,) = await rows(x)
        assert (row["audio"], 2000 <= row["duration_ms"] <= 2500) == ("ready", True)
        (call,) = await x.over()
        assert call["status"] == "VOICEMAIL"
        await asyncio.sleep(30)  # by then the dead process has given up


async def test_a_caller_goes_on_speaking_while_the_engine_dies(x: Exchange) -> None:
    await answering(x)
    caller = x.call()
    name = await recording(x)
    speak(x, name)
    await x.engine.journal.durable()
    dies(x)
    async with killed(x):
        await asyncio.sleep(3)
        assert [each.name for each in x.fake.core.recordings.values()] == [name]  # not greeted a second time
        caller.hang_up()
        (call,) = await x.over()
        assert [row["audio"] for row in await rows(x)] == ["ready"]
        assert call["status"] == "VOICEMAIL"
        assert [uri for uri in caller.media if "Speak" in uri] == ["sound:said/Speak."]
        await asyncio.sleep(30)


async def test_the_numbers_own_greeting(x: Exchange) -> None:
    path = x.engine.settings.home / "prompts/hello.wav"
    path.parent.mkdir()
    write_wav(path, sine(500, 1.0))
    async with x.engine.database.write() as session:
        session.add(Prompt(name="hello", path="prompts/hello.wav", duration_ms=1000, size_bytes=1, sha256=""))
    await x.change("numbers", 1, voicemail_greeting="hello")
    await answering(x)
    caller = x.call()
    await recording(x)
    caller.hang_up()
    await x.over()
    assert caller.media == [f"sound:{path.with_suffix('')}"]
