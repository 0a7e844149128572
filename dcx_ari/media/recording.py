"""Stereo recordings: two mono files by MixMonitor, one interleaved file when the talk is over.

MixMonitor writes what the caller's channel receives (the caller) and what it sends (the buyer) to two files
that it keeps in step with silence. Why not two snoops: docs/design.md has the figures.
"""

from __future__ import annotations

import array
import asyncio
import hashlib
import logging
import os
import sys
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dcx_ari.ari.errors import AriError
from dcx_ari.call.ports import Journal
from dcx_ari.call.tasks import Spawner

log = logging.getLogger(__name__)

_INCOMPLETE_WAITS_S = (0.1, 0.4, 1.5)
_HEADER_BYTES = 44  # of the WAV files that Asterisk writes
_FRAMES = 64_000  # per step of interleaving: 8 s, so that memory does not grow with the length of a call


class Monitor(Protocol):
    """The three AMI actions that recording needs."""

    async def mix_monitor(self, channel: str, receive: str, transmit: str) -> str: ...

    async def stop(self, channel: str, monitor: str) -> None: ...

    async def mute(self, channel: str, on: bool) -> None: ...


@dataclass(slots=True)
class _Active:
    call_id: str
    channel_id: str
    monitor_id: str
    started_at: int
    pauses: list[list[int | None]]


@dataclass(frozen=True, slots=True)
class Made:
    """A finished file: bytes, duration in ms, SHA-256 in hex."""

    size_bytes: int
    duration_ms: int
    sha256: str


class StereoRecorder:
    """Implements the `Recorder` port. `scratch` is written by Asterisk, `home`/recordings by us."""

    def __init__(self, monitor: Monitor, journal: Journal, scratch: Path, home: Path) -> None:
        self._monitor = monitor
        self._journal = journal
        self._scratch = scratch
        self._home = home
        self._active: dict[str, _Active] = {}
        self._finishing: set[str] = set()
        self._spawner = Spawner()

    async def start(self, call_id: str, recording_id: str, channel_id: str, at_ms: int) -> None:
        receive, transmit = self._parts(recording_id)
        try:
            monitor_id = await self._monitor.mix_monitor(channel_id, str(receive), str(transmit))
        except (AriError, OSError) as error:
            # No recording is a fault to report, not a reason to part two people.
            log.error("cannot record: %s", error, extra={"call": call_id})
            self._journal.recording(call_id, recording_id, state="failed", started_at=at_ms, error=str(error))
            return
        self._active[recording_id] = _Active(call_id, channel_id, monitor_id, at_ms, [])
        self._journal.recording(call_id, recording_id, state="recording", started_at=at_ms, channels=2)

    def resume(self, call_id: str, recording_id: str, channel_id: str, started_at: int) -> None:
        if recording_id not in self._active:
            self._active[recording_id] = _Active(call_id, channel_id, "", started_at, [])

    async def pause(self, recording_id: str, paused: bool, at_ms: int) -> None:
        """Silence both sides, or go on; the file keeps its timing. Nothing happens if it is so already."""
        active = self._active.get(recording_id)
        if active is None or paused == (bool(active.pauses) and active.pauses[-1][1] is None):
            return
        await self._monitor.mute(active.channel_id, paused)
        if paused:
            active.pauses.append([at_ms - active.started_at, None])
        else:
            active.pauses[-1][1] = at_ms - active.started_at
        self._journal.recording(active.call_id, recording_id, pauses=active.pauses)

    async def stop(self, recording_id: str, at_ms: int) -> None:
        active = self._active.pop(recording_id, None)
        if active is None:
            return
        try:
            await self._monitor.stop(active.channel_id, active.monitor_id)
        except (AriError, OSError) as error:
            # Usual when the caller hung up: the channel has gone, and its monitor with it.
            log.debug("stop of %s: %s", recording_id, error)
        self._journal.recording(active.call_id, recording_id, state="processing", ended_at=at_ms)
        self.finish(active.call_id, recording_id)

    def finish(self, call_id: str, recording_id: str) -> None:
        """Make the file of a recording that is over. Also for one of a process that did not come to it."""
        if recording_id not in self._finishing:
            self._finishing.add(recording_id)
            self._spawner.spawn(self._finish(call_id, recording_id), f"recording {recording_id}")

    async def drain(self, grace_s: float) -> None:
        await self._spawner.finish(grace_s)

    async def _finish(self, call_id: str, recording_id: str) -> None:
        receive, transmit = self._parts(recording_id)
        relative = recording_path(recording_id)
        try:
            made = await self._make(receive, transmit, self._home / relative)
        except (OSError, EOFError, wave.Error) as error:
            log.error("recording %s failed: %s", recording_id, error, extra={"call": call_id})
            self._journal.recording(call_id, recording_id, state="failed", error=str(error))
            return
        finally:
            self._finishing.discard(recording_id)
        self._journal.recording(
            call_id,
            recording_id,
            state="ready",
            path=str(relative),
            size_bytes=made.size_bytes,
            duration_ms=made.duration_ms,
            sha256=made.sha256,
        )
        receive.unlink(missing_ok=True)
        transmit.unlink(missing_ok=True)

    async def _make(self, receive: Path, transmit: Path, target: Path) -> Made:
        """Asterisk completes the files of a channel that hung up a moment after it says so."""
        if (made := await asyncio.to_thread(_made_before, receive, transmit, target)) is not None:
            return made
        for wait_s in _INCOMPLETE_WAITS_S:
            try:
                return await asyncio.to_thread(make_stereo, receive, transmit, target)
            except (EOFError, FileNotFoundError, wave.Error):
                await asyncio.sleep(wait_s)
        # Nobody completes them any more: Asterisk died while it wrote.
        await asyncio.to_thread(mend, receive)
        await asyncio.to_thread(mend, transmit)
        return await asyncio.to_thread(make_stereo, receive, transmit, target)

    def _parts(self, recording_id: str) -> tuple[Path, Path]:
        return self._scratch / f"{recording_id}-rx.wav", self._scratch / f"{recording_id}-tx.wav"


def recording_path(recording_id: str) -> Path:
    """Where a recording is kept below the home: spread over folders by the first letters of the call's id."""
    return Path("recordings", recording_id[:6], f"{recording_id}.wav")


def make_stereo(left: Path, right: Path, target: Path) -> Made:
    """Interleave two 16-bit mono WAV files (the shorter is padded with silence) and hash the result.

    The target appears whole or not at all. Raises OSError, `wave.Error`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    try:
        with wave.open(str(left)) as lefts, wave.open(str(right)) as rights:
            for path, side in ((left, lefts), (right, rights)):
                if path.stat().st_size > _HEADER_BYTES + 2 * side.getnframes() + 1:
                    raise EOFError(f"{path.name}: its header does not know of all of its sound yet")
            _interleave(lefts, rights, part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        made = describe(part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return made


def _made_before(receive: Path, transmit: Path, target: Path) -> Made | None:
    """What somebody made who was killed before his row was written: the sides go last."""
    return describe(target) if target.exists() and not (receive.exists() and transmit.exists()) else None


def describe(path: Path) -> Made:
    """A WAV file's figures. Raises OSError, `wave.Error`."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with wave.open(str(path)) as sound:
        duration_ms = sound.getnframes() * 1000 // sound.getframerate()
    return Made(size_bytes=path.stat().st_size, duration_ms=duration_ms, sha256=digest)


def mend(path: Path) -> None:
    """Write the sizes that the header of an unfinished WAV file lacks. Raises OSError."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        head = file.read(_HEADER_BYTES)
        if len(head) == _HEADER_BYTES and head[:4] == b"RIFF" and head[36:40] == b"data":
            file.seek(4)
            file.write((size - 8).to_bytes(4, "little"))
            file.seek(40)
            file.write((size - _HEADER_BYTES).to_bytes(4, "little"))


def _interleave(lefts: wave.Wave_read, rights: wave.Wave_read, part: Path) -> None:
    for side in (lefts, rights):
        if side.getsampwidth() != 2 or side.getnchannels() != 1:
            raise wave.Error("expected 16-bit mono")
    if lefts.getframerate() != rights.getframerate():
        raise wave.Error("the two sides differ in sample rate")
    with wave.open(str(part), "wb") as stereo:
        stereo.setnchannels(2)
        stereo.setsampwidth(2)
        stereo.setframerate(lefts.getframerate())
        while True:
            left, right = _samples(lefts.readframes(_FRAMES)), _samples(rights.readframes(_FRAMES))
            length = max(len(left), len(right))
            if length == 0:
                return
            both = array.array("h", bytes(4 * length))
            both[0 : 2 * len(left) : 2] = left
            both[1 : 2 * len(right) : 2] = right
            if sys.byteorder == "big":
                both.byteswap()
            stereo.writeframesraw(both.tobytes())


def _samples(raw: bytes) -> array.array[int]:
    samples = array.array("h")
    samples.frombytes(raw)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples
