"""What kinds of rows have of their own, over a real database: schedules asked, usage, views, contacts, velocity."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from objects_kit import add, make_template, open_copy
from sqlmodel import select

from dcx_ari.services import (
    contacts,
    conversion_stats,
    rows,
    schedules,
    state_alerts,
    usage_snapshots,
    velocity,
    views,
)
from dcx_ari.services.audit import Actor
from dcx_ari.services.errors import Conflict, Invalid, NotFound, Stale
from dcx_ari.services.listing import Query, list_rows
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store import models as m
from dcx_ari.store.db import Database
from dcx_ari.store.ledger import Money, open_ledger
from dcx_ari.store.ledger.models import CapCounter
from dcx_ari.store.models import BuyerUsageSnapshot, Call

pytestmark = pytest.mark.unit
A, B = "+15551230001", "+15551230002"
NOW = 1_794_657_600_000  # 2026-11-14 12:00 UTC
DAY, MINUTE = 86_400_000, 60_000


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    opened = open_copy(template, tmp_path)
    yield opened
    await opened.close()


async def calls(db: Database, *given: dict[str, Any]) -> None:
    async with db.write() as session:
        for number, values in enumerate(given):
            session.add(Call(**{"id": f"c{number}", "started_at": NOW, **values}))


# -- schedules ----------------------------------------------------------------------------------------------

OPENS, CLOSES = "FREQ=WEEKLY;COUNT=4", "FREQ=DAILY;COUNT=1"
OFFICE = {
    "name": "Office",
    "timezone": "America/New_York",
    "weekly": {"mon": [["09:00", "17:00"]], "fri": [["22:00", "02:00"]], "sun": [["01:00", "03:00"]]},
    "holidays": {"country": "US"},
    "exceptions": [{"date": "2026-12-25", "hours": [["10:00", "12:00"]]}, {"date": "2026-11-16", "closed": True}],
    "recurrence": [
        {"rrule": OPENS, "dtstart": "2026-11-17T09:00", "duration_minutes": 60},
        {"rrule": CLOSES, "dtstart": "2026-11-23T12:00", "duration_minutes": 60, "closed": True},
    ],
}
ASKED = [
    # an exception goes before the holiday of the same date, and before the week
    ("2026-12-25 11:00", "open", "exception of 2026-12-25: 10:00-12:00", "Fri 2026-12-25 12:00 EST"),
    ("2026-11-16 10:00", "closed", "exception of 2026-11-16: closed", "Tue 2026-11-17 09:00 EST"),
    # a holiday goes before the week
    ("2026-05-25 10:00", "holiday", "public holiday: Memorial Day", "Fri 2026-05-29 22:00 EDT"),
    ("2026-11-09 10:00", "open", "weekly hours of mon: 09:00-17:00", "Mon 2026-11-09 17:00 EST"),
    (
        "2026-11-17 09:30",
        "open",
        "recurrence FREQ=WEEKLY;COUNT=4 from 2026-11-17T09:00: open",
        "Tue 2026-11-17 10:00 EST",
    ),
    (
        "2026-11-23 12:30",
        "closed",
        "recurrence FREQ=DAILY;COUNT=1 from 2026-11-23T12:00: closed",
        "Mon 2026-11-23 13:00 EST",
    ),
    ("2026-11-14 01:00", "open", "hours of Fri that reach past midnight", "Sat 2026-11-14 02:00 EST"),
    # the night on which clocks go forward: 02:00 to 03:00 is not there, so 03:00 EDT is the end
    ("2026-03-08 01:30", "open", "weekly hours of sun: 01:00-03:00", "Sun 2026-03-08 03:00 EDT"),
    # the night on which they go back: 01:00 to 02:00 is there twice, and the day has three open hours
    ("2026-11-01T05:30:00+00:00", "open", "weekly hours of sun: 01:00-03:00", "Sun 2026-11-01 03:00 EST"),
    ("2026-11-01T07:59:00+00:00", "open", "weekly hours of sun: 01:00-03:00", "Sun 2026-11-01 03:00 EST"),
    ("2026-11-01T08:00:00+00:00", "closed", "weekly hours of sun: 01:00-03:00", "Mon 2026-11-02 09:00 EST"),
]


async def test_a_schedule_says_which_rule_decides_and_until_when(db: Database):
    await add(db, "schedules", **OFFICE)
    async with db.read() as session:
        for at, state, rule, change in ASKED:
            told = await schedules.at_moment(session, "Office", at, NOW)
            assert (at, told["state"], told["rule"]) == (at, state, rule)
            assert (at, told["closes"] if told["open"] else told["opens"]) == (at, change)
            assert (told["closes"] is None) is not told["open"]
        there = await schedules.at_moment(session, "Office", "2026-11-09 10:00", NOW, "Europe/Berlin")
        assert (there["local_time"], there["closes"]) == ("Mon 2026-11-09 16:00 CET", "Mon 2026-11-09 23:00 CET")
        for at, zone in (("yesterday", None), ("2026-11-09 10:00", "Mars/X")):
            with pytest.raises(Invalid):
                await schedules.at_moment(session, "Office", at, NOW, zone)


async def test_what_is_closed_now_and_who_keeps_to_it(db: Database):
    await add(db, "schedules", **OFFICE)
    await add(db, "schedules", name="Always", weekly={day: [["00:00", "24:00"]] for day in OFFICE_DAYS})
    await add(db, "buyers", name="Acme", endpoint_value=A, schedule="Office")
    async with db.read() as session:
        both = await schedules.overview(session, NOW)
        assert [(row["schedule"], row["state"], row["buyers"]) for row in both] == [
            ("Office", "closed", 1),
            ("Always", "open", 0),
        ]
        assert both[1]["next_change_at"] is None
        assert [row["schedule"] for row in await schedules.overview(session, NOW, closed_only=True)] == ["Office"]


OFFICE_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


# -- buyers -------------------------------------------------------------------------------------------------


async def test_usage_is_counted_per_utc_day_and_counted_again_without_harm(db: Database, tmp_path: Path):
    for name, number in (("Acme", A), ("Best", B)):
        await add(db, "buyers", name=name, endpoint_value=number)
    midnight = NOW - NOW % DAY
    sold = {"buyer_id": 1, "converted": True, "revenue_cents": 500}
    await calls(
        db,
        {**sold, "started_at": midnight - 1},
        {**sold, "started_at": midnight},
        {"buyer_id": 1, "started_at": midnight + DAY - 1},
        {**sold, "started_at": midnight, "test": True},
        {**sold, "started_at": midnight + DAY},
        {"buyer_id": None, "started_at": midnight},
        {"buyer_id": 9, "started_at": midnight, "converted": True, "revenue_cents": 70},
    )
    async with db.write() as session:
        for buyer in (await session.exec(select(m.Buyer))).all():
            buyer.created_at = midnight - DAY * 3
    for _ in range(2):
        await usage_snapshots.backfill(db, "2026-11-13", "2026-11-14", NOW)
    async with db.read() as session:
        kept = (await session.exec(select(BuyerUsageSnapshot))).all()
        found = {
            (row.snapshot_date.day, row.buyer_id): (row.calls_count, row.conversions_count, row.revenue_cents)
            for row in kept
        }
        assert len(kept) == len(found)
        shown = await usage_snapshots.snapshots(session, "Acme", "2026-11-14")
        stats = await conversion_stats.conversion_stats(session, "Acme", "UTC", NOW)
    assert found == {
        (13, 1): (1, 1, 500),
        (13, 2): (0, 0, 0),
        (14, 1): (2, 1, 500),
        (14, 2): (0, 0, 0),
        (14, 9): (1, 1, 70),
    }
    assert [(day["snapshot_date"], day["revenue_cents"]) for day in shown] == [("2026-11-14", 500)]
    assert stats["today"] == {"calls": 1, "conversions": 1, "conversion_rate": 1.0, "revenue_cents": 500}
    assert stats["total"] == {"calls": 2, "conversions": 2, "conversion_rate": 1.0, "revenue_cents": 1000}
    for first, last in (("2026-11-14", "2026-11-13"), ("2026-11-14", "2026-11-15"), ("x", "2026-11-14")):
        with pytest.raises(Invalid):
            await usage_snapshots.backfill(db, first, last, NOW)


async def test_the_midnight_job_mends_days_that_money_was_booked_for_later(db: Database, tmp_path: Path):
    await add(db, "buyers", name="Acme", endpoint_value=A)
    old = NOW - 9 * DAY
    await calls(db, {"buyer_id": 1, "started_at": old, "converted": True})
    day = date(2026, 11, 5)
    await usage_snapshots.take_snapshots(db, day, NOW)
    ledger = open_ledger(f"sqlite:///{tmp_path}/dcx.db", worker="test", clock=lambda: NOW)
    try:
        await ledger.book([Money("c0", "revenue", "postback:1", 700, buyer_id=1)])
    finally:
        await ledger.close()
    async with db.write() as session:
        row = await session.get(Call, "c0")
        assert row is not None
        row.revenue_cents = 700
    for _ in range(2):
        assert await usage_snapshots.take_due(db, NOW) == NOW - NOW % DAY + DAY
    async with db.read() as session:
        kept = (await session.exec(select(BuyerUsageSnapshot))).all()
    assert [each.revenue_cents for each in kept if each.snapshot_date == day] == [700]
    assert len({(each.snapshot_date, each.buyer_id) for each in kept}) == len(kept)


async def test_conversion_stats_tell_what_the_caps_leave(db: Database):
    await add(db, "buyers", name="Acme", endpoint_value=A, converted_daily_limit=5, timezone="Asia/Tokyo")
    today = "2026-11-14"
    async with db.write() as session:
        counter = {"scope": "buyer", "scope_id": 1, "metric": "convert"}
        session.add(CapCounter(**counter, period="day", period_key=today, used=3, held=1))
        session.add(CapCounter(**counter, period="day", period_key="2026-11-13", used=9))
    async with db.read() as session:
        stats = await conversion_stats.conversion_stats(session, 1, "America/New_York", NOW)
    assert (stats["timezone"], stats["today"]["conversion_rate"]) == ("Asia/Tokyo", None)
    assert stats["caps"]["daily"] == {"used": 3, "held": 1, "limit": 5, "remaining": 1}
    assert stats["caps"]["total"] == {"used": 0, "held": 0, "limit": None, "remaining": None}


# -- callers who ring too often -----------------------------------------------------------------------------


async def test_who_rings_too_often_is_kept_out_for_a_while(db: Database):
    async with db.write() as session:
        assert (await velocity.show(session))["enabled"] is False
        for bad in ({"calls": 1, "minutes": 10, "block_minutes": 60}, {"calls": 3}, {"calls": 3, "often": 1}):
            with pytest.raises(Invalid):
                await velocity.change(session, bad)
        await velocity.change(session, {"calls": 3, "minutes": 10, "block_minutes": 60})
        rule = await velocity.rule_of(session)
        assert rule is not None
    ages = (0, 9 * MINUTE, 11 * MINUTE)
    await calls(db, *({"caller": A, "started_at": NOW - age} for age in ages), {"caller": A, "test": True})
    async with db.write() as session:
        assert await velocity.calls_lately(session, A, NOW - 10 * MINUTE, 9) == 2
        assert await velocity.calls_lately(session, A, NOW - 20 * MINUTE, 2) == 2
        assert [await velocity.keep_out(session, A, rule, NOW) for _ in range(2)] == [True, False]
        (entry,) = (await list_rows(session, RESOURCES["suppressions"], Query())).items
        assert (entry["reason"], entry["list_type"], entry["expires_at"]) == (
            "auto:velocity",
            "blacklist",
            "2026-11-14T13:00:00.000Z",
        )
        later = NOW + 61 * MINUTE  # it has run out: the same entry is used again
        assert await velocity.keep_out(session, A, rule, later) is True
        (again,) = (await list_rows(session, RESOURCES["suppressions"], Query())).items
        assert (again["id"], again["expires_at"]) == (entry["id"], "2026-11-14T14:01:00.000Z")
        await rows.create(session, RESOURCES["suppressions"], {"phone_number": B, "list_type": "whitelist"})
        assert await velocity.keep_out(session, B, rule, NOW) is False
        assert await velocity.forget_old(session, later + 29 * DAY) == 0
        assert await velocity.forget_old(session, later + 31 * DAY) == 1
        assert (await velocity.turn_off(session))["enabled"] is False


# -- saved views --------------------------------------------------------------------------------------------


def as_(session: Any, name: str) -> Any:
    session.info["actor"] = Actor("key", name, name)
    return session


async def test_views_are_ones_own_unless_they_are_shared(db: Database):
    for name, status in (("One", "ACTIVE"), ("Two", "INACTIVE"), ("Three", "ACTIVE")):
        await add(db, "campaigns", name=name, status=status)
    view = {"resource": "campaigns", "name": "on", "filters": {"status": ["ACTIVE"]}, "sort_by": "name"}
    async with db.write() as session:
        mine = await views.create_view(as_(session, "ann"), {**view, "visible_columns": ["status", "name"]})
        with pytest.raises(Conflict):
            await views.create_view(session, view)
        for bad in ({**view, "resource": "x"}, {**view, "x": 1}, {**view, "name": "7"}, {"name": "n"}):
            with pytest.raises(Invalid):
                await views.create_view(session, bad)
        assert await views.list_views(as_(session, "bob")) == []
        with pytest.raises(NotFound):
            await views.get_view(session, mine["id"])
        theirs = await views.create_view(session, {**view, "filters": {"status": ["INACTIVE"]}, "shared": True})

        async def names(**query: Any) -> list[str]:
            whole = await views.with_view(session, "campaigns", Query(**query))
            return [row["name"] for row in (await list_rows(session, RESOURCES["campaigns"], whole)).items]

        as_(session, "ann")
        assert await names(view="on") == ["One", "Three"]  # one's own goes before a shared one of the same name
        assert await names(view="on", filters={"status": ["INACTIVE"]}) == ["Two"]
        assert await names(view="on", sort_by="created_at") in (["One", "Three"], ["Three", "One"])
        assert await names(view=str(theirs["id"])) == ["Two"]
        assert await views.columns_of(session, "campaigns", "on") == ("status", "name")
        as_(session, "cid")
        assert await names(view="on") == ["Two"]
        with pytest.raises(Conflict):
            await views.change_view(session, theirs["id"], {"name": "x"}, manager=False)
        with pytest.raises(Invalid):
            await views.with_view(session, "buyers", Query(view=str(theirs["id"])))
        with pytest.raises(Stale):
            await views.change_view(session, theirs["id"], {"name": "x"}, version=7)
        changed = await views.change_view(session, theirs["id"], {"name": "off"}, version=1)
        assert (changed["name"], changed["version"], changed["mine"]) == ("off", 2, False)
        await views.remove_view(session, "off")
        assert await views.list_views(session) == []


# -- contacts, tags of calls, states ------------------------------------------------------------------------


async def test_a_contact_has_the_calls_of_its_number_and_no_engine_reads_the_configuration_anew(db: Database):
    async with db.read() as session:
        before = (await session.exec(select(m.ConfigVersion.version))).one()
    made = await add(db, "contacts", phone_number=A, first_name="Ann", last_name="Lee", custom={"zip": "10001"})
    await add(db, "call-tags", name="vip", color="#FF8800")
    await calls(db, {"caller": A}, {"caller": B}, {"caller": A, "started_at": NOW - DAY})
    async with db.read() as session:
        assert (await session.exec(select(m.ConfigVersion.version))).one() == before
        page = await contacts.calls_of(session, A, Query(limit=10))
        assert [row["id"] for row in page.items] == ["c0", "c2"]
        assert await contacts.by_number(session, [A, B]) == {A: {"id": made["id"], "name": "Ann Lee", "company": ""}}
    for kind, bad in (
        ("contacts", {"phone_number": A}),
        ("contacts", {"phone_number": B, "custom": {"a b": 1}}),
        ("contacts", {"phone_number": B, "email": "no"}),
        ("call-tags", {"name": "VIP", "color": "red"}),
        ("call-tags", {"name": "x" * 51}),
        ("call-tags", {"name": "a,b"}),
        ("call-tags", {"name": "vip"}),
    ):
        with pytest.raises((Invalid, Conflict)):
            await add(db, kind, **bad)


async def test_calls_that_met_a_rule_of_their_state(db: Database):
    await add(db, "buyers", name="Acme", endpoint_value=B)
    await add(db, "states", state_code="FL", action="block", buyer="Acme")
    await add(db, "states", state_code="CA", action="require_consent", consent_type="verbal")
    await add(db, "states", state_code="TX", action="allow")

    def met(reason: str, **values: Any) -> dict[str, Any]:
        rejected = [{"kind": "buyer", "id": 1, "reason": reason, "values": values}]
        return {"decision": {"rejected": rejected}, "inputs": None}

    blocked = {"caller": A, "caller_state": "FL", "decision": met("state_blocked", state="FL", rule_id=1)}
    consent = met("consent_required", state="CA", rule_id=2, consent_type="verbal")
    await calls(
        db,
        blocked,
        {**blocked, "started_at": NOW - 40 * DAY},
        {**blocked, "started_at": NOW - DAY, "test": True},
        {"caller_state": "FL", "decision": met("cap.daily"), "started_at": NOW - 3},
        {"caller_state": "FL", "started_at": NOW - 3},
        {"caller_state": "CA", "decision": consent, "started_at": NOW - 2 * DAY},
        {"caller_state": "TX", "decision": met("state_blocked"), "started_at": NOW - 5},
    )
    async with db.read() as session:
        page = await state_alerts.alerts(session, NOW)
        told = [(row["call_id"], row["state_code"], row["rules"][0]["action"]) for row in page.items]
        assert told == [("c0", "FL", "block"), ("c5", "CA", "require_consent")]
        assert page.items[0]["rules"][0]["buyer"] == "Acme"
        first = await state_alerts.alerts(session, NOW, limit=1)
        second = await state_alerts.alerts(session, NOW, limit=1, cursor=first.next_cursor)
        assert [row["call_id"] for row in (*first.items, *second.items)] == ["c0", "c5"]
        assert len((await state_alerts.alerts(session, NOW, days=60)).items) == 3
        for bad in ({"days": 0}, {"limit": 0}, {"cursor": "x"}):
            with pytest.raises(Invalid):
                await state_alerts.alerts(session, NOW, **bad)
