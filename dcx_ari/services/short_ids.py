"""Short ids for people: `CM-1k`, the kind of row and its id in base 62. Nothing is kept: they follow from the id."""

from __future__ import annotations

import string

from dcx_ari.services.resources import Resource

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
LONGEST = 12
MAX_ID = 2**31 - 1
_VALUES = {char: value for value, char in enumerate(ALPHABET)}


def encode(number: int) -> str:
    """A number from 1 in base 62, largest digit first."""
    text = ""
    while number:
        number, digit = divmod(number, 62)
        text = ALPHABET[digit] + text
    return text


def short_id(resource: Resource, row_id: int) -> str:
    return f"{resource.prefix}-{encode(row_id)}"


def id_of(resource: Resource, text: str) -> int | None:
    """The id that a short id of this kind of row stands for, or None where `text` is none.

    The prefix may be in small letters; the rest may not, and must be spelled as dcx spells it.
    """
    prefix, dash, rest = text.partition("-")
    if not dash or prefix.upper() != resource.prefix or not 1 <= len(rest) <= LONGEST or rest[0] == "0":
        return None
    number = 0
    for char in rest:
        if (digit := _VALUES.get(char)) is None:
            return None
        number = number * 62 + digit
    return number if number <= MAX_ID else None
