"""Sound that people give us, or leave with us: read whatever format it has, made even, written for Asterisk.

Samples are float32 from -1 to 1, mono, at 8 kHz; levels are dB of full scale (dBFS). Reading is by libsndfile, which
knows WAV (also µ-law, A-law, ADPCM, GSM), AIFF, AU, CAF, FLAC, Ogg (Vorbis, Opus) and MP3 and runs no other program.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

Samples = npt.NDArray[np.float32]

RATE = 8000
LOUDNESS_DB = -19.0
"""RMS of what is not silence, after `even`."""
PEAK = 0.89  # -1 dBFS
FORMATS = "WAV, AIFF, AU, CAF, FLAC, Ogg or MP3"

_KNEE = 0.6  # louder than this is pressed together below PEAK
_MOST_GAIN_DB = 30.0  # a whisper, not the noise of an empty line
_QUIET_DB = -45.0
_FRAME = RATE // 50
_MARGIN_S = 0.2
_MAX_CHANNELS = 8
_RATES = (4_000, 192_000)


class NotSound(ValueError):
    """It cannot be read as sound, or is not what is wanted; the text says why."""


@dataclass(frozen=True, slots=True)
class Made:
    """A finished file: bytes, duration in ms, SHA-256 in hex."""

    size_bytes: int
    duration_ms: int
    sha256: str


def read(path: Path, max_s: float) -> Samples:
    """The sound of a file. Raises NotSound (also where it is longer than `max_s` seconds), OSError.

    It is decoded in pieces of a second and given up as soon as it is too long, whatever its header promises.
    """
    pieces: list[Samples] = []
    with path.open("rb") as raw:
        try:
            with soundfile.SoundFile(raw) as file:
                _check(file.samplerate, file.channels)
                stream = soxr.ResampleStream(file.samplerate, RATE, 1, dtype="float32")
                read_s = 0
                while True:
                    block = file.read(file.samplerate, dtype="float32", always_2d=True)
                    last = len(block) < file.samplerate
                    mono = np.nan_to_num(block.mean(axis=1, dtype=np.float32), nan=0.0, posinf=1.0, neginf=-1.0)
                    pieces.append(stream.resample_chunk(np.clip(mono, -1, 1), last=last))
                    if last:
                        break
                    read_s += 1
                    if read_s > max_s:
                        raise NotSound(f"is longer than {max_s:g} s")
        except (soundfile.SoundFileError, ValueError, RuntimeError, MemoryError) as error:
            if isinstance(error, NotSound):
                raise
            raise NotSound(f"cannot be read as sound: {FORMATS} is wanted") from None
    samples: Samples = np.concatenate(pieces)
    if len(samples) > max_s * RATE:
        raise NotSound(f"is longer than {max_s:g} s")
    return samples


def _check(rate: int, channels: int) -> None:
    if not _RATES[0] <= rate <= _RATES[1]:
        raise NotSound(f"has {rate} samples a second: {_RATES[0]} to {_RATES[1]} can be used")
    if channels > _MAX_CHANNELS:
        raise NotSound(f"has {channels} channels: at most {_MAX_CHANNELS} can be used")


def trim(samples: Samples, quiet_db: float = _QUIET_DB) -> Samples:
    """Without the silence at both ends, but for a fifth of a second. Empty where all of it is silent."""
    loud = np.flatnonzero(_levels(samples) > _linear(quiet_db))
    if not len(loud):
        return samples[:0]
    margin = int(_MARGIN_S * RATE)
    return samples[max(0, int(loud[0]) * _FRAME - margin) : (int(loud[-1]) + 1) * _FRAME + margin]


def even(samples: Samples, loudness_db: float = LOUDNESS_DB) -> Samples:
    """As loud as everything else that callers hear. Peaks are pressed below -1 dBFS, never cut."""
    levels = _levels(samples)
    loud = levels[levels > _linear(_QUIET_DB - 15)]
    if not len(loud):
        return samples
    rms = float(np.sqrt(np.mean(np.square(loud))))
    gain = min(_linear(loudness_db) / rms, _linear(_MOST_GAIN_DB))
    louder = samples * np.float32(gain)
    room = PEAK - _KNEE
    over = np.maximum(np.abs(louder) - _KNEE, 0)
    pressed = np.minimum(np.abs(louder), _KNEE) + room * np.tanh(over / room)
    result: Samples = (np.sign(louder) * pressed).astype(np.float32)
    return result


def write(samples: Samples, target: Path) -> Made:
    """A WAV file of 16 bit, mono, 8 kHz, which Asterisk plays without transcoding; whole or not at all.

    Raises OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("wb") as raw:
            try:
                soundfile.write(raw, samples, RATE, subtype="PCM_16", format="WAV")
            except (soundfile.SoundFileError, RuntimeError) as error:  # its way to say that the disk is full
                raise OSError(f"{target.name} cannot be written: {error}") from None
            raw.flush()
            os.fsync(raw.fileno())
        with part.open("rb") as raw:
            digest = hashlib.file_digest(raw, "sha256").hexdigest()
        size = part.stat().st_size
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return Made(size, len(samples) * 1000 // RATE, digest)


def _levels(samples: Samples) -> npt.NDArray[np.float32]:
    """RMS by frame of 20 ms; the last one is filled up with silence."""
    count = -(-len(samples) // _FRAME)
    frames = np.zeros(count * _FRAME, dtype=np.float32)
    frames[: len(samples)] = samples
    squares: npt.NDArray[np.float32] = np.square(frames.reshape(count, _FRAME)).mean(axis=1)
    return np.sqrt(squares)


def _linear(db: float) -> float:
    return float(10 ** (db / 20))
