"""Ids are ours: minted before the request, derived from the call, never used twice.

A call id is 20 characters of Crockford's base 32 in lower case: 10 of the millisecond it began (so ids sort
by time) and 10 random ones. Everything a call owns in Asterisk is named `{call}.{role}{n}`, so that the id
of any channel, bridge, playback or recording tells whose it is.
"""

from __future__ import annotations

import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def _base32(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def new_call_id(now_ms: int) -> str:
    return _base32(now_ms, 10) + _base32(secrets.randbits(50), 10)


def call_of(resource_id: str) -> str:
    """The call that a channel, bridge, playback or recording id belongs to.

    >>> call_of("01jd0000000123456789.leg2")
    '01jd0000000123456789'
    """
    return resource_id.partition(".")[0]
