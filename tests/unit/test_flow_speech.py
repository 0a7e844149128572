"""What callers may say in a menu: from labels to words, checked where the flow is written; the recogniser itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcx_ari.call.ports import Heard, ListeningFailed
from dcx_ari.flows.checking import check_text
from dcx_ari.flows.known import Known
from dcx_ari.flows.spoken import MOST_CHARACTERS, MOST_WORDS, phrases, plain_words, spoken
from dcx_ari.media.listening import MediaEars, Utterances
from dcx_ari.media.recogniser import Recognisers, Vocabulary, deaf

pytestmark = pytest.mark.unit
MENU = """\
start: main
nodes:
  main:
    type: menu
    say: Say sales or support.
    speech: true
    choices:
      "1": {next: bye, label: Sales}
      "2": {next: bye, CHOICE}
    on: {any: bye}
  bye: {type: hangup}
"""


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("Sales", "sales"),
        ("  Customer   SERVICE ", "customer service"),
        ("Sales & Billing", "sales and billing"),
        ("24/7", "two four seven"),
        ("2nd floor", "second floor"),
        ("22nd", "two two"),
        ("I don't know", "i don't know"),
        ("I don’t know", "i don't know"),
        ("B", "b"),
        ("Español", "espanol"),
        ("１ＡＢ", "one ab"),
        ("A-1", "a one"),
        ('sales" ; public <x> = anything', "sales public x anything"),
        ("#JSGF V1.0; grammar x;", "jsgf v one zero grammar x"),
        ("{{state}}", "state"),
        ("sales\x00\n/1e-20/", "sales one e two zero"),
    ],
)
def test_a_label_becomes_words(label: str, words: str) -> None:
    assert spoken(label) == words


@pytest.mark.parametrize(
    ("label", "why"),
    [
        ("", "no word"),
        ("?!", "no word"),
        ("Продажи", "cannot be recognised"),
        ("販売", "cannot be recognised"),
        ("Straße", "cannot be recognised"),
        ("²³", ""),
        ("word " * 200, "at most 8 words"),
        ("a" * 100, "at most 8 words and 80 characters"),
    ],
)
def test_a_label_that_cannot_be_said(label: str, why: str) -> None:
    if not why:
        assert spoken(label) == "two three"
        return
    with pytest.raises(ValueError, match=why):
        spoken(label)
    assert plain_words(label) == ""


@given(st.text(max_size=300))
def test_whatever_is_written_becomes_words_or_nothing(text: str) -> None:
    words = plain_words(text)
    assert set(words) <= set("abcdefghijklmnopqrstuvwxyz' ")
    assert len(words.split()) <= MOST_WORDS
    assert len(words) <= MOST_CHARACTERS
    assert words == " ".join(words.split())
    assert not words or spoken(words) == words


def test_phrases_of_choices_without_names_are_left_out() -> None:
    assert phrases({"1": ["Sales", "sales!"], "2": [], "3": ["???"]}) == {"1": ("sales",)}


@pytest.mark.parametrize(
    ("choice", "code", "place"),
    [
        ("label: Support", None, ""),
        ("label: '???', words: [support]", None, ""),
        ("label: '???'", "unspeakable", "nodes.main.choices.2.label"),
        ("label: SALES!", "same_words", "nodes.main.choices.2.label"),
        ("words: [support, Продажи]", "unspeakable", "nodes.main.choices.2.words.1"),
        ("label: Blorgh", "no_recognition", "nodes.main.choices.2.label"),
        ("words: [" + ", ".join(f"w{n}" for n in range(11)) + "]", "value", "nodes.main.choices.2.words"),
        ("words: ['" + "a" * 81 + "']", "value", "nodes.main.choices.2.words.0"),
        ("words: ['']", "value", "nodes.main.choices.2.words.0"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(choice: str, code: str | None, place: str) -> None:
    known = Known(hears=lambda words: "no such word" if "blorgh" in words else "")
    _, problems = check_text(MENU.replace("CHOICE", choice), known)
    assert [(p.code, ".".join(map(str, p.path)), p.level) for p in problems] == (
        [(code, place, "error")] if code else []
    )


def test_a_menu_in_which_nothing_can_be_said_and_words_that_nobody_listens_for() -> None:
    text = MENU.replace(", label: Sales", "").replace(", CHOICE", "")
    assert [p.code for p in check_text(text)[1]] == ["nothing_to_say"]
    text = MENU.replace("    speech: true\n", "").replace("CHOICE", "words: [help]")
    assert [(p.code, p.level) for p in check_text(text)[1]] == [("never_taken", "warning")]


def test_a_missing_engine_is_told_when_the_flow_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    text = MENU.replace("CHOICE", "label: Support")
    assert check_text(text, Known(hears=Vocabulary()))[1] == []
    monkeypatch.setattr("dcx_ari.media.recogniser.find_spec", lambda _: None)
    _, problems = check_text(text, Known(hears=Vocabulary()))
    assert [p.code for p in problems] == ["no_recognition", "no_recognition"]
    assert "pip install 'dcx-ari[speech]'" in problems[0].message


def test_words_are_looked_up_in_the_dictionary() -> None:
    known = Vocabulary()
    assert deaf() == ""
    assert known("customer service") == ""
    assert known("i don't know") == ""
    assert '"blorgh"' in known("blorgh sales")


# -- the recogniser in its process ----------------------------------------------------------------------------------

CHOICES = {"1": ("sales",), "2": ("customer support", "support")}


@pytest.fixture
async def recognisers() -> AsyncIterator[Recognisers]:
    made = Recognisers(processes=1, limit_s=20)
    yield made
    await made.close()


def noise(seconds: float, level: float = 0.05) -> bytes:
    samples = np.random.default_rng(1).normal(0, level, round(seconds * 8000))
    return (samples * 32767).astype("<i2").tobytes()


async def test_noise_is_none_of_the_choices(recognisers: Recognisers) -> None:
    await recognisers.prepare(CHOICES)
    assert (await recognisers.recognise(CHOICES, noise(1.0))).choice is None
    assert (await recognisers.recognise(CHOICES, noise(0.01) + b"x")).choice is None  # and half a sample


async def test_a_word_that_the_recogniser_does_not_know_and_then_one_that_it_knows(recognisers: Recognisers) -> None:
    with pytest.raises(ListeningFailed, match="blorgh"):
        await recognisers.prepare({"1": ("blorgh",)})
    await recognisers.prepare(CHOICES)


async def test_more_menus_than_are_kept(recognisers: Recognisers) -> None:
    for number in range(70):
        await recognisers.prepare({str(number): ("sales", "support")})
    assert (await recognisers.recognise({"0": ("sales", "support")}, noise(0.5))).choice is None


PROGRAMS = {
    "hangs": "import time; time.sleep(600)",
    "dies": "raise SystemExit(3)",
    "babbles": "print('nonsense', flush=True); import time; time.sleep(600)",
    "floods": "print('x' * 200000, flush=True); import time; time.sleep(600)",
    "lies": 'print(\'{"choice": "7", "words": "x"}\', flush=True); import time; time.sleep(600)',
}


@pytest.mark.parametrize("kind", [kind for kind in PROGRAMS if kind != "lies"])
async def test_a_recogniser_that_fails_is_told_and_gone(kind: str) -> None:
    limit_s = 0.2 if kind == "hangs" else 20.0
    recognisers = Recognisers((sys.executable, "-c", PROGRAMS[kind]), processes=1, limit_s=limit_s)
    for _ in range(2):  # the one after it is a new one
        with pytest.raises(ListeningFailed, match="recogniser"):
            await recognisers.recognise(CHOICES, noise(0.1))
    assert recognisers._idle == []
    await recognisers.close()


async def test_a_choice_that_was_not_asked_for_is_none() -> None:
    recognisers = Recognisers((sys.executable, "-c", PROGRAMS["lies"]), processes=1, limit_s=20)
    assert await recognisers.recognise(CHOICES, noise(0.1)) == Heard(None, "x")
    await recognisers.close()
    with pytest.raises(ListeningFailed, match="stops"):
        await recognisers.recognise(CHOICES, noise(0.1))


async def test_who_stops_to_wait_does_not_leave_an_answer_for_the_next(recognisers: Recognisers) -> None:
    await recognisers.prepare(CHOICES)
    waiting = asyncio.create_task(recognisers.recognise(CHOICES, noise(2.0)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert (await recognisers.recognise(CHOICES, noise(0.3))).choice is None


# -- utterances -----------------------------------------------------------------------------------------------------


class Told:
    def __init__(self) -> None:
        self.news: list[Any] = []

    def speaks(self) -> None:
        self.news.append("speaks")

    def heard(self, what: Heard | None) -> None:
        self.news.append(what)


def voice(seconds: float) -> bytes:
    """Something that a voice activity detector takes for a voice: pulses at 120 Hz through three resonances."""
    at = np.arange(round(seconds * 8000)) / 8000
    glottal = sum(np.sin(2 * np.pi * 120 * k * at) / k for k in range(1, 30))
    shaped = glottal * (1 + 0.6 * np.sin(2 * np.pi * 4 * at))
    return (shaped / np.abs(shaped).max() * 12000).astype("<i2").tobytes()


QUIET = noise(0.8, 0.0005)


@pytest.mark.parametrize("size", [320, 7, 1000])
def test_a_stream_is_cut_into_utterances_however_it_comes(size: int) -> None:
    told = Told()
    cutter = Utterances(told)
    stream = QUIET + voice(1.0) + QUIET + voice(0.8) + QUIET
    found = [said for at in range(0, len(stream), size) for said in cutter.take(stream[at : at + size])]
    assert len(found) == 2
    assert all(0.7 < len(said) / 16000 < 1.7 for said in found)
    assert told.news == ["speaks", "speaks"]


def test_somebody_who_talks_on_and_on_is_no_answer() -> None:
    told = Told()
    cutter = Utterances(told)
    assert list(cutter.take(QUIET + voice(30.0) + QUIET)) == []
    assert told.news == ["speaks", None]
    assert len(list(cutter.take(voice(1.0) + QUIET))) == 1  # and the next one is heard


async def test_ears_read_on_while_the_recogniser_works_and_end_with_the_socket(recognisers: Recognisers) -> None:
    told, taken = Told(), 0

    @asynccontextmanager
    async def media(connection: str) -> AsyncIterator[AsyncIterator[bytes]]:
        async def pieces() -> AsyncIterator[bytes]:
            nonlocal taken
            stream = QUIET + voice(1.0) + QUIET
            for at in range(0, len(stream), 320):
                taken += 1
                yield stream[at : at + 320]
            async with asyncio.timeout(20):
                while len(told.news) < 2:
                    await asyncio.sleep(0.01)

        assert connection == "abc"
        yield pieces()

    async with MediaEars(media, recognisers) as ears:
        await ears.listen("abc", CHOICES, told)
    assert taken == len(QUIET + voice(1.0) + QUIET) // 320
    assert told.news[0] == "speaks"
    assert isinstance(told.news[1], Heard)


async def test_ears_without_an_engine_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcx_ari.media.recogniser.find_spec", lambda _: None)

    def never(connection: str) -> Any:
        raise AssertionError("nobody connects")

    async with MediaEars(never) as ears:
        with pytest.raises(ListeningFailed, match="not installed"):
            await ears.listen("abc", CHOICES, Told())
