"""Conditions on tags, patterns that may not backtrack, and where a caller is."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dcx_ari.decide.filters import OPERATORS, compile_filter, first_mismatch
from dcx_ari.decide.geography import UNKNOWN, locate, npa_of, state_of_zip
from dcx_ari.decide.npa import STATE_BY_NPA
from dcx_ari.decide.regexes import MAX_INPUT, compile_safe
from dcx_ari.decide.rows import Filter
from dcx_ari.decide.zips import STATE_BY_ZIP3

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("op", "value", "yes", "no"),
    [
        ("==", "5", [5, "5"], [6, "05", True]),
        ("==", True, [True, "true"], [1, "yes"]),
        ("!=", "a", ["b", 1], ["a"]),
        ("in", ["a", 2], ["a", "2"], ["b"]),
        ("not_in", ["a"], ["b"], ["a"]),
        ("=~", "^a.c$", ["abc"], ["abcd", 1]),
        ("!~", "b", ["acd"], ["abc"]),
        (">", 5, [6, "5.01"], [5, "x", "nan", True]),
        ("<", "5", [4, "-1"], [5, "5.0", ""]),
        ("exists", None, ["", 0, False], []),
        ("begins", "ab", ["abc"], ["cab"]),
        ("contains", "b", ["abc"], ["acd"]),
        ("not_begins", "ab", ["cab"], ["abc"]),
        ("not_contains", "b", ["acd"], ["abc"]),
    ],
)
def test_operators(op: str, value: Any, yes: list[Any], no: list[Any]) -> None:
    condition = compile_filter(Filter("t", op, value))
    assert [v for v in yes if not condition.test(v)] == []
    assert [v for v in no if condition.test(v)] == []
    assert not condition.test(None)


def test_a_missing_tag_meets_nothing_but_not_exists() -> None:
    values: dict[str, Any] = {"in": ["a"], "not_in": ["a"], ">": 1, "<": 1}
    met = [op for op in OPERATORS if compile_filter(Filter("t", op, values.get(op, "a"))).test(None)]
    assert met == ["not_exists"]


def test_all_conditions_must_hold_and_the_first_that_does_not_is_named() -> None:
    conditions = [compile_filter(Filter("a", "exists")), compile_filter(Filter("b", "==", "1"))]
    assert first_mismatch(conditions, {"a": 0, "b": 1}) is None
    missed = first_mismatch(conditions, {"a": 0, "b": 2})
    assert missed is not None
    assert (missed[0].tag, missed[1]) == ("b", 2)


@pytest.mark.parametrize(
    "condition",
    [
        Filter("t", "~~", "a"),
        Filter("t", "==", ["a"]),
        Filter("t", "==", None),
        Filter("t", "in", "a"),
        Filter("t", ">", "many"),
        Filter("", "exists"),
        Filter("t", "=~", "("),
    ],
)
def test_bad_conditions_are_refused(condition: Filter) -> None:
    with pytest.raises(ValueError, match="filters"):
        compile_filter(condition)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a*)*b",
        "(a|a)*b",
        "(a|ab)*c",
        "([a-z]+)*$",
        "(?:x?)+y",
        r"(a)\1",
        "(?=a+)b",
        "a*a*a*a*b",
        ".*.*.*x",
        "(a{1,5}){1,5}b",
        "((ab)+c)+",
        "a" * 201,
        "(?P<n>a+)+",
        "((a{3})+)+",
        "a?" * 30 + "a" * 30,
        "(a|aa)" * 20 + "$",
        "(a?){30}a{30}",
    ],
)
def test_patterns_that_backtrack_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        compile_safe(pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^\d{3}-\d{4}$", "555-0100"),
        (r"^\+1(212|646|917)\d{7}$", "+12125550100"),
        (r"^[A-Z]{2}-\d+-\d+-\d+x?$", "NY-1-22-333"),
        (r"(?i)medicare|health", "Private HEALTH plan"),
        (r"^utm_[a-z]+=.*spring", "utm_source=early spring"),
        (r"^(foo|bar) baz", "bar baz"),
        (r"^https?://(www\.)?example\.(com|org)/.*\.html$", "https://example.org/a/b.html"),
    ],
)
def test_usual_patterns_are_allowed(pattern: str, text: str) -> None:
    assert compile_safe(pattern).search(text)
    assert re.search(pattern, text)


@pytest.mark.parametrize("pattern", ["a*a*b", "(a|aa)" * 10 + "b", "a?" * 10 + "b", ".*.*b"])
def test_an_allowed_pattern_ends_on_the_worst_input(pattern: str) -> None:
    assert compile_safe(pattern).search("a" * MAX_INPUT) is None


def test_values_are_cut_before_matching() -> None:
    assert not compile_filter(Filter("t", "=~", "z$")).test("a" * MAX_INPUT + "z")


def test_the_callers_state_by_trust() -> None:
    assert locate("+12125550100") == ("NY", "npa")
    assert locate("+12125550100", "90210") == ("CA", "ivr_zip")
    assert locate("+12125550100", "90210", "tx") == ("TX", "lookup")
    assert locate("+12125550100", "00000") == ("NY", "npa")
    assert locate("+14165550100") == ("ON", "npa")
    assert locate(None, "K1A 0B1") == ("ON", "ivr_zip")


@pytest.mark.parametrize(
    "caller", [None, "anonymous", "+442079460000", "+19025550100", "+18005550100", "12125550100", "+1212555010"]
)
def test_unknown_stays_unknown(caller: str | None) -> None:
    assert locate(caller) == UNKNOWN


def test_the_tables_are_complete_enough() -> None:
    states = "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH"
    states += " OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY DC PR"
    assert set(states.split()) <= set(STATE_BY_NPA.values())
    assert set(states.split()) <= set(STATE_BY_ZIP3.values())
    assert len(STATE_BY_NPA) > 400
    assert npa_of("+17185550100") == "718"
    assert [state_of_zip(z) for z in ("10001", "02108-1234", "73301", "96799", "1000", "")] == [
        "NY",
        "MA",
        "TX",
        "HI",
        None,
        None,
    ]
