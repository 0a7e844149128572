"""Reports: they add up to the ledger, group and filter as asked, and are told as files without formulas."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_kit import NOW, ZONE, Made, configure, ms
from typer.testing import CliRunner

from dcx_ari.services.call_view import View
from dcx_ari.services.errors import Forbidden, Invalid, UnknownKey
from dcx_ari.services.report_dims import DIMENSIONS
from dcx_ari.services.report_files import to_csv, to_xlsx
from dcx_ari.services.reports import Report, report, spec_of
from dcx_ari.store.db import open_database
from dcx_ari.store.ledger import open_ledger
from dcx_cli.main import app as root

pytestmark = pytest.mark.unit
ALL = View(ZONE)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(configure(path))
    return path


@pytest.fixture
async def made(tmp_path: Path, template: Path) -> AsyncIterator[Made]:
    shutil.copy(template, tmp_path / "dcx.db")
    async for each in opened(tmp_path / "dcx.db"):
        yield each


async def opened(path: Path) -> AsyncIterator[Made]:
    database, ledger = open_database(f"sqlite:///{path}"), open_ledger(f"sqlite:///{path}")
    try:
        yield Made(database, ledger)
    finally:
        await ledger.close()
        await database.close()


async def of(made: Made, group_by: str = "buyer", view: View = ALL, **given: Any) -> Report:
    async with made.database.read() as session:
        return await report(session, spec_of(group_by, **given), view, NOW)


def column(found: Report, name: str) -> dict[Any, Any]:
    """One figure by the values of the dimensions."""
    keys = [tuple(row[each] for each in found.group_by) for row in found.rows]
    return {key[0] if len(key) == 1 else key: row[name] for key, row in zip(keys, found.rows, strict=True)}


# -- the ledger ---------------------------------------------------------------------------------------------------

CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.integers(NOW - 9 * 86_400_000, NOW),
            "buyer": st.sampled_from([1, 2, 3]),
            "source": st.sampled_from([1, 2]),
            "price": st.none() | st.integers(0, 100_000),
            "payout": st.integers(0, 5_000),
            "cost": st.integers(0, 300),
            "live": st.booleans(),
            "corrections": st.lists(st.integers(-100_000, 100_000), max_size=3),
        }
    ),
    max_size=12,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=CALLS)
def test_totals_are_the_ledger_s_to_the_cent(template: Path, calls: list[dict[str, Any]]):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dcx.db"
        shutil.copy(template, path)
        found = asyncio.run(_made_and_reported(path, calls))
        with closing(sqlite3.connect(path)) as db:
            for name, one in found.items():
                for kind in ("revenue", "payout", "cost"):
                    expected = _booked(db, kind)
                    assert one.totals[f"{kind}_cents"] == sum(expected.values()), (name, kind)
                    assert sum(row[f"{kind}_cents"] for row in one.rows) == sum(expected.values())
                total = one.totals
                cost = total["revenue_cents"] - total["payout_cents"] - total["cost_cents"]
                assert total["profit_cents"] == cost == sum(row["profit_cents"] for row in one.rows)
            by_buyer = {row["buyer_id"]: row["revenue_cents"] for row in found["buyer"].rows}
            assert {key: cents for key, cents in by_buyer.items() if cents} == _booked(db, "revenue")


async def _made_and_reported(path: Path, calls: list[dict[str, Any]]) -> dict[str, Report]:
    reports: dict[str, Report] = {}
    async for made in opened(path):
        for call in calls:
            corrections = call.pop("corrections")
            call_id = await made.call(**call)
            for n, cents in enumerate(corrections):
                await made.adjust(call_id, cents, f"postback:{n}")
                await made.adjust(call_id, cents, f"postback:{n}")  # told twice, booked once
        for name in ("buyer", "source", "day", "hour", "status", "vertical", "buyer,weekday"):
            reports[name] = await of(made, name, date_range="last_30_days")
        assert await made.ledger.verify() == []
    return reports


def _booked(db: sqlite3.Connection, kind: str) -> dict[int, int]:
    """Cents in the ledger by buyer of the call."""
    sql = (
        "SELECT c.buyer_id, SUM(m.amount_cents) FROM money_entries m JOIN calls c ON c.id = m.call_id "
        "WHERE m.kind = ? AND NOT c.test GROUP BY c.buyer_id HAVING SUM(m.amount_cents) <> 0"
    )
    return dict(db.execute(sql, (kind,)).fetchall())


async def test_the_money_of_a_call_that_is_up_counts_already(made: Made):
    call_id = await made.call(price=1500, live=True)
    found = await of(made)
    assert (found.totals["calls"], found.totals["revenue_cents"], found.totals["converted"]) == (1, 1500, 1)
    await made.adjust(call_id, -500, "postback:1")
    assert (await of(made)).totals["revenue_cents"] == 1000


# -- what is asked ------------------------------------------------------------------------------------------------


async def test_columns_of_a_group(made: Made):
    await made.call(price=1500, payout=700, cost=33, talk_ms=90_000)
    await made.call(talk_ms=30_500, cost=7)
    await made.call(buyer=None)
    found = await of(made)
    acme, none = found.rows
    assert acme == {
        "buyer": "Acme",
        "buyer_id": 1,
        "calls": 2,
        "connected": 2,
        "converted": 1,
        "conversion_percent": 50.0,
        "average_duration_s": 60.3,
        "revenue_cents": 1500,
        "payout_cents": 700,
        "cost_cents": 40,
        "profit_cents": 760,
        "rpc_cents": 750,
    }
    assert (none["buyer"], none["buyer_id"], none["calls"], none["connected"]) == (None, None, 1, 0)
    assert (none["average_duration_s"], none["rpc_cents"], none["conversion_percent"]) == (None, 0, 0.0)
    assert (found.totals["calls"], found.totals["conversion_percent"], found.totals["rpc_cents"]) == (3, 33.33, 500)


async def test_nothing_at_all_has_totals_and_no_averages(made: Made):
    found = await of(made, "buyer,day")
    assert found.rows == []
    assert found.totals["calls"] == found.totals["profit_cents"] == 0
    assert found.totals["rpc_cents"] is found.totals["conversion_percent"] is None


@pytest.mark.parametrize(
    ("group_by", "expected"),
    [
        ("campaign", {"Solar": 2, "Auto": 1}),
        ("source", {"Radio": 2, "Web": 1}),
        ("number", {"+18005550001": 2, "+18005550002": 1}),
        ("vertical", {"SOLAR": 2, "AUTO": 1}),
        ("state", {"NY": 2, None: 1}),
        ("day", {"2026-03-08": 1, "2026-03-10": 2}),
        ("week", {"2026-W10": 1, "2026-W11": 2}),
        ("month", {"2026-03": 3}),
        ("weekday", {"tue": 2, "sun": 1}),
        ("hour", {0: 1, 14: 2}),
        ("status", {"COMPLETED": 2, "NO_ANSWER": 1}),
        ("failure-reason", {"all_no_answer": 1, None: 2}),
        ("direction", {"inbound": 3}),
        ("duplicate", {"yes": 1, "no": 2}),
        ("outcome", {None: 3}),
        ("group", {None: 3}),
        ("city", {None: 3}),
        ("source, status", {("Radio", "COMPLETED"): 1, ("Radio", "NO_ANSWER"): 1, ("Web", "COMPLETED"): 1}),
    ],
)
async def test_every_dimension(made: Made, group_by: str, expected: dict[Any, int]):
    await made.call("2026-03-08T00:30", caller="+12125550199")
    await made.call(buyer=None, caller="+12125550199")
    await made.call(source=2, caller_state=None)
    await made.call(test=True)  # test calls are nobody's business
    found = await of(made, group_by)
    assert column(found, "calls") == expected


def test_every_dimension_is_tested_above():
    marks = test_every_dimension.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {"buyer", *(name.replace("-", "_").split(",")[0] for name, _ in marks)} == set(DIMENSIONS)


async def test_order_level_by_level_and_on_demand(made: Made):
    for at, buyer in (("2026-03-09T10:00", 1), ("2026-03-10T10:00", 2), ("2026-03-10T11:00", 2)):
        await made.call(at, buyer=buyer, price=100 * buyer)
    await made.call("2026-03-09T10:00", buyer=None)
    levels = list(column(await of(made, "buyer,day"), "calls"))
    assert levels == [("Best", "2026-03-10"), ("Acme", "2026-03-09"), (None, "2026-03-09")]
    by_revenue = await of(made, "buyer", sort_by="revenue", descending=False)
    assert list(column(by_revenue, "revenue_cents").values()) == [0, 100, 400]
    assert list(column(await of(made, "day", sort_by="calls"), "calls")) == ["2026-03-09", "2026-03-10"]
    assert len((await of(made, "buyer", limit=1)).rows) == 1
    assert (await of(made, "buyer", limit=1)).totals["calls"] == 4  # of all calls, not of the rows shown


async def test_days_are_the_company_s_and_both_included(made: Made):
    await made.call(ms("2026-03-10T00:00") - 1)
    await made.call("2026-03-10T00:00")
    assert column(await of(made, "day", date_range="today"), "calls") == {"2026-03-10": 1}
    both = await of(made, "day", from_date="2026-03-09", to_date="2026-03-10")
    assert column(both, "calls") == {"2026-03-09": 1, "2026-03-10": 1}
    assert both.as_json()["from_date"] == "2026-03-09"
    since = await of(made, "day", from_date="2026-03-10")  # to_date: today
    assert column(since, "calls") == {"2026-03-10": 1}


async def test_filters_are_those_of_the_call_log(made: Made):
    await made.call(price=1500)
    await made.call(buyer=2, source=2)
    await made.call(test=True, buyer=3)
    assert column(await of(made, filters={"source": ["Web"]}), "calls") == {"Best": 1}
    assert column(await of(made, filters={"has_conversion": ["true"], "buyer": ["Acme", "Best"]}), "calls") == {
        "Acme": 1
    }
    assert column(await of(made, filters={"test": ["true"]}), "calls") == {"=cmd()": 1}
    with pytest.raises(UnknownKey, match="sauce"):
        await of(made, filters={"sauce": ["Web"]})
    with pytest.raises(Invalid, match="date_range"):
        await of(made, filters={"from": ["2026-03-01"]})


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"group_by": "bayer"}, "group_by"),
        ({"group_by": ""}, "group_by"),
        ({"group_by": "buyer,day,hour"}, "group_by"),
        ({"group_by": "buyer,buyer"}, "group_by"),
        ({"group_by": "buyer; DROP TABLE calls"}, "group_by"),
        ({"date_range": "last_8_days"}, "date_range"),
        ({"from_date": "31.01.2026"}, "from_date"),
        ({"to_date": "2026-02-30"}, "to_date"),
        ({"from_date": "2026-03-02", "to_date": "2026-03-01"}, "from_date"),
        ({"from_date": "0001-01-01", "to_date": "9999-12-31"}, "from_date"),
        ({"sort_by": "id"}, "sort_by"),
        ({"limit": -1}, "limit"),
    ],
)
async def test_what_cannot_be_asked(made: Made, given: dict[str, Any], field: str):
    with pytest.raises(Invalid) as caught:
        await of(made, **{"group_by": "buyer", **given})
    assert caught.value.field == field


async def test_a_deleted_buyer_keeps_its_calls(made: Made):
    await made.call(buyer=99)
    assert column(await of(made), "calls") == {"#99 (deleted)": 1}


# -- who asks -----------------------------------------------------------------------------------------------------


async def test_a_buyer_sees_its_calls_and_what_it_pays(made: Made):
    await made.call(price=1500, payout=700, cost=30)
    await made.call(buyer=2, price=900)
    found = await of(made, "day", View(ZONE, buyer_id=1))
    assert (found.totals["calls"], found.totals["revenue_cents"]) == (1, 1500)
    assert {"payout_cents", "cost_cents", "profit_cents"}.isdisjoint(found.figures)
    for name in ("source", "group"):
        with pytest.raises(Forbidden):
            await of(made, name, View(ZONE, buyer_id=1))
    with pytest.raises(UnknownKey):
        await of(made, "day", View(ZONE, buyer_id=1), filters={"source": ["Radio"]})


async def test_a_source_sees_its_calls_and_what_it_earns(made: Made):
    await made.call(price=1500, payout=700)
    await made.call(source=2, payout=100)
    found = await of(made, "hour", View(ZONE, source_id=1))
    assert (found.totals["calls"], found.totals["payout_cents"]) == (1, 700)
    assert {"revenue_cents", "rpc_cents", "converted", "profit_cents"}.isdisjoint(found.figures)
    with pytest.raises(Forbidden):
        await of(made, "buyer", View(ZONE, source_id=1))
    with pytest.raises(Forbidden):
        await of(made, "hour", View(ZONE, source_id=1), number_cost=True)


# -- rent of numbers ----------------------------------------------------------------------------------------------


async def test_rent_is_borne_by_the_calls_of_a_number(made: Made):
    async with made.database.write_connection() as connection:
        await connection.exec_driver_sql(
            f"UPDATE numbers SET created_at = {ms('2026-02-01T00:00')}"  # noqa: S608
        )
    for buyer in (1, 1, 2):
        await made.call(buyer=buyer, cost=5)
    # 1 to 10 March: ten days of 31, of 3.10 and of 6.20 a month; nobody called the second number.
    found = await of(made, date_range="this_month", number_cost=True)
    assert column(found, "number_cost_cents") == {"Acme": 67, "Best": 33}
    assert column(found, "cost_cents") == {"Acme": 77, "Best": 38}
    assert (found.totals["number_cost_cents"], found.totals["cost_cents"]) == (300, 315)
    assert found.totals["profit_cents"] == -315
    only = await of(made, date_range="this_month", number_cost=True, filters={"buyer": ["Best"]})
    assert only.totals["number_cost_cents"] == 33  # its part; the rest is left to the calls that are not shown


# -- files --------------------------------------------------------------------------------------------------------


async def test_csv_has_the_columns_of_the_json_and_no_formulas(made: Made):
    await made.call(buyer=3, price=1500)
    found = await of(made)
    header, row, totals = csv.reader(io.StringIO(to_csv(found), newline=""))
    assert header == ["buyer", *found.figures]
    assert (row[0], row[1], totals[0], totals[1]) == ("'=cmd()", "1", "total", "1")
    assert row[header.index("revenue_cents")] == "1500"


async def test_the_workbook_has_rows_charts_and_no_formulas(made: Made):
    await made.call(buyer=3, price=1500)
    await made.call(buyer=1)
    with zipfile.ZipFile(io.BytesIO(to_xlsx(await of(made, "buyer,day")))) as book:
        names = set(book.namelist())
        assert {"xl/worksheets/sheet1.xml", "xl/charts/chart1.xml", "xl/charts/chart2.xml"} <= names
        sheet, texts = book.read("xl/worksheets/sheet1.xml").decode(), book.read("xl/sharedStrings.xml").decode()
    assert "<f>" not in sheet
    assert "=cmd()" in texts
    assert "<v>15</v>" in sheet  # 1500 cents


async def test_an_empty_workbook_opens(made: Made):
    assert zipfile.is_zipfile(io.BytesIO(to_xlsx(await of(made))))


# -- the command line ---------------------------------------------------------------------------------------------


def test_the_command(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copy(template, tmp_path / "dcx.db")

    async def fill() -> None:
        async for made in opened(tmp_path / "dcx.db"):
            await made.call("2026-03-02T10:00", price=1500)
            await made.call("2026-03-03T10:00", buyer=2)

    asyncio.run(fill())
    monkeypatch.setenv("DCX_HOME", str(tmp_path))
    monkeypatch.delenv("DCX_DATABASE_URL", raising=False)
    days = ["--from", "2026-03-01", "--to", "2026-03-10"]

    def run(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(root, ["report", "calls", *arguments])
        assert result.exit_code == status, result.output
        return result.output

    shown = run(*days, "--group-by", "buyer,day")
    assert "Acme" in shown
    assert "Total" in shown
    assert "15.00" in shown
    assert "█" in shown
    assert "█" not in run(*days, "--no-chart")
    assert [row["buyer"] for row in json.loads(run(*days, "--json"))["data"]] == ["Acme", "Best"]
    assert run(*days, "--csv", "-").splitlines()[0].startswith("buyer,calls,")
    run(*days, "--csv", str(tmp_path / "a.csv"), "--xlsx", str(tmp_path / "a.xlsx"), "--filter", "source=Radio")
    assert (tmp_path / "a.csv").read_text("utf-8").startswith("buyer,calls,")
    assert zipfile.is_zipfile(tmp_path / "a.xlsx")
    assert "No calls" in run("--from", "2020-01-01", "--to", "2020-01-02")
    assert "bayer" in run("--group-by", "bayer", status=2)
