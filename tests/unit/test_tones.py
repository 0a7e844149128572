"""Tones: what is written is found again, and nothing else is."""

from __future__ import annotations

import array
import wave
from pathlib import Path

import pytest

from dcx_ari.media.tones import RATE, amplitude, chord, heard, read_wav, sine, write_wav

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("hz", [440, 700, 1100, 3000])
def test_a_tone_is_found_with_its_amplitude_and_no_other(hz: int) -> None:
    tone = sine(hz, 1.0, amplitude=8000)
    assert len(tone) == RATE
    assert amplitude(tone, RATE, hz) == pytest.approx(8000, rel=0.02)
    for other in {440, 700, 1100, 3000} - {hz}:
        assert amplitude(tone, RATE, other) < 80


def test_silence_and_nothing_have_no_tone() -> None:
    assert amplitude(array.array("h", bytes(1600)), RATE, 440) == 0
    assert amplitude([], RATE, 440) == 0


def test_a_chord_holds_each_of_its_tones_and_is_clipped_when_too_loud() -> None:
    both = chord((400, 800), 0.5, amplitude=5000)
    assert amplitude(both, RATE, 400) == pytest.approx(5000, rel=0.03)
    assert amplitude(both, RATE, 800) == pytest.approx(5000, rel=0.03)
    loud = chord((400, 400), 0.5, amplitude=30000)
    assert (max(loud), min(loud)) == (32767, -32768)


def test_edges_are_faded() -> None:
    tone = sine(400, 0.5, amplitude=8000)
    assert max(map(abs, tone[:10])) < 2500
    assert max(map(abs, tone[-10:])) < 2500


def test_times_of_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, sine(440, 1.0) + sine(700, 1.0))
    assert heard(path, 440, 0, 1) > 7000
    assert heard(path, 440, 1) < 100
    assert heard(path, 700, -1) > 7000
    assert heard(path, 700, 0, 1) < 100
    assert heard(path, 700, 5) == 0


def test_a_slow_clock_does_not_hide_a_tone(tmp_path: Path) -> None:
    """Over the whole file phases of jumps would cancel out; over a quarter second they do not."""
    path = tmp_path / "jumps.wav"
    piece = sine(440, 0.26)
    write_wav(path, (piece + array.array("h", (-value for value in piece))) * 4)
    assert heard(path, 440) > 5000


def test_one_channel_of_a_stereo_file(tmp_path: Path) -> None:
    left, right = sine(440, 0.5), sine(700, 0.5)
    mixed = array.array("h", (value for pair in zip(left, right, strict=True) for value in pair))
    with wave.open(str(tmp_path / "s.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(mixed.tobytes())
    samples, rate = read_wav(tmp_path / "s.wav", channel=1)
    assert (samples, rate) == (right, RATE)
    assert heard(tmp_path / "s.wav", 440, channel=0) > 7000
    assert heard(tmp_path / "s.wav", 440, channel=1) < 100


@pytest.mark.parametrize("size", [0, 100])
def test_a_file_still_being_written_is_read_as_far_as_it_is(tmp_path: Path, size: int) -> None:
    path = tmp_path / "live.wav"
    write_wav(path, sine(440, 0.5))
    data = bytearray(path.read_bytes())
    data[40:44] = size.to_bytes(4, "little")
    path.write_bytes(bytes(data) + b"\x01")  # and half a sample
    samples, _ = read_wav(path)
    assert len(samples) == (4000 if size == 0 else 50)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"not a wav file at all, not at all"])
def test_what_is_no_recording_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ValueError, match="x"):
        read_wav(tmp_path / "x")
