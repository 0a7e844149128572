"""The snapshot: what is left out, what is taken over, what is compiled anew; and validation of rows."""

from __future__ import annotations

from typing import Any

import pytest

from dcx_ari.decide.rowjson import pack, parse
from dcx_ari.decide.rows import Buyer, DuplicateRule, Filter
from dcx_ari.decide.snapshot import TABLES, amend, build

from .world import ALWAYS, buyer, config, decide, order, reasons, tables

pytestmark = pytest.mark.unit


def test_a_row_that_cannot_be_read_is_left_out_and_reported() -> None:
    snapshot = config([buyer(1), buyer(2, tier="low"), buyer(3, cap_mode="loose")])
    assert order(decide(snapshot)) == [1]
    assert [(p.table, p.id) for p in snapshot.problems] == [("buyers", 2), ("buyers", 3)]
    assert "tier" in snapshot.problems[0].message


def test_rows_survive_packing() -> None:
    row = Buyer(
        1,
        filters=(Filter("a", "in", ["x"]),),
        duplicate=DuplicateRule(window_days=3),
        skills=frozenset({"b", "a"}),
    )
    packed = pack(row)
    assert packed["skills"] == ["a", "b"]
    assert "weight" not in packed
    assert parse(Buyer, packed) == row
    assert parse(DuplicateRule, {"window_days": "forever"}).window_days is None


def test_every_table_can_be_empty() -> None:
    assert decide(build({}, version=1)).failure_reason == "no_number"
    assert set(tables()) <= set(TABLES)


def test_a_change_is_seen_and_the_rest_is_taken_over() -> None:
    before = config([buyer(1), buyer(2)])
    after = amend(before, {"buyers": [{**buyer(1), "tier": 5, "version": 2}]}, version=8)
    assert (order(decide(before))[0], after.version) != (order(decide(after)), 7)
    assert order(decide(after)) == [2, 1]
    assert after.compiled.buyers[2] is before.compiled.buyers[2]
    assert after.compiled.buyers[1] is not before.compiled.buyers[1]


def test_a_deleted_buyer_takes_no_more_calls() -> None:
    after = amend(config([buyer(1), buyer(2)]), {}, {"buyers": [1]}, version=8)
    assert order(decide(after)) == [2]


def test_the_same_rows_again_are_not_read_again() -> None:
    data = tables([{**buyer(i), "version": 1, "updated_at": 5} for i in (1, 2)])
    first = build(data, version=1)
    data["buyers"][1] = {**data["buyers"][1], "version": 2, "tier": -1}
    second = build(data, version=2, previous=first)
    assert second.buyers[1] is first.buyers[1]
    assert second.compiled.buyers[1] is first.compiled.buyers[1]
    assert order(decide(second)) == [2, 1]


Changes = dict[str, list[dict[str, Any]]]


@pytest.mark.parametrize(
    ("start", "change", "before", "after"),
    [
        ({}, {"trunks": [{"id": 1, "status": "INACTIVE"}]}, None, "no_trunk"),
        ({}, {"numbers": [{"id": 2, "phone_number": "+16465550001"}]}, None, "loop"),
        ({"schedule_id": 1}, {"schedules": [{"id": 1, "weekly": {}, "version": 2}]}, None, "closed"),
        ({"schedule_id": 7}, {"schedules": [{"id": 7, "weekly": ALWAYS}]}, "misconfigured", None),
    ],
)
def test_what_a_buyer_depends_on_may_change(
    start: dict[str, Any], change: Changes, before: str | None, after: str | None
) -> None:
    snapshot = config([buyer(1, **start)], schedules=[{"id": 1, "weekly": ALWAYS}])
    assert reasons(decide(snapshot)).get(1) == before
    assert reasons(decide(amend(snapshot, change, version=8))).get(1) == after


def test_new_members_and_peers_are_seen() -> None:
    data = tables(
        [buyer(1, apart=True), buyer(2, apart=True)],
        buyer_groups=[{"id": 1, "name": "G"}],
        buyer_group_members=[{"id": 1, "group_id": 1, "buyer_id": 1}],
        attached=[{"id": 5, "campaign_id": 1, "group_id": 1}],
    )
    snapshot = build(data, version=1)
    assert order(decide(snapshot)) == [1]
    more = amend(snapshot, {"buyer_group_members": [{"id": 2, "group_id": 1, "buyer_id": 2}]}, version=2)
    assert set(order(decide(more))) == {1, 2}
    assert more.compiled.buyers[1].peers == {1, 2}
