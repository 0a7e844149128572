"""MixMonitor through the manager, on channels that are in Stasis: what docs/design.md says of recording."""

from __future__ import annotations

import array
import asyncio
import math
import wave
from pathlib import Path

import pytest

from dcx_ari.ari.ami import AmiClient
from dcx_ari.ari.errors import AccessDenied, Gone
from dcx_asterisk.process import Asterisk
from tests.ari.line import Line

pytestmark = pytest.mark.ari

RATE = 8000


def loudness(path: Path, piece_ms: int = 100) -> list[float]:
    """Root mean square of each piece of a 16-bit mono file."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        samples = array.array("h", file.readframes(file.getnframes()))
    piece = RATE * piece_ms // 1000
    return [
        math.sqrt(sum(sample * sample for sample in samples[start : start + piece]) / piece)
        for start in range(0, len(samples) - piece + 1, piece)
    ]


async def bridged(line: Line, call: str) -> str:
    """The channel that speaks a tone to an echo."""
    await line.leg(f"{call}.said", "tone")
    await line.leg(f"{call}.echo", "echo")
    await line.ari.bridges.create(bridge_id=f"{call}.bridge", type="mixing,dtmf_events")
    await line.ari.bridges.add_channel(f"{call}.bridge", channel=[f"{call}.said", f"{call}.echo"])
    return f"{call}.said"


async def test_both_sides_in_files_of_equal_length_complete_at_stop(line: Line, ami: AmiClient, tmp_path: Path) -> None:
    said = await bridged(line, "muted")
    receive, transmit = tmp_path / "new dir" / "a-rx.wav", tmp_path / "new dir" / "a-tx.wav"
    monitor = await ami.mix_monitor(said, str(receive), str(transmit))
    assert monitor
    await asyncio.sleep(1)
    await ami.mute(said, True)
    await asyncio.sleep(1)
    await ami.mute(said, False)
    await asyncio.sleep(1)
    await ami.stop(said, monitor)
    heard = {path: loudness(path) for path in (receive, transmit)}
    assert len(heard[receive]) == len(heard[transmit])
    # Three seconds, less some start: with Local channels, unlike with RTP, sound needs a while to flow.
    assert 22 <= len(heard[receive]) <= 32
    for pieces in heard.values():
        silent = [index for index, piece in enumerate(pieces) if piece < 10]
        assert 8 <= len(silent) <= 12  # the muted second, in its place
        assert silent == list(range(silent[0], silent[-1] + 1))
        assert pieces[2] > 500
        assert pieces[-2] > 500


async def test_a_hangup_completes_the_files(line: Line, ami: AmiClient, asterisk: Asterisk) -> None:
    said = await bridged(line, "hung")
    await ami.mix_monitor(said, "hung-rx.wav", "hung-tx.wav")
    await asyncio.sleep(1.5)
    await line.ari.channels.hangup(said)
    spool = asterisk.instance.spool / "monitor"
    async with asyncio.timeout(5):
        while True:
            if all((spool / name).stat().st_size > 4000 for name in ("hung-rx.wav", "hung-tx.wav")):
                break
            await asyncio.sleep(0.02)
    assert len(loudness(spool / "hung-rx.wav")) == len(loudness(spool / "hung-tx.wav")) >= 2


async def test_two_monitors_of_one_channel_are_told_apart(line: Line, ami: AmiClient, tmp_path: Path) -> None:
    said = await bridged(line, "two")
    first = await ami.mix_monitor(said, str(tmp_path / "1-rx.wav"), str(tmp_path / "1-tx.wav"))
    second = await ami.mix_monitor(said, str(tmp_path / "2-rx.wav"), str(tmp_path / "2-tx.wav"))
    assert first != second
    await asyncio.sleep(1)
    await ami.stop(said, first)
    await asyncio.sleep(0.5)
    await ami.stop(said, second)
    assert len(loudness(tmp_path / "2-rx.wav")) >= len(loudness(tmp_path / "1-rx.wav")) + 3


async def test_a_channel_that_has_gone_is_gone(ami: AmiClient) -> None:
    with pytest.raises(Gone):
        await ami.mix_monitor("nobody", "a.wav", "b.wav")
    with pytest.raises(Gone):
        await ami.mute("nobody", True)


async def test_a_wrong_secret_is_refused(asterisk: Asterisk) -> None:
    client = AmiClient(asterisk.ami_host, asterisk.ami_port, asterisk.ami_user, "wrong")
    with pytest.raises(AccessDenied):
        await client.ping()
    await client.close()
