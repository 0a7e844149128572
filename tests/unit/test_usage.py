"""What rows show of their caps is what the engine would say: the same counters, the same rule."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows_kit import add, migrated, opened
from sqlalchemy import event, insert

from dcx_ari.decide import caps as decided
from dcx_ari.decide import rows as d
from dcx_ari.decide.periods import period_keys, zone_of
from dcx_ari.services import rows, usage
from dcx_ari.services.listing import Query, list_rows
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database
from dcx_ari.store.ledger.models import CapCounter

pytestmark = pytest.mark.unit
NEW_YORK = ZoneInfo("America/New_York")
NOON = 1_767_286_800_000


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="module", autouse=True)
def at_noon():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(usage, "now_ms", lambda: NOON)
        yield


@pytest.fixture
async def db(tmp_path: Path, template: Path):
    async with opened(template, tmp_path) as database:
        yield database


KINDS: dict[str, tuple[usage.Kind, type[Any], dict[str, Any]]] = {
    "buyer": (usage.BUYERS, d.Buyer, {"endpoint_value": "+12125550111", "cap_metric": "attempt"}),
    "group": (usage.GROUPS, d.Group, {}),
    "campaign": (usage.CAMPAIGNS, d.Campaign, {}),
    "source": (usage.SOURCES, d.Source, {}),
}


@given(st.data())
def test_maxed_out_is_what_the_engine_says(data: st.DataObject):
    kind, row_type, fixed = KINDS[data.draw(st.sampled_from(sorted(KINDS)))]
    limits = {cap.limit: data.draw(st.none() | st.integers(0, 3), cap.limit) for cap in kind.caps}
    if kind.enforced:
        limits[kind.enforced] = data.draw(st.booleans())
    row = row_type(id=7, name="N", **fixed, **limits)
    keys = period_keys(NOON, NEW_YORK)
    counters, used = {}, {}
    for cap in kind.caps:
        figure = data.draw(st.tuples(st.integers(0, 3), st.integers(0, 1)), cap.used)
        metric = cap.metric or "attempt"
        counters[7, metric, cap.period, keys[cap.period]] = figure
        used[decided.CounterKey(kind.scope, 7, metric, cap.period, keys[cap.period])] = sum(figure)
    shown = {"id": 7, "cap_metric": "attempt", **limits}
    values, maxed = usage._row(kind, shown, keys, counters)
    said = decided.maxed_out(decided.caps_of(row), used, NOON, NEW_YORK)
    assert sorted((cap, count, limit) for cap, count, limit, _ in maxed) == sorted(
        (m.cap, m.used, m.limit) for m in said
    )
    for cap in kind.caps:
        booked, held = counters[7, cap.metric or "attempt", cap.period, keys[cap.period]]
        assert values[cap.used] == (held if cap.period == "concurrent" else booked)


async def count(db: Database, scope: str, scope_id: int, metric: str, period: Any, zone: str, used: int, held: int = 0):
    key = period_keys(NOON, zone_of(zone))[period]
    values = {"scope": scope, "scope_id": scope_id, "metric": metric, "period": period, "period_key": key}
    async with db.write_connection() as connection:
        await connection.execute(insert(CapCounter.__table__).values(**values, used=used, held=held, rev=1))  # type: ignore[attr-defined]


async def test_a_page_shows_usage_in_each_rows_own_zone(db: Database):
    zones = ("Pacific/Kiritimati", "Pacific/Pago_Pago", None)  # 25 hours apart: never the same day
    for number, zone in enumerate(zones, 1):
        await add(
            db, "buyers", name=f"B{number}", endpoint_value="+12125550111", timezone=zone, daily_cap=5, total_cap=9
        )
        await count(db, "buyer", number, "connect", "day", zone or "America/New_York", number, held=1)
    await count(db, "buyer", 1, "connect", "day", "Pacific/Pago_Pago", 99)
    await count(db, "buyer", 2, "connect", "total", "UTC", 8, held=1)
    await count(db, "buyer", 2, "attempt", "concurrent", "UTC", 0, held=3)
    await count(db, "buyer", 3, "revenue_cents", "month", "America/New_York", 12_345)
    async with db.read() as session:
        first, second, third = (await list_rows(session, RESOURCES["buyers"], Query())).items
        assert await rows.get(session, RESOURCES["buyers"], 2) == second
    assert [row["daily_used"] for row in (first, second, third)] == [1, 2, 3]
    assert (second["concurrency_used"], second["concurrency_limit"]) == (3, None)
    assert second["maxed_by"] == [{"cap": "cap.total", "used": 9, "limit": 9, "resets_at": None}]
    assert (first["maxed_out"], second["maxed_out"], third["maxed_out"]) == (False, True, False)
    assert (third["revenue_used_monthly_cents"], third["revenue_used_daily_cents"]) == (12_345, 0)


async def test_a_closed_buyer_says_when_it_opens_again(db: Database):
    await add(db, "buyers", name="B", endpoint_value="+12125550111", timezone="Asia/Kolkata", daily_cap=0)
    async with db.read() as session:
        (row,) = (await list_rows(session, RESOURCES["buyers"], Query())).items
    (by,) = row["maxed_by"]
    opens = datetime.fromisoformat(by["resets_at"]).astimezone(ZoneInfo("Asia/Kolkata"))
    assert (by["cap"], by["used"], by["limit"], opens.hour, opens.minute) == ("cap.daily", 0, 0, 0, 0)


async def test_a_page_costs_one_look_however_long_it_is(db: Database):
    for number in range(6):
        await add(db, "buyers", name=f"B{number}", endpoint_value="+12125550111")
    seen: list[str] = []
    event.listen(db.engine.sync_engine, "before_cursor_execute", lambda _c, _k, text, *_: seen.append(text))
    async with db.read() as session:
        await list_rows(session, RESOURCES["buyers"], Query())
    assert [text.split(" ", 1)[0] for text in seen if not text.startswith("BEGIN")] == ["SELECT", "SELECT"]


@settings(max_examples=3)
@given(st.integers(0, 2))
def test_sources_groups_and_campaigns_have_them_too(template: Path, used: int):
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with opened(template, Path(folder)) as db:
                await add(db, "sources", name="S", daily_call_cap=2, auto_pause_on_cap=False)
                await add(db, "groups", name="G", daily_cap=2)
                await add(db, "campaigns", name="C", daily_cap=2)
                for scope in ("source", "group", "campaign"):
                    await count(db, scope, 1, "connect", "day", "America/New_York", used)
                async with db.read() as session:
                    for kind, column in (
                        ("sources", "daily_calls_used"),
                        ("groups", "daily_used"),
                        ("campaigns", "daily_used"),
                    ):
                        row = await rows.get(session, RESOURCES[kind], 1)
                        assert (row[column], row["maxed_out"]) == (used, used >= 2 and kind != "sources")

    asyncio.run(run())
