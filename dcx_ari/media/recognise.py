"""Which of a few phrases was said: pocketsphinx with a grammar of those phrases and decoys.

`python -m dcx_ari.media.recognise` answers on standard output what it is asked on standard input, one request after the
other: a line of JSON (`choices`: phrases by choice, `bytes`: how much sound follows) and the sound, 16 bit at 8 kHz.

A grammar of the phrases alone takes whatever is said for one of them. Decoys are common words beside them: what is none
of the phrases is nearer to one of those. A decoy weighs less than a phrase, so that noise does not make decoys of
phrases. What it is worth: `python -m bench --only speech`.
"""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

import numpy as np
import soxr
from pocketsphinx import Decoder

RATE = 8000
_COMMON = (
    "the a and you that what this have not with for know think want time come good would could about there where when "
    "who how why please thank hello well now then just really going something nothing people money house water number "
    "phone call back today tomorrow morning again maybe never wait sorry mean said tell give take make look work old "
    "new"
)
DECOYS = tuple(_COMMON.split())
DECOY_WEIGHT = 1e-12
"""Of 2e-6 to 1e-20, with and without spectral subtraction: the one with most choices understood at 20 dB for few that
are wrong."""
_KEPT = 64  # grammars


class UnknownWord(ValueError):
    """There is no pronunciation of a word."""


class Recogniser:
    """`decoys` empty: everything is one of the phrases."""

    def __init__(self, decoys: Sequence[str] = DECOYS, weight: float = DECOY_WEIGHT) -> None:
        # The model of the package is for 16 kHz. No language model: it is the grammar that says what may come.
        self._decoder = Decoder(samprate=2 * RATE, loglevel="FATAL", lm=None, bestpath=False)
        self._decoys, self._weight = tuple(decoys), weight
        self._grammars: OrderedDict[str, str] = OrderedDict()
        self._made = 0

    def prepare(self, choices: Mapping[str, Sequence[str]]) -> str:
        """The name of the grammar. Raises UnknownWord."""
        key = json.dumps(choices, sort_keys=True)
        name = self._grammars.pop(key, "")
        if not name:
            self._made += 1
            name = f"menu{self._made}"
            phrases = sorted({phrase for each in choices.values() for phrase in each})
            self._decoder.add_fsg(name, self._decoder.create_fsg(name, 0, 1, list(self._arcs(phrases))))
            if len(self._grammars) >= _KEPT:
                self._decoder.remove_search(self._grammars.popitem(last=False)[1])
        self._grammars[key] = name
        return name

    def choose(self, choices: Mapping[str, Sequence[str]], sound: bytes) -> tuple[str | None, str]:
        """The choice that was said, None for none of them, and the words that were heard. Raises UnknownWord."""
        self._decoder.activate_search(self.prepare(choices))
        samples = np.frombuffer(sound[: len(sound) // 2 * 2], "<i2").astype(np.float32)
        wide = np.clip(soxr.resample(samples, RATE, 2 * RATE), -32768, 32767)
        self._decoder.start_utt()
        self._decoder.process_raw(wide.astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        words = found.hypstr if found is not None else ""
        return next((choice for choice, phrases in choices.items() if words in phrases), None), words

    def _arcs(self, phrases: Sequence[str]) -> Iterator[tuple[int, int, float, str]]:
        """From state 0 to 1: (from, to, weight, word). A word is one entry of the dictionary, never grammar text."""
        state, sounds = 2, set()
        for phrase in phrases:
            words, at = phrase.split(), 0
            for number, word in enumerate(words):
                sounds |= self._sounds(word)
                last = number == len(words) - 1
                yield at, 1 if last else state, 1.0, word
                at, state = state, state + (not last)
        for word in self._decoys:
            if not self._sounds(word) & sounds:  # one that sounds like a phrase would take its place
                yield 0, 1, self._weight, word

    def _sounds(self, word: str) -> set[str]:
        found = self._decoder.lookup_word(word)
        if not found:
            raise UnknownWord(f'the word "{word}" cannot be recognised: it is not in the English dictionary')
        others = (self._decoder.lookup_word(f"{word}({number})") for number in (2, 3))
        return {found, *(each for each in others if each)}


def serve(asked: BinaryIO, told: BinaryIO) -> None:
    """Until there is nothing more to read: until whoever asks has gone."""
    recogniser = Recogniser()
    while line := asked.readline():
        request = json.loads(line)
        sound, choices = asked.read(request["bytes"]), request["choices"]
        try:
            if sound:
                choice, words = recogniser.choose(choices, sound)
            else:
                recogniser.prepare(choices)
                choice, words = None, ""
            answer = {"choice": choice, "words": words}
        except UnknownWord as error:
            answer = {"error": str(error)}
        told.write(json.dumps(answer).encode() + b"\n")
        told.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
