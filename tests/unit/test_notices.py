"""People are told: of caps that fill up, of buyers that were paused, of yesterday; each once."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import col, select

from dcx_ari.configuration import Configuration
from dcx_ari.decide.cap_alerts import reached
from dcx_ari.services import daily_summary, offline_buyers, rows, webhooks
from dcx_ari.services.cap_alerts import CapAlerts
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.ledger.models import CapCounter
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import Call, Leg, NotificationPreference, OutboxRow, User

pytestmark = pytest.mark.unit
ZONE = "America/New_York"
NEW_YORK = ZoneInfo(ZONE)
NOON = 1_772_470_800_000  # 2026-03-02 12:00 in New York
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def template(dbms: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    shutil.copy(template, tmp_path / "dcx.db")
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db")
    yield opened
    await opened.close()


class House:
    """A buyer, Acme, whose counters are set by hand."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.configuration = Configuration(db, ZONE)
        self.alerts = self.process()
        self.rev = 0

    def process(self) -> CapAlerts:
        return CapAlerts(self.db, lambda: self.configuration.snapshot)

    async def change(self, **values: Any) -> None:
        async with self.db.write() as session:
            await rows.change(session, RESOURCES["buyers"], "Acme", values)
        await self.configuration.load()

    async def count(self, used: int, period: str = "day", key: str = "2026-03-02", metric: str = "connect") -> None:
        self.rev += 1
        async with self.db.write() as session:
            row = await session.get(CapCounter, ("buyer", 1, key, metric, period))
            row = row or CapCounter(scope="buyer", scope_id=1, period_key=key, metric=metric, period=period)
            row.used, row.rev = used, self.rev
            session.add(row)

    async def listen(self, *events: str, url: str = "https://example.com/hook", kind: str = "standard") -> None:
        async with self.db.write() as session:
            await webhooks.create(session, webhooks.SafeUrl(url), events, kind=kind)

    async def user(self, number: int, role: str = "admin", **wanted: Any) -> None:
        scope = {name: wanted.pop(name) for name in ("buyer_id", "traffic_source_id") if name in wanted}
        async with self.db.write() as session:
            session.add(User(id=number, email=f"u{number}@example.com", role=role, **scope))
            await session.flush()
            session.add(NotificationPreference(user_id=number, **wanted))

    async def told(self, kind: str = "webhook") -> list[dict[str, Any]]:
        async with self.db.read() as session:
            found = (await session.exec(select(OutboxRow).order_by(col(OutboxRow.seq)))).all()
        payloads = [json.loads(row.payload) for row in found if row.kind == kind]
        return [each["data"] for each in payloads] if kind == "webhook" else payloads


@pytest.fixture
async def house(db: Database) -> AsyncIterator[House]:
    async with db.write() as session:
        await rows.create(session, RESOURCES["buyers"], {"name": "Acme", "endpoint_value": "+15551230001"})
    made = House(db)
    await made.configuration.load()
    yield made
    made.configuration.close()


# -- caps ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("used", "limit", "percents"),
    [(0, 4, ()), (2, 4, ()), (3, 4, (75,)), (4, 4, (75, 90, 100)), (9, 4, (75, 90, 100)), (0, 0, ()), (5, 0, ())],
)
def test_thresholds(used: int, limit: int, percents: tuple[int, ...]):
    assert reached(used, limit) == percents


def test_percents_are_not_rounded_up():
    assert reached(749, 1000) == ()
    assert reached(999, 1000) == (75, 90)


async def test_a_cap_is_told_at_75_90_and_100_percent_once_each(house: House):
    await house.listen("cap.reached")
    await house.change(daily_cap=10)
    now = NOON
    for used in range(1, 13):
        await house.count(used)
        for _ in range(2):
            now = await house.alerts.run(now)
    assert [(each["percent"], each["used"], each["limit"]) for each in await house.told()] == [
        (75, 8, 10),
        (90, 9, 10),
        (100, 10, 10),
    ]
    about = {"scope": "buyer", "scope_id": 1, "name": "Acme", "metric": "connect", "period": "day"}
    assert about.items() <= (await house.told())[0].items()
    await house.process().run(now)  # another process, which knows nothing
    assert len(await house.told()) == 3


async def test_of_several_at_once_the_highest_is_told(house: House):
    await house.listen("cap.reached")
    await house.change(daily_cap=10)
    await house.count(9)
    await house.alerts.run(NOON)
    await house.count(10)
    await house.alerts.run(NOON)
    assert [each["percent"] for each in await house.told()] == [90, 100]


async def test_a_cap_that_is_lowered_is_compared_anew(house: House):
    await house.listen("cap.reached")
    await house.change(daily_cap=10)
    await house.count(2)
    await house.alerts.run(NOON)
    await house.change(daily_cap=2)
    await house.alerts.run(NOON + 30_000)
    assert await house.told() == []  # not for every change that anybody makes
    await house.alerts.run(NOON + 61_000)
    assert [each["percent"] for each in await house.told()] == [100]


async def test_the_next_period_is_told_again_and_a_past_one_not_after_a_start(house: House):
    await house.listen("cap.reached")
    await house.change(daily_cap=1)
    for day in ("2026-03-02", "2026-03-03"):
        await house.count(1, key=day)
        await house.alerts.run(NOON)
    await house.count(1, key="2026-01-01")
    await house.process().run(NOON)
    assert [each["period_key"] for each in await house.told()] == ["2026-03-02", "2026-03-03"]


async def test_what_has_no_limit_or_is_gone_is_not_told(house: House):
    await house.listen("cap.reached")
    await house.count(10_000)
    await house.count(3, period="concurrent", key="now")
    await house.alerts.run(NOON)
    assert await house.told() == []


async def test_money_is_told_in_money(house: House):
    await house.listen("cap.reached", kind="slack", url="https://hooks.slack.com/services/T/B/X")
    await house.change(revenue_cap_daily_cents=100_000)
    await house.count(95_050, metric="revenue_cents")
    await house.alerts.run(NOON)
    assert await house.told("slack") == [
        {"text": "Buyer Acme has used 90 % of a cap: $950.50 of $1,000.00 revenue today"}
    ]


# -- who is told --------------------------------------------------------------------------------------------


async def test_people_are_told_by_their_preferences_and_only_of_what_is_theirs(house: House):
    await house.user(1)
    await house.user(2, notify_call_maxed_out=False)
    await house.user(3, email_enabled=False)
    await house.user(4, "viewer", buyer_id=1)
    await house.user(5, "viewer", buyer_id=2)
    await house.user(6, "viewer", traffic_source_id=1)
    await house.user(7, "agent")
    await house.change(daily_cap=1)
    await house.count(1)
    await house.alerts.run(NOON)
    mails = await house.told("email")
    assert [each["to"] for each in mails] == [["u1@example.com"], ["u4@example.com"]]
    assert mails[0]["subject"] == "DCX: Buyer Acme is maxed out: 1 of 1 calls today"
    assert "period key: 2026-03-02" in mails[0]["text"]


async def test_slack_is_posted_to_once_however_many_want_it(house: House):
    await house.listen("call.completed", kind="slack", url="https://hooks.slack.com/services/T/B/X")
    for number in (1, 2):
        await house.user(number, email_enabled=False, slack_enabled=True)
    await house.change(status="INACTIVE")
    assert await house.told("slack") == [{"text": "Buyer Acme was paused"}]


async def test_a_paused_buyer_is_told_with_the_reason_in_the_change_itself(house: House):
    await house.listen("buyer.paused")
    async with house.db.write() as session:
        await rows.set_paused(session, RESOURCES["buyers"], "Acme", True, reason="no money")
    await house.change(status="INACTIVE")  # it is already
    await house.change(status="ACTIVE")
    assert await house.told() == [{"buyer_id": 1, "name": "Acme", "reason": "no money"}]


# -- buyers that cannot be reached --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("results", "offline"),
    [
        (["unreachable", "congestion", "unreachable"], True),
        (["unreachable", "cancelled", "unreachable"], False),
        (["unreachable", "unreachable"], False),
        (["unreachable", "unreachable", "unreachable", "no_answer"], False),
        (["unreachable", "unreachable", None], False),
    ],
)
async def test_a_buyer_to_whom_nothing_gets_through(house: House, results: list[str | None], offline: bool):
    await house.listen("buyer.offline")
    async with house.db.write() as session:
        session.add(Call(id="old", started_at=NOON - 16 * 60_000))
        session.add(Call(id="new", started_at=NOON - 60_000))
        await session.flush()
        session.add_all(Leg(id=f"old.{n}", call_id="old", buyer_id=1, result="unreachable") for n in range(3))
        session.add_all(Leg(id=f"new.{n}", call_id="new", buyer_id=1, result=each) for n, each in enumerate(results))
    for later_ms in (0, 30_000):
        await offline_buyers.run(house.db, lambda: house.configuration.snapshot, NOON + later_ms)
    assert [each["buyer_id"] for each in await house.told()] == ([1] if offline else [])


# -- every morning ------------------------------------------------------------------------------------------


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp() * 1000)


async def test_yesterdays_figures_at_eight_once(house: House):
    await house.listen("summary.daily")
    sold = {"connected_at": 1, "converted": True, "revenue_cents": 1000, "payout_cents": 300, "cost_cents": 7}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("2026-03-01T23:59:59", sold),
        ("2026-03-02T00:00:00", sold),
        ("2026-03-02T12:00:00", {}),
        ("2026-03-02T23:59:59", {"test": True, **sold}),
        ("2026-03-03T00:00:00", sold),
    ]
    async with house.db.write() as session:
        for number, (text, values) in enumerate(calls):
            session.add(Call(id=f"c{number}", started_at=at(text), **values))
    assert await daily_summary.run(house.db, NEW_YORK, at("2026-03-03T03:00")) == at("2026-03-03T08:00")
    assert await house.told() == []
    for minute in (0, 1):
        due = await daily_summary.run(house.db, NEW_YORK, at(f"2026-03-03T08:0{minute}"))
    assert due == at("2026-03-04T08:00")
    assert await house.told() == [
        {
            "day": "2026-03-02",
            "calls": 2,
            "connected": 1,
            "converted": 1,
            "revenue_cents": 1000,
            "payout_cents": 300,
            "cost_cents": 7,
            "profit_cents": 693,
        }
    ]
    await daily_summary.run(house.db, NEW_YORK, at("2026-03-04T21:00"))  # too late for anybody
    assert len(await house.told()) == 1


async def test_summer_time_does_not_move_eight_oclock(db: Database):
    assert await daily_summary.run(db, NEW_YORK, at("2026-03-07T09:00")) == at("2026-03-08T08:00")
