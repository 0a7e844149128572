"""Texts with variables, sticky splits and the graph of a flow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcx_ari.decide.graph import Finding, Vertex, findings
from dcx_ari.decide.split import point_of, side_of
from dcx_ari.decide.templates import aloud, fill, names_in

pytestmark = pytest.mark.unit


def test_variables_are_found_and_filled() -> None:
    text = "From {{source}} in {{ state }}{{none}}."
    assert names_in(text) == ["source", "state", "none"]
    assert fill(text, {"source": "Radio", "state": "NY"}) == "From Radio in NY."


@pytest.mark.parametrize(
    "text",
    [
        "{{caller.number}}",
        "{{ caller|upper }}",
        "{{caller()}}",
        "{{''.__class__.__mro__[1].__subclasses__()}}",
        "{{7*7}}",
        "{{}}",
        "{{ Caller }}",
        "{{caller",
        "{% for x in y %}",
        "{{a{{b}}",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"braces|closed|understood"):
        names_in(text)
    fill(text, {"caller": "x"})  # and does nothing where it was not checked


@given(st.text(max_size=200), st.dictionaries(st.sampled_from(["a", "b1"]), st.text(max_size=300)))
def test_filling_never_fails_and_values_are_not_filled_again(text: str, values: dict[str, str]) -> None:
    fill(text, values)
    assert fill("{{a}}", {"a": "{{b1}}", "b1": "no"}) == "{{b1}}"
    assert "{{" not in aloud("{{b1}}")


def test_values_are_one_line_and_not_endless() -> None:
    assert fill("{{a}}", {"a": "x\r\ny" + "z" * 999}) == ("x  y" + "z" * 999)[:255]


@given(st.text(), st.text())
def test_the_same_words_stand_at_the_same_point(flow: str, caller: str) -> None:
    assert 0 <= point_of(flow, "ab", caller) == point_of(flow, "ab", caller) < 10_000


def test_shares() -> None:
    points = [point_of("7", "ab", f"+1212555{n:04d}") for n in range(10_000)]
    sides = [side_of(point, [("a", 10), ("b", 33.33)]) for point in points]
    assert [sides.count(side) / 10_000 for side in ("a", "b", None)] == [
        pytest.approx(0.1, abs=0.01),
        pytest.approx(0.3333, abs=0.015),
        pytest.approx(0.5667, abs=0.015),
    ]


def test_two_tests_divide_the_same_callers_independently() -> None:
    callers = [f"+1212555{n:04d}" for n in range(4000)]
    both = sum(point_of("7", "x", who) < 5000 and point_of("7", "y", who) < 5000 for who in callers)
    assert both / len(callers) == pytest.approx(0.25, abs=0.03)


def vertex(*targets: str, waits: bool = False, ends: bool = False) -> Vertex:
    return Vertex(targets, waits, ends)


def test_a_whole_flow_has_no_findings() -> None:
    graph = {"a": vertex("b", "c", waits=True), "b": vertex("a"), "c": vertex(ends=True)}
    assert findings("a", graph) == []


def test_unreachable_also_where_two_lead_to_each_other() -> None:
    graph = {"a": vertex(ends=True), "b": vertex("c"), "c": vertex("b", "a")}
    assert findings("a", graph) == [Finding("unreachable", ("b",)), Finding("unreachable", ("c",))]


def test_a_loop_that_never_waits_even_with_a_way_out() -> None:
    graph = {
        "a": vertex("b", waits=True),
        "b": vertex("c"),
        "c": vertex("d"),
        "d": vertex("c", "e"),
        "e": vertex(ends=True),
    }
    assert findings("a", graph) == [Finding("spins", ("c", "d"))]


def test_two_loops_and_one_to_itself() -> None:
    graph = {"a": vertex("a", "b", "d"), "b": vertex("c"), "c": vertex("b", "d"), "d": vertex(ends=True)}
    assert findings("a", graph) == [Finding("spins", ("a",)), Finding("spins", ("b", "c"))]


def test_no_way_out() -> None:
    graph = {"a": vertex("b", "c", waits=True), "b": vertex("a", waits=True), "c": vertex("c", waits=True)}
    assert findings("a", graph) == [Finding("no_way_out", ("a", "b", "c"))]


def test_a_target_that_does_not_exist_is_no_loop() -> None:
    assert findings("a", {"a": vertex("nowhere", waits=True)}) == []
    assert findings("nowhere", {"a": vertex(ends=True)}) == [Finding("unreachable", ("a",))]


_GRAPHS = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.builds(Vertex, st.lists(st.sampled_from("abcdefgh"), max_size=3).map(tuple), st.booleans(), st.booleans()),
    min_size=1,
)


@given(_GRAPHS)
def test_findings_are_true(graph: dict[str, Vertex]) -> None:
    start = next(iter(graph))
    found = findings(start, graph)
    unreachable = {f.nodes[0] for f in found if f.fault == "unreachable"}
    assert start not in unreachable
    for finding in found:
        if finding.fault == "spins":
            ring = zip(finding.nodes, (*finding.nodes[1:], finding.nodes[0]), strict=True)
            assert all(after in graph[before].targets and not graph[before].waits for before, after in ring)
        if finding.fault == "no_way_out":
            assert all(set(graph[n].targets) <= set(finding.nodes) and not graph[n].ends for n in finding.nodes)
