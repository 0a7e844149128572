"""Where a caller is: from a given state, a given ZIP or the area code, in this order of trust.

An area code says where a number was issued, not where its holder stands; the answer therefore carries its
source. What is not known stays unknown and is never guessed.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from dcx_ari.decide.npa import STATE_BY_NPA
from dcx_ari.decide.zips import PROVINCE_BY_LETTER, STATE_BY_ZIP3

GeoSource = Literal["lookup", "ivr_zip", "npa", "unknown"]


class Place(NamedTuple):
    """`state` is the two-letter code of a US state, territory or Canadian province, or None."""

    state: str | None
    source: GeoSource


UNKNOWN = Place(None, "unknown")


def npa_of(caller: str | None) -> str | None:
    """The area code of a North American number in E.164 (`+1NPANXXXXXX`), else None."""
    if caller is None or len(caller) != 12 or not caller.startswith("+1") or not caller[2:].isdigit():
        return None
    return caller[2:5]


def state_of_zip(code: str) -> str | None:
    """The state of a ZIP (five digits, ZIP+4 too) or Canadian postal code (`K1A 0B1` or its first three)."""
    code = code.strip().upper()
    if len(code) >= 5 and code[:5].isdigit() and code.isascii():
        return STATE_BY_ZIP3.get(code[:3])
    if len(code) >= 3 and code[0].isalpha() and code[1].isdigit() and code[2].isalpha():
        return PROVINCE_BY_LETTER.get(code[0])
    return None


def locate(caller: str | None, zip_code: str | None = None, state: str | None = None) -> Place:
    """The caller's state and how it is known. `state` is what a lookup said, `zip_code` what was keyed in."""
    if state:
        return Place(state.upper(), "lookup")
    if zip_code and (found := state_of_zip(zip_code)):
        return Place(found, "ivr_zip")
    npa = npa_of(caller)
    if npa is not None and (found := STATE_BY_NPA.get(npa)):
        return Place(found, "npa")
    return UNKNOWN
