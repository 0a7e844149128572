"""What a run of digits means."""

from __future__ import annotations

import pytest

from dcx_ari.decide.digits import Complete, DigitRule, Incomplete, Invalid, judge, match

pytestmark = pytest.mark.unit

MENU = DigitRule(choices=frozenset({"1", "2", "21", "*"}))
ZIP = DigitRule(minimum=5, maximum=5, terminator="#", pattern="[0-9]{5}")
LONG = DigitRule(minimum=3, maximum=10, terminator="#")


@pytest.mark.parametrize(
    ("entry", "rule", "verdict"),
    [
        ("1", MENU, Complete("1")),
        ("2", MENU, Incomplete()),  # may become 21
        ("21", MENU, Complete("21")),
        ("22", MENU, Invalid("22")),
        ("9", MENU, Invalid("9")),
        ("1234", ZIP, Incomplete()),
        ("12345", ZIP, Complete("12345")),
        ("123#", ZIP, Invalid("123")),
        ("1*345", ZIP, Invalid("1*345")),
        ("1234#", LONG, Complete("1234")),
        ("12#", LONG, Invalid("12")),
        ("1234567890", LONG, Complete("1234567890")),
    ],
)
def test_match(entry: str, rule: DigitRule, verdict: Complete | Incomplete | Invalid) -> None:
    assert match(entry, rule) == verdict


@pytest.mark.parametrize(
    ("entry", "rule", "verdict"),
    [("2", MENU, Complete("2")), ("1234", ZIP, Invalid("1234")), ("1234", LONG, Complete("1234"))],
)
def test_a_pause_judges_what_is_there(entry: str, rule: DigitRule, verdict: Complete | Invalid) -> None:
    assert judge(entry, rule) == verdict
