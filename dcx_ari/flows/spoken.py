"""What a choice of a menu is called aloud: plain words, made from labels that people wrote for the eye."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from dcx_ari.flows.known import Known
from dcx_ari.flows.problems import Path, Problem

MOST_WORDS = 8
MOST_CHARACTERS = 80

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_ORDINALS = {
    "1st": "first",
    "2nd": "second",
    "3rd": "third",
    "4th": "fourth",
    "5th": "fifth",
    "6th": "sixth",
    "7th": "seventh",
    "8th": "eighth",
    "9th": "ninth",
    "10th": "tenth",
}
_PART = re.compile(r"\d+(?:st|nd|rd|th)|\d|[a-z]+(?:'[a-z]+)*|&")


def spoken(text: str) -> str:
    """Words of small letters with single spaces between them. Digits are said one by one, `&` is "and", accents go;
    nothing else is left, so that no text can be more than words.

    Raises ValueError where nothing is left, letters are not Latin, or it is longer than anybody says.

    >>> spoken("Sales & Billing"), spoken("2nd floor"), spoken("24/7")
    ('sales and billing', 'second floor', 'two four seven')
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", text).lower() if not unicodedata.combining(c))
    plain = plain.replace("’", "'")
    if odd := next((c for c in plain if c.isalnum() and not c.isascii()), None):
        raise ValueError(f"{odd!r} cannot be recognised when it is spoken")
    words: list[str] = []
    for part in _PART.findall(plain):
        if part == "&":
            words.append("and")
        elif part[0].isdigit():
            words += [_ORDINALS[part]] if part in _ORDINALS else [_DIGITS[int(c)] for c in part if c.isdigit()]
        else:
            words.append(part)
    if not words:
        raise ValueError("there is no word in it")
    said = " ".join(words)
    if len(words) > MOST_WORDS or len(said) > MOST_CHARACTERS:
        raise ValueError(f"must have at most {MOST_WORDS} words and {MOST_CHARACTERS} characters")
    return said


def plain_words(text: str) -> str:
    """As `spoken`; empty where nothing could be made of it."""
    try:
        return spoken(text)
    except ValueError:
        return ""


def phrases(names: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """What may be said for each choice. Names of which no word is left were refused when the flow was written."""
    found: dict[str, tuple[str, ...]] = {}
    for choice, texts in names.items():
        said = dict.fromkeys(each for text in texts if (each := plain_words(text)))
        if said:
            found[choice] = tuple(said)
    return found


def problems(names: Mapping[str, Sequence[tuple[str, Path]]], known: Known) -> Iterator[Problem]:
    """What keeps the choices from being told apart by ear; each name comes with its place in the node."""
    owners: dict[str, str] = {}
    for choice, texts in names.items():
        for text, place in texts:
            try:
                said = spoken(text)
            except ValueError as error:
                yield Problem("unspeakable", str(error), place, hint="give words: that callers say for it")
                continue
            other = owners.setdefault(said, choice)
            if other != choice:
                yield Problem("same_words", f'"{said}" is said for choice {other} too', place)
            elif known.hears is not None and (reason := known.hears(said)):
                yield Problem("no_recognition", reason, place)
    if not any(names.values()):
        hint = "give the choices labels, or words"
        yield Problem("nothing_to_say", "there is no choice that callers can say", ("speech",), hint=hint)
