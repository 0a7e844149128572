"""The city that a North American number was issued in. It says nothing of where its holder stands today."""

from __future__ import annotations

from collections.abc import Mapping

from dcx_ari.decide.geography import npa_of

_LONGEST = 6


def parse_cities(text: str) -> Mapping[str, str]:
    """Prefix (area code and up to three digits more) -> city, from lines of `City<TAB>360:532 410:272,273`."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        city, _, codes = line.partition("\t")
        for code in codes.split():
            area, _, more = code.partition(":")
            for rest in more.split(","):
                found[area + rest] = city
    return found


def city_of(cities: Mapping[str, str], caller: str | None) -> str | None:
    """The city of the longest prefix that is known; None where there is none."""
    if caller is None or npa_of(caller) is None:
        return None
    for length in range(_LONGEST, 2, -1):
        if (city := cities.get(caller[2 : 2 + length])) is not None:
            return city
    return None
