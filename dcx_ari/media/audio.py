"""Reading sound files of any kind and writing what Asterisk plays best."""

from __future__ import annotations

import warnings
from pathlib import Path

with warnings.catch_warnings():
    # Its import warns about a missing ffmpeg (WAV needs none) and about audioop (kept alive by audioop-lts).
    warnings.simplefilter("ignore")
    from pydub import AudioSegment


def to_telephone_wav(source: Path, target: Path) -> None:
    """8 kHz, 16 bit, mono: what Asterisk plays without transcoding. Raises OSError for what is no sound."""
    with source.open("rb") as file:  # given a path, pydub leaves its file open
        sound = AudioSegment.from_file(file, format=source.suffix.lstrip(".") or "wav")
    ready = sound.set_frame_rate(8000).set_channels(1).set_sample_width(2)
    ready.export(target, format="wav").close()
