"""Prompts that are tones, and what a party heard told as a list of tones."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dcx_ari.media.tones import amplitude, read_wav, sine, write_wav

LOUD = 1000
"""A tone that was sent has an amplitude of 8000, Asterisk's own ringback 2000 to 4000."""

_WINDOW_S = 0.1  # tones of a multiple of 10 Hz do not leak into one another
_TONE = re.compile(r"tone (\d+) for ([\d.]+)")

Argv = Callable[..., Sequence[str]]


def tone_voice(speech: Argv, said: list[str]) -> Argv:
    """A speech engine that speaks "tone 1300 for 2.5" as a tone of 1300 Hz and 2.5 s, anything else as `speech`."""

    def argv(*args: str) -> Sequence[str]:
        text = Path(args[args.index("-f") + 1]).read_text(encoding="utf-8")
        said.append(text.strip())
        wanted = _TONE.match(text)
        if wanted is None:
            return speech(*args)
        write_wav(Path(args[args.index("-o") + 1]), sine(float(wanted[1]), float(wanted[2])))
        return ("true",)

    return argv


def spans(path: Path | None, hz: float, channel: int = 0) -> list[tuple[float, float]]:
    """From when to when (seconds of the recording) a tone was heard. Pauses up to 0.3 s do not count."""
    if path is None:
        return []
    found: list[tuple[float, float]] = []
    for number, level in enumerate(_levels(path, hz, channel)):
        at = number * _WINDOW_S
        if level < LOUD:
            continue
        if found and at - found[-1][1] < 0.35:
            found[-1] = (found[-1][0], at + _WINDOW_S)
        else:
            found.append((at, at + _WINDOW_S))
    return found


def seconds(path: Path | None, hz: float, channel: int = 0) -> float:
    """For how long a tone was heard in all."""
    return sum(end - begin for begin, end in spans(path, hz, channel))


def lately(path: Path | None, hz: float) -> float:
    """For how much of the last second of a recording (that may still be growing) a tone was heard."""
    return 0.0 if path is None else _WINDOW_S * sum(level >= LOUD for level in _levels(path, hz, 0, last=10))


def order(path: Path | None, tones: Mapping[str, float], channel: int = 0) -> list[str]:
    """The names of `tones` in the order in which they began to be heard; a tone that comes again after another
    is named again.
    """
    starts = sorted((begin, name) for name, hz in tones.items() for begin, _ in spans(path, hz, channel))
    names = [name for _, name in starts]
    return [name for number, name in enumerate(names) if number == 0 or names[number - 1] != name]


def loudest(path: Path, channel: int = 0) -> int:
    """The greatest sample."""
    samples, _ = read_wav(path, channel)
    return max(map(abs, samples), default=0)


def _levels(path: Path, hz: float, channel: int, last: int = 0) -> list[float]:
    samples, rate = read_wav(path, channel)
    step = round(rate * _WINDOW_S)
    samples = samples[-last * step :]
    return [amplitude(samples[at : at + step], rate, hz) for at in range(0, len(samples) - step + 1, step)]
