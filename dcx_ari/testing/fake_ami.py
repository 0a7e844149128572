"""MixMonitor without Asterisk: the methods of `AmiClient` over a `FakeAsterisk`."""

from __future__ import annotations

import wave
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dcx_ari.ari.errors import BadRequest, Gone, Unreachable
from dcx_ari.testing.channels import Channel
from dcx_ari.testing.fake_asterisk import FakeAsterisk

RATE = 8000


@dataclass(slots=True)
class Monitor:
    """One MixMonitor: its files, and seconds on the loop's clock. `muted` holds (start, end) pairs."""

    id: str
    channel: Channel
    receive: str
    transmit: str
    started: float
    ended: float | None = None
    muted: list[tuple[float, float | None]] = field(default_factory=list)


class FakeAmi:
    """Monitors are listed in `monitors`. With a `spool` the two files are written, silent, at the end."""

    def __init__(self, fake: FakeAsterisk, spool: Path | None = None) -> None:
        self.monitors: list[Monitor] = []
        self._fake = fake
        self._spool = spool

    async def mix_monitor(self, channel: str, receive: str, transmit: str) -> str:
        """See `AmiClient.mix_monitor`."""
        target = self._channel(channel)
        core = self._fake.core
        monitor = Monitor(f"0x{core.serial():x}", target, receive, transmit, core.now)
        self.monitors.append(monitor)
        target.audiohooks += 1
        target.at_end.append(lambda: self._end(monitor))
        return monitor.id

    async def stop(self, channel: str, monitor: str) -> None:
        """See `AmiClient.stop`."""
        target = self._channel(channel)
        for running in self._running(target):
            if running.id == monitor:
                self._end(running)
                return
        raise BadRequest(f"manager StopMixMonitor: no monitor {monitor} on {channel}")

    async def mute(self, channel: str, on: bool, *, direction: str = "both") -> None:
        """See `AmiClient.mute`; the fake does not tell the directions apart."""
        now = self._fake.core.now
        for running in self._running(self._channel(channel)):
            is_muted = bool(running.muted) and running.muted[-1][1] is None
            if on and not is_muted:
                running.muted.append((now, None))
            elif is_muted and not on:
                running.muted[-1] = (running.muted[-1][0], now)

    async def ping(self) -> None:
        self._up()

    async def action(self, name: str, headers: Mapping[str, str]) -> dict[str, str]:
        """Only `Ping` is known."""
        self._up()
        if name != "Ping":
            raise BadRequest(f"manager {name}: unknown to the fake")
        return {"Response": "Success", "Ping": "Pong"}

    async def close(self) -> None: ...

    def _up(self) -> None:
        if not self._fake.up:
            raise Unreachable("manager: connection refused")

    def _channel(self, channel: str) -> Channel:
        """By unique id or name, as the manager takes either."""
        self._up()
        for candidate in self._fake.core.channels.values():
            if channel in (candidate.id, candidate.name):
                return candidate
        raise Gone(f"manager: No such channel {channel}")

    def _running(self, channel: Channel) -> list[Monitor]:
        return [m for m in self.monitors if m.channel is channel and m.ended is None]

    def _end(self, monitor: Monitor) -> None:
        if monitor.ended is not None:
            return
        monitor.ended = self._fake.core.now
        monitor.channel.audiohooks -= 1
        if self._spool is not None:
            frames = round((monitor.ended - monitor.started) * RATE)
            for name in (monitor.receive, monitor.transmit):
                _write_silence(self._spool / name, frames)


def _write_silence(path: Path, frames: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, RATE, frames, "NONE", ""))
        sound.writeframes(bytes(2 * frames))
