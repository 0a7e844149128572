"""Tones: write them, and tell whether they can be heard in a recording.

Samples are 16-bit signed integers (−32768…32767), files are mono PCM WAV. Amplitudes are peak values of the
one sine asked for, in the same unit, so that a tone written with amplitude 8000 is found again as about 8000
(µ-law on the way costs some percent).
"""

from __future__ import annotations

import array
import math
import struct
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

RATE = 8000
_FADE_S = 0.005  # a hard edge clicks, and a click is energy at every frequency


def sine(hz: float, seconds: float, *, amplitude: int = 8000, rate: int = RATE) -> array.array[int]:
    """Samples of one tone, faded at both ends."""
    return chord((hz,), seconds, amplitude=amplitude, rate=rate)


def chord(
    tones: Sequence[float],
    seconds: float,
    *,
    amplitude: int = 8000,
    rate: int = RATE,
    fade_s: float = _FADE_S,
) -> array.array[int]:
    """Samples of several tones together, each of `amplitude`; fades last `fade_s` seconds. Too loud sums are
    clipped."""
    count, fade = round(seconds * rate), max(1, round(fade_s * rate))
    total = [0.0] * count
    for hz in tones:
        # A two-term recurrence (2·cos·x[n−1] − x[n−2]) instead of a sine per sample.
        step = 2 * math.pi * hz / rate
        factor, before, now = 2 * math.cos(step), -math.sin(step), 0.0
        for index in range(count):
            total[index] += now
            before, now = now, factor * now - before
    samples = array.array("h", bytes(2 * count))
    for index, value in enumerate(total):
        edge = min(1.0, (index + 1) / fade, (count - index) / fade)
        samples[index] = max(-32768, min(32767, round(value * amplitude * edge)))
    return samples


def write_wav(path: Path, samples: array.array[int], rate: int = RATE) -> None:
    """Write mono 16-bit PCM."""
    little = samples
    if sys.byteorder == "big":
        little = array.array("h", samples)
        little.byteswap()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(little.tobytes())


def read_wav(path: Path, channel: int = 0) -> tuple[array.array[int], int]:
    """Samples of one channel of a 16-bit PCM file, and its rate. Of a file that is still being written (its
    header then says 0 or less than there is to come): what is there.

    Raises ValueError where it is no such file (yet).
    """
    data = path.read_bytes()
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError(f"{path} is no WAV file")
    at, channels, rate = 12, 0, 0
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8
        if kind == b"fmt ":
            coding, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, at)
            if coding not in (1, 0xFFFE) or bits != 16:
                raise ValueError(f"{path} holds {bits} bits a sample in coding {coding}, not 16 in PCM")
        elif kind == b"data" and channels:
            frame = 2 * channels
            there = min(size or len(data), len(data) - at) // frame * frame
            samples = array.array("h", data[at : at + there])
            if sys.byteorder == "big":
                samples.byteswap()
            return samples[channel::channels], rate
        at += size + size % 2
    raise ValueError(f"{path} holds no samples")


def amplitude(samples: Sequence[int], rate: int, hz: float) -> float:
    """Peak amplitude of the sine at `hz` in the samples (Goertzel 1958: one bin of a Fourier transform)."""
    if not samples:
        return 0.0
    step = 2 * math.pi * hz / rate
    factor, before, now = 2 * math.cos(step), 0.0, 0.0
    for sample in samples:
        before, now = now, sample + factor * now - before
    power = now * now + before * before - factor * now * before
    return 2 * math.sqrt(max(0.0, power)) / len(samples)


def heard(path: Path, hz: float, from_s: float = 0.0, to_s: float | None = None, channel: int = 0) -> float:
    """Mean peak amplitude of `hz` between two times of a recording (seconds from its start; `to_s` None: to
    the end).

    Averaged over windows of a quarter second, because a sender's clock drifts against the recorder's and
    jitter buffers jump: over seconds the phases of one tone would cancel out.
    """
    samples, rate = read_wav(path, channel)
    part = samples[round(from_s * rate) : None if to_s is None else round(to_s * rate)]
    window = rate // 4
    levels = [amplitude(part[at : at + window], rate, hz) for at in range(0, len(part) - window + 1, window)]
    return sum(levels) / len(levels) if levels else amplitude(part, rate, hz)
