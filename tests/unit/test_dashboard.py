"""Reports and dashboards over the API: the exact shapes, who may see what, and figures that agree with the calls."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from report_kit import NOW, ZONE, Made, configure
from typer.testing import CliRunner

from dcx_ari.api.app import make_app
from dcx_ari.decide.caps import Hold
from dcx_ari.services import rows
from dcx_ari.services.call_view import View
from dcx_ari.services.dashboard import comparative_stats
from dcx_ari.services.errors import Invalid
from dcx_ari.services.keys import create_key
from dcx_ari.services.performance import buyer_performance
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import open_database
from dcx_ari.store.ledger import open_ledger
from dcx_cli.main import app as root

pytestmark = [pytest.mark.unit, pytest.mark.databases]
Client = TestClient[web.Request, web.Application]


@pytest.fixture(scope="module")
def template(dbms: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(configure(path))
    return path


@pytest.fixture
async def made(tmp_path: Path, template: Path) -> AsyncIterator[Made]:
    shutil.copy(template, tmp_path / "dcx.db")
    url = f"sqlite:///{tmp_path}/dcx.db"
    database, ledger = open_database(url), open_ledger(url)
    yield Made(database, ledger)
    await ledger.close()
    await database.close()


@pytest.fixture
def _at_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API's clock stands at the calls' own day."""
    for module in ("dcx_ari.api.reports", "dcx_ari.api.dashboard"):
        monkeypatch.setattr(f"{module}.now_ms", lambda: NOW)


@pytest.fixture
async def client(made: Made, _at_now: None) -> AsyncIterator[Client]:
    async with TestClient(TestServer(make_app(made.database, zone=ZONE.key))) as each:
        yield each


async def key(made: Made, role: str = "viewer", **fields: Any) -> dict[str, str]:
    async with made.database.write() as session:
        name = f"{role}{len(fields)}{fields}"[:90]
        _, secret = await create_key(session, name, role, rate_limit_per_minute=0, **fields)
    return {"Authorization": f"Bearer {secret}"}


async def ask(client: Client, path: str, headers: dict[str, str], status: int = 200, **query: str) -> Any:
    answer = await client.get(path, headers=headers, params=query)
    assert answer.status == status, await answer.text()
    return await answer.json()


async def stats(made: Made, view: View | None = None, **given: Any) -> dict[str, Any]:
    async with made.database.read() as session:
        return await comparative_stats(session, view or View(ZONE), NOW, **given)


async def test_the_json_of_two_days(made: Made, client: Client):
    for _ in range(3):
        await made.call("2026-03-10T09:00", price=1000)
    for _ in range(2):
        await made.call("2026-03-09T16:00", price=900)
    await made.call("2026-03-09T09:00")
    answer = await client.get("/api/dashboard/comparative-stats", headers=await key(made))
    assert await answer.json() == {
        "today": {"calls": 3, "revenue": 3000, "conversions": 3},
        "yesterday": {"calls": 3, "revenue": 1800, "conversions": 2},
        "delta": {"calls": "+0%", "revenue": "+66%", "conversions": "+50%"},
    }
    assert answer.headers["Cache-Control"] == "private, max-age=5"
    assert answer.headers["Last-Modified"] == "Tue, 10 Mar 2026 19:00:00 GMT"


async def test_full_or_elapsed(made: Made):
    await made.call("2026-03-10T09:00", price=1000)
    await made.call("2026-03-09T14:59", price=500)  # now it is 15:00
    await made.call("2026-03-09T15:01", price=500)
    full, elapsed = await stats(made), await stats(made, compare="elapsed")
    assert (full["yesterday"]["calls"], elapsed["yesterday"]["calls"]) == (2, 1)
    assert (full["delta"]["calls"], elapsed["delta"]["calls"]) == ("-50%", "+0%")
    whole = await stats(made, day="2026-03-09", compare_day="2026-03-10", compare="elapsed")
    assert whole["yesterday"]["calls"] == 1  # a day that is over has gone by whole


async def test_days_that_are_asked_for(made: Made):
    await made.call("2026-03-02T09:00")
    found = await stats(made, day="2026-03-02", compare_day="2026-02-23")
    assert (found["today"]["calls"], found["delta"]) == (1, {"calls": None, "revenue": "+0%", "conversions": "+0%"})
    assert (await stats(made, day="yesterday"))["today"]["calls"] == 0
    for wrong in ({"day": "tomorrow"}, {"compare_day": "0001-01-01"}, {"compare": "half"}):
        with pytest.raises(Invalid):
            await stats(made, **wrong)


async def test_buyers_yesterday_today_and_now(made: Made, client: Client):
    await made.call("2026-03-09T09:00", price=700)
    await made.call(price=1000)
    await made.call()
    hold = Hold("buyer", 1, "attempt", "concurrent", "now", 1, 2)
    daily = Hold("buyer", 1, "connect", "day", "2026-03-10", 4, 10)
    await made.ledger.reserve("up", 1, [hold, daily])
    found = await ask(client, "/api/dashboard/buyer-performance", await key(made))
    assert found["updated_at"] == "2026-03-10T19:00:00.000Z"
    acme, best, _ = found["data"]
    assert acme == {
        "buyer_id": 1,
        "buyer": "Acme",
        "status": "ACTIVE",
        "tier": 0,
        "yesterday": 1,
        "today": 2,
        "live": 1,
        "concurrency_limit": 2,
        "converted": 1,
        "revenue_cents": 1000,
        "average_revenue_cents": 500,
        "cap_remaining": 6,
        "maxed_out": False,
        "closes_at": None,
    }
    unlimited = (best["cap_remaining"], best["concurrency_limit"], best["average_revenue_cents"], best["live"])
    assert unlimited == (None, None, None, 0)


async def test_when_a_buyer_closes(made: Made):
    async with made.database.write() as session:
        hours = {"name": "Day", "timezone": "America/New_York", "weekly": {"tue": [["09:00", "17:30"]]}}
        schedule = await rows.create(session, RESOURCES["schedules"], hours)
        await rows.change(session, RESOURCES["buyers"], "Best", {"schedule_id": schedule["id"]})
    async with made.database.read() as session:
        found = await buyer_performance(session, View(ZONE), NOW)
        late = await buyer_performance(session, View(ZONE), NOW + 3 * 3_600_000)
    assert [row["closes_at"] for row in found["data"]] == [None, "2026-03-10T21:30:00.000Z", None]
    assert [row["closes_at"] for row in late["data"]] == [None, None, None]


async def test_sources(made: Made, client: Client):
    await made.call(price=1000, payout=400)
    await made.call(buyer=None)
    async with made.database.write() as session:
        await rows.change(session, RESOURCES["sources"], "Web", {"daily_call_cap": 5})
    radio, web_ = (await ask(client, "/api/dashboard/traffic-source-performance", await key(made)))["data"]
    assert {name: radio[name] for name in ("today", "connected", "attempted", "converted", "payout_cents")} == {
        "today": 2,
        "connected": 1,
        "attempted": 2,
        "converted": 1,
        "payout_cents": 400,
    }
    assert (radio["cap_remaining"], web_["cap_remaining"], web_["today"]) == (None, 5, 0)


async def test_widgets(made: Made, client: Client):
    await made.call(price=1000, payout=400, cost=25, talk_ms=61_000)
    await made.call(buyer=None)
    await made.call(live=True, buyer=None)
    found = await ask(client, "/api/dashboard/summary", await key(made))
    assert found["calls_by_status"] == [
        {"status": "COMPLETED", "calls": 1},
        {"status": "IN_PROGRESS", "calls": 1},
        {"status": "NO_ANSWER", "calls": 1},
    ]
    assert (found["telephone_cost_cents"], found["profit_cents"], found["revenue_per_call_cents"]) == (25, 575, 333)
    assert (found["average_call_length_s"], found["calls_in_progress"]) == (61.0, 1)
    assert found["active_cc"] == {"used": 0, "limit": None}  # one buyer has no limit: there is none in all
    assert found["source_conversions"] == {"attempted": 3, "converted": 1}
    assert found["buyer_conversions"] == {"attempted": 1, "converted": 1}
    assert (found["from_date"], found["updated_at"]) == ("2026-03-10", "2026-03-10T19:00:00.000Z")
    await ask(client, "/api/dashboard/summary", await key(made, "manager"), 422, date_range="ever")


async def test_active_calls_beside_the_sum_of_limits(made: Made, client: Client):
    async with made.database.write() as session:
        await rows.change(session, RESOURCES["buyers"], "Best", {"concurrency_limit": 3})
        await rows.change(session, RESOURCES["buyers"], "=cmd()", {"status": "INACTIVE"})
    await made.ledger.reserve("up", 1, [Hold("buyer", 2, "attempt", "concurrent", "now", 1, 3)])
    found = await ask(client, "/api/dashboard/summary", await key(made))
    assert found["active_cc"] == {"used": 1, "limit": 5}


async def test_a_report_over_the_api(made: Made, client: Client):
    viewer = await key(made)
    await made.call(price=1000)
    await made.call(source=2)
    query = {"group_by": "buyer", "date_range": "last_7_days"}
    found = await ask(client, "/api/calls/report", viewer, **query)
    assert (found["group_by"], found["from_date"], found["to_date"]) == (["buyer"], "2026-03-04", "2026-03-10")
    assert (found["timezone"], found["updated_at"]) == ("America/New_York", "2026-03-10T19:00:00.000Z")
    assert [row["calls"] for row in found["data"]] == [2]
    only = await ask(client, "/api/calls/report", viewer, source="Web", group_by="source,day", sort_by="calls")
    assert [(row["source"], row["calls"]) for row in only["data"]] == [("Web", 1)]
    filtered = await client.get("/api/calls/report?filters[source]=Web", headers=viewer)
    assert (await filtered.json())["totals"]["calls"] == 1
    for wrong, status in (({"group_by": "x"}, 422), ({"sauce": "Web"}, 400), ({"limit": "-1"}, 422)):
        await ask(client, "/api/calls/report", viewer, status, **wrong)


@pytest.mark.parametrize(
    ("wanted", "media", "name", "begins"),
    [
        ("csv", "text/csv", "calls-by-buyer-2026-03-04-2026-03-10.csv", b"buyer,calls"),
        ("xlsx", "application/vnd.openxml", "calls-by-buyer-2026-03-04-2026-03-10.xlsx", b"PK"),
        ("excel", "application/vnd.openxml", "calls-by-buyer-2026-03-04-2026-03-10.xlsx", b"PK"),
        ("pdf", "application/pdf", "calls-by-buyer-2026-03-04-2026-03-10.pdf", b"%PDF-1."),
    ],
)
async def test_reports_as_files(made: Made, client: Client, wanted: str, media: str, name: str, begins: bytes):
    await made.call()
    answer = await client.get(f"/api/calls/report?format={wanted}", headers=await key(made))
    assert answer.headers["Content-Type"].startswith(media)
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert (await answer.read()).startswith(begins)


async def test_no_other_formats(made: Made, client: Client):
    answer = await ask(client, "/api/calls/report", await key(made), 422, format="docx")
    assert "csv, excel" in answer["error"]["message"]


async def test_who_may_see_what(made: Made, client: Client):
    await made.call(price=1000, payout=400)
    await made.call(buyer=2, source=2, price=900, payout=300)
    agent = await key(made, "agent")
    buyer, source = await key(made, "viewer", buyer_id=1), await key(made, "viewer", traffic_source_id=1)
    await ask(client, "/api/calls/report", agent, 403)
    compare = "/api/dashboard/comparative-stats"
    assert (await ask(client, compare, buyer))["today"] == {"calls": 1, "revenue": 1000, "conversions": 1}
    assert (await ask(client, compare, source))["today"] == {"calls": 1, "revenue": 400, "conversions": 1}
    assert [row["buyer"] for row in (await ask(client, "/api/dashboard/buyer-performance", buyer))["data"]] == ["Acme"]
    await ask(client, "/api/dashboard/buyer-performance", source, 403)
    await ask(client, "/api/dashboard/traffic-source-performance", buyer, 403)
    (own,) = (await ask(client, "/api/dashboard/traffic-source-performance", source))["data"]
    assert (own["source"], own["payout_cents"], "revenue_cents" in own) == ("Radio", 400, False)
    seen = await ask(client, "/api/dashboard/summary", source)
    assert {"revenue_cents", "telephone_cost_cents", "profit_cents", "buyer_conversions"}.isdisjoint(seen)
    assert {"payout_cents", "profit_cents"}.isdisjoint(await ask(client, "/api/dashboard/summary", buyer))


def test_the_command(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copy(template, tmp_path / "dcx.db")
    monkeypatch.setenv("DCX_HOME", str(tmp_path))
    monkeypatch.delenv("DCX_DATABASE_URL", raising=False)
    shown = CliRunner().invoke(root, ["dashboard"])
    assert shown.exit_code == 0
    assert "Acme" in shown.output
    assert "Radio" in shown.output
    assert "∞" in shown.output
    told = CliRunner().invoke(root, ["dashboard", "--json", "--compare", "elapsed"])
    assert '"delta"' in told.output
