"""A buyer's postback: booked once, corrected by entries, refused with nothing booked."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ledger_kit import ANSWERED, Clock, hold, shown, sql
from sqlalchemy import update

from dcx_ari.decide.postback import Accept, Postback, sign
from dcx_ari.services import rows
from dcx_ari.services.postbacks import Answer, PostbackRefused, new_key, receive
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store import db as store_db
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.ledger import Ledger, Money, Sums
from dcx_ari.store.ledger.report import Report
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import Call, Leg

pytestmark = [pytest.mark.unit, pytest.mark.databases]

START = 1_777_630_000_000
NOW = START + 3_600_000
KEY = "abc.secret"
CONVERT, REVENUE = hold("convert", "day", 1), hold("revenue_cents", "day", 1500, 1500)


@pytest.fixture(scope="module")
def template(dbms: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sold call: source Radio gets 25 %, buyer Acme had it on attempt 2 and talked for a minute."""
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(_fill(f"sqlite:///{path}"))
    return path


async def _fill(url: str) -> None:
    await migrate(url)
    database = open_database(url)
    async with database.write() as session:
        payout = {"model": "share", "share_bp": 2500, "threshold_s": 30}
        await rows.create(session, RESOURCES["sources"], {"name": "Radio", "payout": payout})
        rule = {"kind": "postback", "revenue_min_cents": 500, "revenue_max_cents": 2000}
        buyer = {"name": "Acme", "endpoint_value": "+15551230001", "conversion_rules": [rule]}
        await rows.create(session, RESOURCES["buyers"], buyer)
        call = {"buyer_id": 1, "traffic_source_id": 1, "caller": "+15551230009", "started_at": START}
        session.add(Call(id="c", postback_key=KEY, **call))
        session.add(Call(id="t", postback_key="test.secret", test=True, **call))
        session.add(Call(id="n", postback_key="none.secret", **{**call, "buyer_id": None}))
        await session.flush()
        times = {"dialled_at": START, "answered_at": START + 5_000, "bridged_at": START + 6_000}
        session.add(Leg(id="c.leg2", call_id="c", buyer_id=1, ended_at=START + 66_000, **times))
    await database.close()


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    url = f"sqlite:///{tmp_path}/dcx.db"
    if hasattr(store_db.parse_url, "databases"):  # PostgreSQL, where no file can be copied
        await _fill(url)
    else:
        shutil.copy(template, tmp_path / "dcx.db")
    opened = open_database(url)
    yield opened
    await opened.close()


@pytest.fixture
async def ledger(tmp_path: Path, db: Database) -> AsyncIterator[Ledger]:
    ledger = Ledger(str(tmp_path / "dcx.db"), clock=Clock(START))
    await ledger.reserve("c", 1, [hold("attempt", "day")])
    await ledger.settle("c", 1, ANSWERED)
    await ledger.reserve("c", 2, [hold("connect", "day"), CONVERT, REVENUE])
    await ledger.commit_connect("c", 2)
    yield ledger
    assert await ledger.verify() == []
    await ledger.close()


async def post(
    db: Database, ledger: Ledger, cents: Any, *, id_: str = "r1", at: int = NOW, name: str = "abc", **more: Any
) -> Answer:
    body = json.dumps({"id": id_, "amount_cents": cents, "currency": "USD", "at": at, **more}).encode()
    return await receive(db, ledger, name, sign(b"secret", body, NOW // 1000), body, NOW)


async def kept(ledger: Ledger) -> None:
    await ledger.settle("c", 2, ANSWERED, keep_until=NOW + 1)


async def test_books_revenue_share_and_caps(db: Database, ledger: Ledger) -> None:
    await kept(ledger)
    assert await post(db, ledger, 1200) == Answer("booked", "c", 1200)
    assert await ledger.sums("c") == Sums(1200, 300)
    assert [await shown(ledger, each) for each in (CONVERT, REVENUE)] == [(1, 0), (1200, 0)]
    assert sql(ledger, "SELECT revenue_cents, payout_cents, converted, converted_at FROM calls WHERE id = 'c'") == [
        (1200, 300, 1, NOW)
    ]
    booked = "SELECT kind, key, buyer_id, source_id, reported_at FROM money_entries ORDER BY id"
    assert sql(ledger, booked) == [("revenue", "postback:r1", 1, 1, NOW), ("payout", "postback:r1", 1, 1, NOW)]


async def test_the_same_report_changes_nothing(db: Database, ledger: Ledger) -> None:
    await kept(ledger)
    await post(db, ledger, 1200)
    assert await post(db, ledger, 1200) == Answer("repeated", "c", 1200)
    assert await post(db, ledger, 700) == Answer("repeated", "c", 1200)
    assert await ledger.sums("c") == Sums(1200, 300)


async def test_newer_corrects_and_older_does_not(db: Database, ledger: Ledger) -> None:
    await kept(ledger)
    await post(db, ledger, 1200, at=NOW - 1000)
    assert await post(db, ledger, 801, id_="r2") == Answer("adjusted", "c", 801)
    assert await post(db, ledger, 900, id_="r3", at=NOW - 500) == Answer("older", "c", 801)
    assert await ledger.sums("c") == Sums(801, 200)
    assert await shown(ledger, REVENUE) == (801, 0)
    assert await post(db, ledger, 0, id_="r4", at=NOW + 1) == Answer("adjusted", "c", 0)
    assert await ledger.sums("c") == Sums(0, 0)


async def test_the_price_stays_within_the_rule(db: Database, ledger: Ledger) -> None:
    await kept(ledger)
    assert (await post(db, ledger, 100, at=NOW - 2)).revenue_cents == 500
    assert await post(db, ledger, 9000, id_="r2") == Answer("adjusted", "c", 2000, over_cap=True)
    assert await ledger.sums("c") == Sums(2000, 500)


async def test_late_is_booked_and_flagged_where_it_is_over(db: Database, ledger: Ledger) -> None:
    await ledger.settle("c", 2, ANSWERED)
    await ledger.reserve("d", 1, [CONVERT])
    await ledger.convert("d", 1, 0)
    assert await post(db, ledger, 1200) == Answer("booked", "c", 1200, late=True, over_cap=True)
    assert await shown(ledger, CONVERT) == (2, 0)
    assert sql(ledger, "SELECT kind FROM money_entries WHERE over_cap") == [("revenue",)]


async def test_late_within_the_cap_is_not_flagged(db: Database, ledger: Ledger) -> None:
    await ledger.settle("c", 2, ANSWERED)
    assert await post(db, ledger, 1200) == Answer("booked", "c", 1200, late=True)


async def test_a_call_sold_by_duration_is_corrected_to_the_report(db: Database, ledger: Ledger) -> None:
    await ledger.convert("c", 2, 1500, [Money("c", "revenue", "attempt2", 1500, buyer_id=1)])
    assert await post(db, ledger, 900) == Answer("booked", "c", 900)
    assert (await ledger.convert("c", 2, 1500, [Money("c", "revenue", "late", 1500)])).booked == 0
    assert await ledger.sums("c") == Sums(900, 225)
    assert [await shown(ledger, each) for each in (CONVERT, REVENUE)] == [(1, 0), (900, 0)]


async def test_many_at_once_book_one(db: Database, ledger: Ledger) -> None:
    await kept(ledger)
    requests = [
        Report("c", Postback(f"r{n % 2}", 1200, "USD", NOW), "USD", START, 1, 1, None, None, 2500, NOW)
        for n in range(6)
    ]
    told = await asyncio.gather(*(ledger.submit(request) for request in requests))
    assert [isinstance(each.verdict, Accept) for each in told] == [True] + [False] * 5
    assert await ledger.sums("c") == Sums(1200, 300)
    assert await shown(ledger, CONVERT) == (1, 0)


@pytest.mark.parametrize(
    ("moments", "share"),
    [
        ({"bridged_at": START + 37_000}, 0),
        ({"bridged_at": START + 36_000}, 300),
        ({"bridged_at": NOW - 29_000, "ended_at": None}, 0),
        ({"bridged_at": NOW - 30_000, "ended_at": None}, 300),
        ({"bridged_at": None}, 0),
    ],
)
async def test_the_source_must_have_earned_its_share(
    db: Database, ledger: Ledger, moments: dict[str, Any], share: int
) -> None:
    async with db.write() as session:
        await session.exec(update(Leg).values(moments))
    assert (await post(db, ledger, 1200)).status == "booked"
    assert (await ledger.sums("c")).payout_cents == share


@pytest.mark.filterwarnings("ignore:[^a-z]*You probably want to use:DeprecationWarning")
async def test_no_share_for_a_repeated_caller(db: Database, ledger: Ledger) -> None:
    rule = {"scope": "campaign", "after": "connected", "window_days": 30, "action": "route_but_unpaid"}
    payout = {"model": "share", "share_bp": 2500, "duplicate": rule}
    async with db.write() as session:
        await rows.change(session, RESOURCES["sources"], "Radio", {"payout": payout})
        await session.exec(update(Call).values(campaign_id=7))
        session.add(Call(id="before", caller="+15551230009", campaign_id=7, buyer_id=1, started_at=START - 1000))
        await session.flush()
        session.add(Leg(id="before.leg1", call_id="before", buyer_id=1, dialled_at=START - 1000, bridged_at=START - 10))
    await post(db, ledger, 1200)
    assert await ledger.sums("c") == Sums(1200, 0)


REFUSED: list[tuple[dict[str, Any], int, str, str]] = [
    ({"name": "nobody"}, 404, "postback", "unknown_call"),
    ({"name": ""}, 404, "postback", "unknown_call"),
    ({"name": "abc.secret"}, 404, "postback", "unknown_call"),
    ({"name": "ab"}, 404, "postback", "unknown_call"),
    ({"name": "test"}, 409, "postback", "test_call"),
    ({"name": "none"}, 409, "postback", "no_buyer"),
    ({"cents": -1}, 422, "amount_cents", "negative"),
    ({"cents": 1_000_001}, 422, "amount_cents", "absurd"),
    ({"cents": 12.5}, 422, "amount_cents", "invalid"),
    ({"cents": True}, 422, "amount_cents", "invalid"),
    ({"currency": "EUR"}, 422, "currency", "wrong_currency"),
    ({"at": "yesterday"}, 422, "at", "invalid"),
    ({"at": START - 400_000}, 422, "at", "before_the_call"),
    ({"id_": ""}, 422, "id", "invalid"),
]


@pytest.mark.parametrize(("change", "status", "field", "rule"), REFUSED)
async def test_refused_books_nothing_and_is_logged(
    db: Database,
    ledger: Ledger,
    caplog: pytest.LogCaptureFixture,
    change: dict[str, Any],
    status: int,
    field: str,
    rule: str,
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(PostbackRefused) as caught:
        await post(db, ledger, **{"cents": 1200, **change})
    assert (caught.value.status, caught.value.field, caught.value.rule) == (status, field, rule)
    assert sql(ledger, "SELECT COUNT(*) FROM money_entries") == [(0,)]
    assert rule in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("header", "rule"),
    [
        (sign(b"other", b"{}", NOW // 1000), "signature_wrong"),
        (sign(b"secret", b"{ }", NOW // 1000), "signature_wrong"),
        (sign(b"secret", b"{}", NOW // 1000 - 301), "signature_expired"),
        ("", "signature_missing"),
    ],
)
async def test_a_wrong_signature_is_refused(db: Database, ledger: Ledger, header: str, rule: str) -> None:
    with pytest.raises(PostbackRefused) as caught:
        await receive(db, ledger, "abc", header, b"{}", NOW)
    assert (caught.value.status, caught.value.rule) == (401, rule)


def test_keys_have_a_name_for_the_url_and_a_secret() -> None:
    name, _, secret = new_key().partition(".")
    assert len(name) == 16
    assert len(secret) == 32
    assert new_key() != new_key()
