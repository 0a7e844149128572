"""The call log's filters, pages and scopes, over a real database."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from dcx_ari.services import calls
from dcx_ari.services.call_filters import FILTERS
from dcx_ari.services.call_tags import tag_call
from dcx_ari.services.calls import list_calls, show_call
from dcx_ari.services.errors import Invalid, NotFound, UnknownKey
from dcx_ari.services.listing import Query
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import Call, Leg, Recording
from tests.unit.call_log_kit import ZONE, add, at, call, configure, recording, scoped

pytestmark = pytest.mark.unit

NOON = at("2026-03-02T12:00")  # a Monday
CALLS: dict[str, dict[str, Any]] = {
    "a": {"buyer_id": 1, "campaign_id": 1, "traffic_source_id": 1, "number_id": 1, "talk_ms": 90_000},
    "b": {"buyer_id": 2, "campaign_id": 2, "traffic_source_id": 2, "number_id": 2, "talk_ms": 10_500},
    "c": {"status": "BUSY", "campaign_id": 1, "failure_reason": "all_no_answer", "caller_state": "NY"},
    "d": {"status": "FAILED", "campaign_id": 2, "failure_reason": "all_maxed_out", "caller_city": "New York, NY"},
    "e": {"status": "ABANDONED", "failure_reason": "caller_hung_up", "caller": "anonymous", "test": True},
    "f": {"status": "IN_PROGRESS", "ended_at": None, "direction": "outbound", "caller": "+13105550199"},
    "g": {"outcome": "follow-up", "converted": True, "revenue_cents": 2550, "payout_cents": 800, "campaign_id": 1},
    "h": {"revenue_cents": 1000, "campaign_id": 2, "dialled": "+18005550002", "ended_by": "buyer", "worker": "dcx-1"},
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One call a day from noon of 2 March on: a on Monday … h on the next."""
    path = tmp_path_factory.mktemp("calls") / "dcx.db"

    async def fill() -> None:
        database = open_database(f"sqlite:///{path}")
        await migrate(database)
        await configure(database)
        for n, (name, values) in enumerate(CALLS.items()):
            await add(database, call(f"call0000{name}", at(f"2026-03-0{2 + n}T{8 + n:02d}:00"), **values))
        await add(
            database,
            recording("call0000a"),
            recording("call0000b", deleting_at=1, deleted_at=2, delete_reason="rule 1"),
            recording("call0000c", state="failed", path=None),
        )
        async with database.write() as session:
            await tag_call(session, "call0000a", ["vip", "follow-up"])
            await tag_call(session, "call0000b", ["vip"])
        await database.close()

    asyncio.run(fill())
    return path


@pytest.fixture
async def db(filled: Path) -> AsyncIterator[Database]:
    """For reading only."""
    opened = replace(open_database(f"sqlite:///{filled}"), info={"zone": ZONE})
    yield opened
    await opened.close()


@pytest.fixture
async def own(filled: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """To write to."""
    shutil.copy(filled, tmp_path / "dcx.db")
    opened = replace(open_database(f"sqlite:///{tmp_path}/dcx.db"), info={"zone": ZONE})
    yield opened
    await opened.close()


async def ids(db: Database, filters: dict[str, str], **query: Any) -> str:
    """The letters of the calls that are found, in the order of the page."""
    async with db.read() as session:
        wanted = Query({name: text.split(",") for name, text in filters.items()}, **query)
        return "".join(each["id"][-1] for each in (await list_calls(session, wanted)).items)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, "hgfedcba"),
        ({"date": "2026-03-02"}, "a"),
        ({"date": "2026-03-02,2026-03-04"}, "ca"),
        ({"date_from": "2026-03-05", "date_to": "2026-03-07"}, "fed"),
        ({"from_date": "2026-03-04T10:00"}, "hgfedc"),
        ({"date_to": "2026-03-04T10:00"}, "ba"),
        ({"date_to": "2026-03-04T10:00:00-05:00"}, "ba"),
        ({"time_of_day": "9am-12pm"}, "dcb"),
        ({"time_of_day": "13:00-09:00"}, "hgfa"),
        ({"time_of_day": "08:00-09:00,15:00-24:00"}, "ha"),
        ({"weekday": "mon,Tuesday"}, "hba"),
        ({"hour": "8,10"}, "ca"),
        ({"buyer": "Solar buyer"}, "a"),
        ({"buyer": "Solar buyer,2"}, "ba"),
        ({"buyer": "nobody"}, ""),
        ({"source": "Auto ads"}, "b"),
        ({"campaign": "Solar,Auto"}, "hgdcba"),
        ({"campaign": "Solar", "status": "busy,completed", "duration_max": "0"}, "gc"),
        ({"vertical": "solar"}, "gca"),
        ({"status": "completed"}, "hgba"),
        ({"status": "FAILED,NO_ANSWER,BUSY", "completed": "false"}, "dc"),
        ({"status": "in-progress"}, "f"),
        ({"in_progress": "true"}, "f"),
        ({"duration_min": "10.5"}, "ba"),
        ({"duration_min": "11", "duration_max": "90"}, "a"),
        ({"revenue_min": "10"}, "hg"),
        ({"revenue_min": "10.01", "revenue_max": "25.50"}, "g"),
        ({"has_recording": "true"}, "a"),
        ({"has_recording": "false"}, "hgfedcb"),
        ({"has_conversion": "yes"}, "g"),
        ({"caller_state": "ny"}, "c"),
        ({"city": "new york, ny"}, ""),  # the comma divides values
        ({"tags": "VIP,quality-issue"}, "ba"),
        ({"tags_all": "vip,follow-up"}, "a"),
        ({"tags": "nope"}, ""),
        ({"disposition": "Follow up"}, "g"),
        ({"failure_reason": "all_maxed_out"}, "d"),
        ({"failure_group": "caller-hung-up,no-buyers-available"}, "ec"),
        ({"direction": "outbound"}, "f"),
        ({"tracking_number": "+18005550001"}, "a"),
        ({"number": "18005550002"}, "b"),
        ({"duplicate": "true"}, "hgdc"),
        ({"duplicate": "false", "campaign": "Solar,Auto"}, "ba"),
        ({"caller": "+13105550199"}, "f"),
        ({"caller": " 13105550199"}, "f"),
        ({"caller": "+1310*"}, "f"),
        ({"caller": "*0199"}, "f"),
        ({"caller": "anonymous"}, "e"),
        ({"caller_prefix": "+1 (310)"}, "f"),
        ({"caller_ends": "99"}, "f"),
        ({"dialled": "+18005550002"}, "h"),
        ({"ended_by": "buyer"}, "h"),
        ({"worker": "dcx-1"}, "h"),
        ({"test": "true"}, "e"),
    ],
)
async def test_filters(db: Database, filters: dict[str, str], found: str):
    assert await ids(db, filters) == found


async def test_a_city_has_its_comma_where_the_asker_divides_the_values_himself(db: Database):
    async with db.read() as session:
        page = await list_calls(session, Query({"caller_city": ["New York, NY"]}))
    assert [each["id"] for each in page.items] == ["call0000d"]


@pytest.mark.parametrize(
    ("filters", "error", "field"),
    [
        ({"statsu": "BUSY"}, UnknownKey, "statsu"),
        ({"status": "FINE"}, Invalid, "status"),
        ({"date": "28.11.2025"}, Invalid, "date"),
        ({"date": "9999-12-31"}, Invalid, "date"),
        ({"date_from": "yesterday"}, Invalid, "date_from"),
        ({"date_to": "2026-13-01"}, Invalid, "date_to"),
        ({"time_of_day": "9-25"}, Invalid, "time_of_day"),
        ({"time_of_day": "13pm-2pm"}, Invalid, "time_of_day"),
        ({"duration_min": "1e99999999"}, Invalid, "duration_min"),
        ({"revenue_max": "NaN"}, Invalid, "revenue_max"),
        ({"caller": "*'; DROP TABLE calls"}, Invalid, "caller"),
        ({"caller_prefix": "%"}, Invalid, "caller_prefix"),
        ({"hour": "24"}, Invalid, "hour"),
        ({"weekday": "someday"}, Invalid, "weekday"),
        ({"has_recording": "perhaps"}, Invalid, "has_recording"),
        ({"caller": "\x00"}, Invalid, "caller"),
        ({"direction": "sideways"}, Invalid, "direction"),
        ({"failure_group": "bad luck"}, Invalid, "failure_group"),
        ({"worker": ",".join("x" * 501)}, Invalid, "worker"),
    ],
)
async def test_what_is_refused(db: Database, filters: dict[str, str], error: type[Exception], field: str):
    with pytest.raises(error) as told:
        await ids(db, filters)
    assert told.value.field == field  # type: ignore[attr-defined]


async def test_every_filter_is_tried_above():
    marks: Any = test_filters.pytestmark  # type: ignore[attr-defined]
    tried = {calls.call_filters.ALIASES.get(name, name) for filters, _ in marks[0].args[1] for name in filters}
    assert set(FILTERS) - tried == {"group", "flow"}  # made the same way as buyer


async def test_time_of_day_is_the_clocks_on_the_days_that_it_is_changed(own: Database):
    """9:30 in New York is 14:30 UTC in winter and 13:30 in summer; 1:30 comes twice on the first of November."""
    for n, moment in enumerate((at("2026-03-07T09:30"), at("2026-03-09T09:30"), at("2026-11-01T01:30"))):
        await add(own, call(f"clock000{n}", moment))
    await add(own, call("clock0003", at("2026-11-01T01:30", fold=1)))
    found = {"date_from": "2026-03-07", "time_of_day": "09:30-09:31"}
    assert await ids(own, found) == "10"
    assert await ids(own, {"date": "2026-11-01", "time_of_day": "01:00-02:00"}) == "32"


async def test_a_test_call_makes_no_duplicate(own: Database):
    for n, test in enumerate((True, False, False)):
        await add(own, call(f"again000{n}", NOON + n, caller="+14155550100", campaign_id=1, test=test))
    found = await ids(own, {"duplicate": "true", "caller": "+14155550100"})
    assert found == "2"


async def test_search(own: Database):
    await add(own, call("named0001", NOON, caller="+14155550123", caller_name="Ann_Example"))
    assert await ids(own, {}, search="415-555") == "1"
    assert await ids(own, {}, search="ann_") == "1"
    assert await ids(own, {}, search="a%n") == ""
    assert await ids(own, {}, search="NAMED0") == "1"


@pytest.mark.parametrize(
    ("sort_by", "descending", "order"),
    [
        ("started_at", False, "abcdefgh"),
        ("duration", True, "abhgfedc"),
        ("revenue_cents", False, "abcdefhg"),
        ("caller", True, "efhgdcba"),
    ],
)
async def test_pages_of_any_order_join_up(db: Database, sort_by: str, descending: bool, order: str):
    found, cursor = "", None
    while True:
        async with db.read() as session:
            query = Query(sort_by=sort_by, descending=descending, limit=3, cursor=cursor)
            page = await list_calls(session, query)
        found += "".join(each["id"][-1] for each in page.items)
        assert (page.total, page.exact) == (8, True)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == order


async def test_a_cursor_of_another_order_is_refused(db: Database):
    async with db.read() as session:
        page = await list_calls(session, Query(limit=3))
        with pytest.raises(Invalid, match="cursor"):
            await list_calls(session, Query(sort_by="caller", limit=3, cursor=page.next_cursor))
        with pytest.raises(UnknownKey, match="sort_by"):
            await list_calls(session, Query(sort_by="decision"))


async def test_matches_are_counted_only_so_far(db: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(calls, "COUNT_UP_TO", 5)
    async with db.read() as session:
        page = await list_calls(session, Query(limit=2))
        uncounted = await list_calls(session, Query(limit=2), count=False)
        last = await list_calls(session, Query({"status": ["COMPLETED"]}, limit=4), count=False)
    assert (page.total, page.exact) == (5, False)
    assert (uncounted.total, uncounted.exact) == (-1, False)
    assert (last.total, last.exact) == (4, True)  # plain to see


@pytest.mark.parametrize(
    "filters",
    [
        {"status": ["BUSY", "FAILED"], "buyer": ["1", "2"], "campaign": ["1", "2"], "caller_state": ["NY"]},
        {"duration_min": ["5"], "time_of_day": ["9:00-17:00"], "has_conversion": ["true"]},
        {"revenue_min": ["5"], "outcome": ["follow-up"], "caller_ends": ["00"]},
        {"has_recording": ["true"], "direction": ["inbound"], "failure_group": ["caller-hung-up"]},
        {"date": ["2026-03-02"], "status": ["BUSY"]},
        {"campaign": ["1"], "status": ["BUSY"], "date_from": ["2026-03-02"]},
    ],
)
async def test_a_page_comes_from_an_index_in_order(
    db: Database, explained: Callable[[Database], list[str]], filters: dict[str, list[str]]
):
    """Whatever is filtered by: no plan goes through the rows, none collects and sorts all matches."""
    plans = explained(db)
    async with db.read() as session:
        await list_calls(session, Query(filters, limit=2))
    assert any("USING COVERING INDEX ix_calls_log" in plan or "INDEX ix_calls_campaign" in plan for plan in plans)
    assert not [plan for plan in plans if "SCAN calls\n" in plan or "TEMP B-TREE FOR ORDER BY" in plan]


@pytest.fixture
def explained() -> Callable[[Database], list[str]]:
    def listen(db: Database) -> list[str]:
        plans: list[str] = []

        @event.listens_for(db.engine.sync_engine, "before_cursor_execute")
        def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            if statement.startswith("SELECT calls"):
                cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.append("".join(f"{row[3]}\n" for row in cursor.fetchall()))

        return plans

    return listen


# -- who may see what -------------------------------------------------------------------------------------------


async def test_a_buyer_sees_its_own_calls_and_not_what_others_are_paid(db: Database):
    mine = scoped(db, buyer_id=1)
    assert await ids(mine, {}) == "a"
    assert await ids(mine, {"campaign": "Solar"}) == "a"
    async with mine.read() as session:
        [row] = (await list_calls(session, Query())).items
        assert not {"payout_cents", "cost_cents", "traffic_source", "traffic_source_id", "tags"} & set(row)
        assert "revenue_cents" in row
        with pytest.raises(NotFound):
            await show_call(session, "call0000b")
        assert (await show_call(session, "call00"))["id"] == "call0000a"  # no hint of the others that begin so
        for name in ("source", "tags"):
            with pytest.raises(UnknownKey):
                await list_calls(session, Query({name: ["1"]}))
        with pytest.raises(UnknownKey):
            await list_calls(session, Query(sort_by="payout_cents"))


async def test_a_source_sees_its_own_calls_and_neither_buyer_nor_revenue(own: Database):
    await add(own, Leg(id="call0000a.leg1", call_id="call0000a", buyer_id=1, endpoint="PJSIP/x"))
    mine = scoped(own, source_id=1)
    assert await ids(mine, {}) == "a"
    async with mine.read() as session:
        shown = await show_call(session, "call0000a")
        hidden = {
            "revenue_cents",
            "buyer",
            "buyer_id",
            "converted",
            "legs",
            "decision",
            "postback_key",
            "money",
            "notes",
        }
        assert not hidden & set(shown)
        assert shown["payout_cents"] == 0
        assert "path" not in shown["recordings"][0]
        for name in ("buyer", "revenue_min", "has_conversion"):
            with pytest.raises(UnknownKey):
                await list_calls(session, Query({name: ["1"]}))


async def test_a_buyer_sees_its_own_legs_only(own: Database):
    await add(
        own,
        Leg(id="call0000a.leg1", call_id="call0000a", buyer_id=2, endpoint="PJSIP/other"),
        Leg(id="call0000a.leg2", call_id="call0000a", buyer_id=1, endpoint="PJSIP/own"),
    )
    async with scoped(own, buyer_id=1).read() as session:
        shown = await show_call(session, "call0000a")
    assert [leg["endpoint"] for leg in shown["legs"]] == ["PJSIP/own"]


# -- one call ---------------------------------------------------------------------------------------------------


async def test_a_call_is_found_by_the_beginning_of_its_id(own: Database):
    await add(own, call("zzzzzzzz1", NOON), call("unique-call_1", NOON))
    async with own.read() as session:
        assert (await show_call(session, " UNIQUE-c "))["id"] == "unique-call_1"
        assert (await show_call(session, "zzzzzz"))["id"] == "zzzzzzzz1"
        with pytest.raises(Invalid, match="more than one"):
            await show_call(session, "call00")
        for text in ("unique%", "", "uniq", "нет", "x" * 65, "zzzzzz9"):
            with pytest.raises(NotFound):
                await show_call(session, text)


async def test_a_recording_that_was_deleted_says_so(db: Database):
    async with db.read() as session:
        [shown] = (await show_call(session, "call0000b"))["recordings"]
    assert (shown["state"], shown["delete_reason"]) == ("deleted", "rule 1")
    assert shown["deleted_at"] == "1970-01-01T00:00:00.002Z"


async def test_the_models_say_what_the_index_has():
    columns = next(index for index in Call.__table__.indexes if index.name == "ix_calls_log")  # type: ignore[attr-defined]
    wanted = {each.column for each in FILTERS.values()} - {"tags", "flow_id", "dialled", "ended_by", "worker"}
    assert wanted - {"traffic_source"} <= {column.name for column in columns.columns}
    assert Recording.__tablename__ == "recordings"
