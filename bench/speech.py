"""Speech in menus: how often a word that flite speaks into a telephone line is understood, at stated noise.

The whole way that audio takes in a call but for Asterisk: flite's voices, 8 kHz, noise, µ-law, then the engine's own
endpointer and recogniser. Beside it, on the same sound: the same recogniser with the phrases only, and dictation with
the full vocabulary, where a choice counts if its words are in the text.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from bench.table import Row, Section, markdown_table, percentile, ratio
from dcx_ari.call.ports import Heard
from dcx_ari.media.listening import Utterances
from dcx_ari.media.recognise import RATE, Recogniser
from dcx_asterisk.fetch import ensure

Samples = npt.NDArray[np.float32]

VOICES = ("slt", "rms", "awb", "kal")
SNRS = (None, 20, 10)
MENUS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "departments": {
        "1": ("sales",),
        "2": ("support", "customer support"),
        "3": ("billing",),
        "0": ("operator",),
    },
    "insurance": {"1": ("auto insurance", "car"), "2": ("home",), "3": ("health",), "4": ("life insurance", "life")},
    "yes or no": {"1": ("yes",), "2": ("no",)},
}
OTHERS = (
    *("hello", "pizza", "tuesday", "banana", "elephant", "weather", "umbrella", "chicago", "seven", "remember"),
    *("what did you say", "can you repeat that", "my name is john", "speak to a human", "wait a minute", "hold on"),
)
_LEVEL = 0.1  # RMS of what is spoken: -20 dBFS, as loud as a telephone caller
_FLOOR_DB = -65.0  # an empty line
_QUIET_S = 0.6


@dataclass(slots=True)
class Count:
    right: int = 0
    wrong: int = 0
    refused: int = 0
    taken: int = 0  # of what is none of the choices: for one of them
    others: int = 0

    @property
    def said(self) -> int:
        return self.right + self.wrong + self.refused


@dataclass(slots=True)
class Found:
    counts: dict[tuple[str, int | None, str], Count] = field(default_factory=dict)
    ms: list[float] = field(default_factory=list)


def section(quick: bool) -> Section:
    """Every word with every voice at every noise; `quick`: two voices."""
    voices = VOICES[:2] if quick else VOICES
    with tempfile.TemporaryDirectory(prefix="dcx-bench-speech-") as folder:
        words = sorted({p for menu in MENUS.values() for each in menu.values() for p in each} | set(OTHERS))
        spoken = {(voice, text): _spoken(Path(folder), voice, text) for voice in voices for text in words}
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(_measured, [(name, voice, spoken) for name in MENUS for voice in voices]))
    whole = Found()
    for each in found:
        whole.ms += each.ms
        for key, count in each.counts.items():
            total = whole.counts.setdefault(key, Count())
            for name in ("right", "wrong", "refused", "taken", "others"):
                setattr(total, name, getattr(total, name) + getattr(count, name))
    return Section(
        "Speech in menus",
        rows=list(_rows(whole)),
        tables=[_table(whole)],
        notes=[*NOTES, f"Voices: {', '.join(voices)}."],
    )


NOTES = (
    "Words are spoken by flite, not by people: real callers are understood worse. Noise is white, over the whole "
    "telephone band, measured against the RMS of what is spoken; clean is a line at −65 dBFS. The seed is fixed.",
    "right: the choice that was said; wrong: another; refused: none, so the caller is asked again. taken: something "
    "else that counted as a choice.",
    "Decoys' weight and endpointer were picked on the first and the last menu; the second was not looked at for that. "
    "Dictation is tried with two voices only, and without the worst noise.",
    "Time is from the end of an utterance to its choice, in one process, on this machine as busy as it was.",
)


def _rows(found: Found) -> Iterator[Row]:
    for menu in MENUS:
        for snr in SNRS:
            ours, rival = found.counts[menu, snr, "DCX"], found.counts[menu, snr, "phrases only"]
            subject = f"{menu}, {_noise(snr)}"
            mine, other = _share(ours.right, ours.said), _share(rival.right, rival.said)
            yield Row(subject, "right", "%", mine, other, "phrases only", ratio(mine, other))
            mine, other = _share(ours.taken, ours.others), _share(rival.taken, rival.others)
            goal, ok = ("≤ a quarter of the other's", mine * 4 <= other) if snr is None else ("", None)
            yield Row(subject, "other words taken", "%", mine, other, "phrases only", ratio(mine, other), goal, ok)
    yield Row("an utterance", "recognised p50", "ms", percentile(found.ms, 50))
    yield Row("an utterance", "recognised p99", "ms", percentile(found.ms, 99))


def _table(found: Found) -> str:
    body = []
    for (menu, snr, way), count in sorted(found.counts.items(), key=lambda each: _order(each[0])):
        figures = (count.right, count.wrong, count.refused)
        shares = [f"{number} ({_share(number, count.said):.0f} %)" for number in figures]
        taken = f"{count.taken} of {count.others} ({_share(count.taken, count.others):.0f} %)"
        body.append([menu, _noise(snr), way, str(count.said), *shares, taken])
    head = ["menu", "noise", "way", "said", "right", "wrong", "refused", "other words taken"]
    return markdown_table(head, body, left=3)


def _order(key: tuple[str, int | None, str]) -> tuple[int, int, int]:
    return list(MENUS).index(key[0]), SNRS.index(key[1]), _WAYS.index(key[2])


def _noise(snr: int | None) -> str:
    return "clean" if snr is None else f"{snr} dB"


def _share(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


# -- in processes of their own --------------------------------------------------------------------------------------

_WAYS = ("DCX", "phrases only", "dictation")
_DICTATED = ("slt", "awb")
Way = Callable[[bytes], str | None]


def _measured(job: tuple[str, str, Mapping[tuple[str, str], Samples]]) -> Found:
    name, voice, spoken = job
    menu, found = MENUS[name], Found()
    ways = _ways(menu)
    said = [(phrase, choice) for choice, phrases in menu.items() for phrase in phrases]
    for snr in SNRS:
        for text, wanted in [*said, *((text, None) for text in OTHERS)]:
            sound = on_the_line(spoken[voice, text], snr, seed=len(text) + len(voice) * 100)
            pieces = _utterances(sound)
            for way, choose in ways.items():
                if way == "dictation" and (voice not in _DICTATED or snr == SNRS[-1] or text in OTHERS[3:]):
                    continue  # it takes ten times as long as the others
                count = found.counts.setdefault((name, snr, way), Count())
                chosen = next((each for piece in pieces if (each := _timed(choose, piece, found, way))), None)
                _count(count, wanted, chosen)
    return found


def _timed(choose: Way, piece: bytes, found: Found, way: str) -> str | None:
    import time

    began = time.perf_counter()
    chosen = choose(piece)
    if way == "DCX":
        found.ms.append((time.perf_counter() - began) * 1000)
    return chosen


def _count(count: Count, wanted: str | None, chosen: str | None) -> None:
    if wanted is None:
        count.others += 1
        count.taken += chosen is not None
    elif chosen is None:
        count.refused += 1
    elif chosen == wanted:
        count.right += 1
    else:
        count.wrong += 1


def _ways(menu: Mapping[str, Sequence[str]]) -> dict[str, Way]:
    from pocketsphinx import Decoder

    ours, plain = Recogniser(), Recogniser(decoys=())
    dictation = Decoder(samprate=2 * RATE, loglevel="FATAL")

    def dictated(sound: bytes) -> str | None:
        samples = np.frombuffer(sound, "<i2").astype(np.float32)
        wide = np.clip(soxr.resample(samples, RATE, 2 * RATE), -32768, 32767).astype("<i2")
        dictation.start_utt()
        dictation.process_raw(wide.tobytes(), full_utt=True)
        dictation.end_utt()
        hypothesis = dictation.hyp()
        text = f" {hypothesis.hypstr} " if hypothesis is not None else ""
        return next((c for c, phrases in menu.items() if any(f" {phrase} " in text for phrase in phrases)), None)

    return {
        "DCX": lambda sound: ours.choose(menu, sound)[0],
        "phrases only": lambda sound: plain.choose(menu, sound)[0],
        "dictation": dictated,
    }


class _Nobody:
    def speaks(self) -> None: ...

    def heard(self, what: Heard | None) -> None: ...


def _utterances(sound: bytes) -> list[bytes]:
    """As the engine cuts them."""
    cutter = Utterances(_Nobody())
    return [found for at in range(0, len(sound), 320) for found in cutter.take(sound[at : at + 320])]


# -- sound ----------------------------------------------------------------------------------------------------------


def _spoken(folder: Path, voice: str, text: str) -> Samples:
    path = folder / "said.wav"
    command = ensure("engine").command("flite", "-voice", voice, "-t", text, "-o", str(path))
    subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)
    samples, rate = soundfile.read(path, dtype="float32")
    found: Samples = soxr.resample(samples, rate, RATE).astype(np.float32)
    return found


def on_the_line(spoken: Samples, snr: float | None, *, seed: int) -> bytes:
    """16 bit at 8 kHz: `spoken` at -20 dBFS RMS between silences, with white noise `snr` dB below it, through µ-law."""
    loud = spoken[np.abs(spoken) > 0.02 * np.abs(spoken).max()]
    level = spoken * (_LEVEL / np.sqrt(np.mean(loud**2)))
    quiet = np.zeros(round(_QUIET_S * RATE), np.float32)
    whole = np.concatenate([quiet, level, quiet])
    noise_db = _FLOOR_DB if snr is None else 20 * np.log10(_LEVEL) - snr
    noise = np.random.default_rng(seed).normal(0, 10 ** (noise_db / 20), len(whole))
    return mu_law(whole + noise.astype(np.float32))


def mu_law(samples: Samples) -> bytes:
    """There and back through ITU-T G.711, by libsndfile."""
    import io

    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1, 1), RATE, subtype="ULAW", format="WAV")
    file.seek(0)
    back, _ = soundfile.read(file, dtype="int16")
    return bytes(back.astype("<i2").tobytes())


if __name__ == "__main__":
    import sys

    from bench.table import section_markdown

    print(section_markdown(section("--quick" in sys.argv)))
