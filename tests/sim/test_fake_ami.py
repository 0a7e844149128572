"""MixMonitor on the fake: what is recorded, and the files."""

import asyncio
import wave
from pathlib import Path

import pytest

from dcx_ari.ari.errors import Gone, Unreachable
from dcx_ari.testing import FakeAmi, FakeAsterisk
from tests.sim.kit import connected

pytestmark = pytest.mark.sim


async def test_a_monitor_runs_until_it_is_stopped(fake: FakeAsterisk, tmp_path: Path) -> None:
    ami = FakeAmi(fake, tmp_path)
    async with connected(fake) as engine:
        caller = fake.call()
        await engine.event("StasisStart")
        monitor = await ami.mix_monitor(caller.channel.id, "a/x-rx.wav", "a/x-tx.wav")
        await asyncio.sleep(10)
        await ami.mute(caller.channel.id, True)
        await asyncio.sleep(5)
        await ami.mute(caller.channel.id, False)
        await asyncio.sleep(5)
        await ami.stop(caller.channel.id, monitor)
    (kept,) = ami.monitors
    assert kept.ended is not None
    assert kept.ended - kept.started == 20
    ((start, end),) = kept.muted
    assert end is not None
    assert end - start == 5
    for name in ("x-rx.wav", "x-tx.wav"):
        with wave.open(str(tmp_path / "a" / name)) as sound:
            assert sound.getnframes() == 20 * 8000


async def test_a_monitor_ends_with_its_channel(fake: FakeAsterisk) -> None:
    ami = FakeAmi(fake)
    async with connected(fake) as engine:
        caller = fake.call()
        await engine.event("StasisStart")
        await ami.mix_monitor(caller.channel.name, "rx.wav", "tx.wav")
        caller.hang_up(after=3)
        await caller.until_ended()
        assert ami.monitors[0].ended == caller.ended_at
        with pytest.raises(Gone):
            await ami.mix_monitor(caller.channel.id, "rx.wav", "tx.wav")


async def test_a_monitor_keeps_a_bridge_from_hiding_digits(fake: FakeAsterisk) -> None:
    ami = FakeAmi(fake)
    async with connected(fake) as engine:
        one, two = fake.call(), fake.call()
        for caller in (one, two):
            await engine.event("StasisStart", caller.channel.id)
        await engine.ari.bridges.create_with_id("b1", type="mixing")
        await engine.ari.bridges.add_channel("b1", channel=[one.channel.id, two.channel.id])
        monitor = await ami.mix_monitor(one.channel.id, "rx.wav", "tx.wav")
        await one.press("1")
        await ami.stop(one.channel.id, monitor)
        await one.press("2")
        await asyncio.sleep(1)
    told = [event["digit"] for event in engine.events if event["type"] == "ChannelDtmfReceived"]
    assert told == ["1"]
    assert two.digits == ["1", "2"]


async def test_the_manager_goes_with_asterisk(fake: FakeAsterisk) -> None:
    ami = FakeAmi(fake)
    await ami.ping()
    fake.stop()
    with pytest.raises(Unreachable):
        await ami.ping()
