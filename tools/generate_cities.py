"""Make dcx_ari/store/cities.tsv: the city that each North American prefix was issued in.

The source is the geocoding data of libphonenumber (Apache License 2.0) as the package `phonenumbers` ships it. It
changes a little with every release; run this when you want the newer one:

    .venv/bin/python tools/generate_cities.py

A line is a city, a tab, and its prefixes by area code: `Aberdeen<TAB>360:532 410:272,273`. An area code alone is all
of it.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from phonenumbers.geodata import GEOCODE_DATA

TARGET = Path(__file__).parents[1] / "dcx_ari/store/cities.tsv"


def lines() -> list[str]:
    """One for each city name; those that two states share have the prefixes of both."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for prefix, names in sorted(GEOCODE_DATA.items()):
        city, comma, _state = names.get("en", "").rpartition(", ")
        if prefix.startswith("1") and len(prefix) >= 4 and comma:
            city = city.rpartition(", ")[2]  # without a part of town before it
            found[city][prefix[1:4]].append(prefix[4:])
    return [f"{city}\t{' '.join(_codes(codes))}" for city, codes in sorted(found.items())]


def _codes(codes: dict[str, list[str]]) -> list[str]:
    return [code if rest == [""] else f"{code}:{','.join(rest)}" for code, rest in sorted(codes.items())]


if __name__ == "__main__":
    TARGET.write_text("\n".join(lines()) + "\n", "utf-8")
    print(f"{TARGET.name}: {TARGET.stat().st_size:,} bytes")
