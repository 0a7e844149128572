"""The city that a number was issued in."""

from __future__ import annotations

import pytest

from dcx_ari.decide.cities import city_of, parse_cities
from dcx_ari.store.cities import load_cities

pytestmark = pytest.mark.unit


def test_the_longest_prefix_counts():
    cities = parse_cities("Small Town\t415:282,55\nBig City\t415 628:\nOther\t415:28\n")
    found = [city_of(cities, f"+1415{rest}") for rest in ("2821234", "2811234", "5512345", "9991234")]
    assert found == ["Small Town", "Other", "Small Town", "Big City"]


@pytest.mark.parametrize(
    "caller", [None, "", "anonymous", "+442071234567", "+1800555123", "+18005551234", "+1٤١٥5551234"]
)
def test_what_is_not_known_is_not_guessed(caller: str | None):
    assert city_of(load_cities(), caller) is None


def test_the_table_that_ships():
    cities = load_cities()
    assert len(cities) > 25_000
    assert city_of(cities, "+12125550100") == "New York"
    assert city_of(cities, "+14155550100") == "San Francisco"
    assert all(prefix.isdigit() and 3 <= len(prefix) <= 6 for prefix in cities)
    assert all(city.strip() == city and city and "," not in city for city in set(cities.values()))
