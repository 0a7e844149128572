"""Telephone numbers as carriers send them, brought to E.164 where that is certain."""

from __future__ import annotations

import re

import phonenumbers

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_DIALLABLE = re.compile(r"[+0-9() .\-/]{3,40}")


def normalise(text: str, region: str = "US") -> str:
    """E.164 if `text` is a valid number (a national one of `region`, an ISO country code); else as it came.

    >>> normalise("(212) 555-0100"), normalise("anonymous")
    ('+12125550100', 'anonymous')
    """
    text = text.strip()
    if _E164.fullmatch(text):
        return text
    if not _DIALLABLE.fullmatch(text):
        return text
    candidates = [text]
    if text.isdigit():
        candidates.append("+" + text)  # many carriers leave the plus out
    for candidate in candidates:
        try:
            number = phonenumbers.parse(candidate, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return text
