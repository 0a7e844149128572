"""The table of cities that ships with the package; `tools/generate_cities.py` makes it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from dcx_ari.decide.cities import parse_cities


@cache
def load_cities() -> Mapping[str, str]:
    """Prefix -> city, for `decide.cities.city_of`. Read once: it is always the same, and 4 MB."""
    return parse_cities(files("dcx_ari.store").joinpath("cities.tsv").read_text("utf-8"))
