"""Counters without a limit: nothing is held, each call counts once, and a cap set at noon knows of the morning."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ledger_kit import ANSWERED, Clock, hold, leg, new_file, shown, sql

from dcx_ari.decide.caps import Hold, Outcome, holds_for, split_counted
from dcx_ari.decide.rows import Buyer, Campaign, Group, Source
from dcx_ari.store.ledger import Difference, Ledger, Money, Refused, Reserved, Sums

pytestmark = [pytest.mark.unit, pytest.mark.databases]

LIVE = hold("attempt", "concurrent")
ATTEMPT, CONNECT = hold("attempt", "day"), hold("connect", "total")
CONVERT, REVENUE = hold("convert", "day"), hold("revenue_cents", "day", amount=1500)
COUNTS = (ATTEMPT, CONNECT, CONVERT, REVENUE)
CAMPAIGN = hold("connect", "day", scope="campaign")
CAMPAIGN_LIVE = hold("attempt", "concurrent", scope="campaign")
BUSY = Outcome()


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(str(new_file(tmp_path / "ledger.db")), clock=Clock())
    yield ledger
    assert await ledger.verify() == []
    await ledger.close()


async def used(ledger: Ledger, *wanted: Hold) -> list[int]:
    return [(await shown(ledger, each))[0] for each in wanted]


def test_held_is_what_can_refuse_another_call_or_is_live() -> None:
    rows = {
        "buyer": Buyer(1, daily_cap=3),
        "group": Group(2),
        "source": Source(3),
        "campaign": Campaign(4, hourly_cap=9),
    }
    every = holds_for(0, "UTC", unlimited=True, **rows)  # type: ignore[arg-type]
    held, counted = split_counted(every)
    assert len(every) == 24
    assert {(h.scope, h.period) for h in held} == {
        ("source", "concurrent"),
        ("campaign", "hour"),
        ("campaign", "concurrent"),
        ("group", "concurrent"),
        ("buyer", "day"),
        ("buyer", "concurrent"),
    }
    assert sorted([*held, *counted], key=lambda h: h.lock_order) == list(every)
    kept, rest = split_counted(every, conversions=True)
    assert {h.metric for h in kept if h not in held} == {"convert", "revenue_cents"}
    assert {h.metric for h in rest} == {"connect"}


@pytest.mark.parametrize(("outcome", "expected"), [(BUSY, [1, 0, 0, 0]), (ANSWERED, [1, 1, 0, 0])])
async def test_an_attempt_counts_once(ledger: Ledger, outcome: Outcome, expected: list[int]) -> None:
    await ledger.reserve("c", 1, [LIVE])
    assert await used(ledger, *COUNTS) == [0, 0, 0, 0]
    assert await ledger.settle("c", 1, outcome, counts=COUNTS)
    assert not await ledger.settle("c", 1, outcome, counts=COUNTS)
    assert await used(ledger, *COUNTS) == expected
    kinds = sql(ledger, "SELECT DISTINCT kind, call_id, attempt FROM cap_entries")
    assert kinds == [("count", "c", 1)]


async def test_what_was_never_dialled_or_lost_counts_nothing(ledger: Ledger) -> None:
    await ledger.reserve("c", 1, [LIVE])
    await ledger.release("c", 1)
    assert not await ledger.settle("c", 1, ANSWERED, counts=COUNTS)
    assert await used(ledger, *COUNTS) == [0, 0, 0, 0]


async def test_a_conversion_counts_once_and_is_corrected(ledger: Ledger) -> None:
    await ledger.reserve("c", 1, [LIVE])
    money = Money("c", "revenue", "attempt1", 900)
    assert (await ledger.convert("c", 1, 900, [money], counts=COUNTS)).booked == 1
    assert (await ledger.convert("c", 1, 900, [Money("c", "revenue", "digit", 900)], counts=COUNTS)).booked == 0
    await ledger.settle("c", 1, ANSWERED, counts=COUNTS)
    assert await used(ledger, *COUNTS) == [1, 1, 1, 900]
    for _ in range(2):
        lower = Money("c", "revenue", "postback:1", -200)
        await ledger.correct("c", 1, -200, [lower], reason="postback", actor="buyer 1", counts=COUNTS)
    assert await used(ledger, *COUNTS) == [1, 1, 1, 700]
    assert sql(ledger, "SELECT reason, actor FROM cap_entries WHERE amount < 0") == [("postback", "buyer 1")]


async def test_another_process_knows_that_the_attempt_is_sold(ledger: Ledger) -> None:
    await ledger.reserve("c", 1, [LIVE])
    await ledger.convert("c", 1, 900, counts=COUNTS)
    other = Ledger(ledger.path, worker="dcx-1", clock=Clock())
    await other.convert("c", 1, 900, counts=COUNTS)
    await other.close()
    await ledger.convert("c", 1, 900, counts=COUNTS)
    assert await used(ledger, CONVERT, REVENUE) == [1, 900]


async def test_a_hold_counts_by_itself(ledger: Ledger) -> None:
    """The limit was taken away, or set, between two legs: neither counts twice."""
    await ledger.reserve("c", 1, [LIVE, hold("connect", "total", 5), hold("revenue_cents", "day", 5000, 1500)])
    await ledger.convert("c", 1, 900, counts=COUNTS)
    await ledger.settle("c", 1, ANSWERED, counts=COUNTS)
    assert await used(ledger, *COUNTS) == [1, 1, 1, 900]
    assert [each.booked for each in [await ledger.convert("c", 1, 900, [Money("c", "revenue", "x", 1)])]] == [0]


async def test_a_call_counts_once_for_its_campaign(ledger: Ledger) -> None:
    for attempt in (1, 2):
        await ledger.reserve("c", attempt, [CAMPAIGN_LIVE, LIVE])
        await ledger.commit_connect("c", attempt)
        await ledger.settle("c", attempt, ANSWERED, counts=[CONNECT])
    assert await ledger.finish("c", ANSWERED, counts=[CAMPAIGN])
    assert not await ledger.finish("c", ANSWERED, counts=[CAMPAIGN])
    assert await used(ledger, CAMPAIGN, CONNECT) == [1, 2]


async def test_a_call_that_nobody_took_is_no_connect_of_its_campaign(ledger: Ledger) -> None:
    await ledger.reserve("c", 1, [CAMPAIGN_LIVE, LIVE])
    await ledger.settle("c", 1, BUSY)
    await ledger.finish("c", BUSY, counts=[CAMPAIGN])
    assert await used(ledger, CAMPAIGN) == [0]


async def test_a_cap_that_is_set_at_noon_knows_of_the_morning(ledger: Ledger) -> None:
    for n in range(3):
        await ledger.reserve(f"c{n}", 1, [LIVE])
        await ledger.convert(f"c{n}", 1, 900, counts=COUNTS)
        await ledger.settle(f"c{n}", 1, ANSWERED, counts=COUNTS)
    connects = hold("connect", "total", 4)
    assert isinstance(await ledger.reserve("d", 1, [LIVE, connects]), Reserved)
    await ledger.settle("d", 1, ANSWERED)
    assert await ledger.reserve("e", 1, [LIVE, connects]) == Refused(connects.key, 1, used=4, held=0, limit=4)
    revenue = hold("revenue_cents", "day", 3600, 1500)
    assert await ledger.reserve("f", 1, [revenue]) == Refused(revenue.key, 1500, used=2700, held=0, limit=3600)
    assert (await ledger.usage())[CONVERT.key] == 3


async def test_a_count_beyond_a_limit_of_today_is_flagged(ledger: Ledger) -> None:
    """A report on a call that held nothing, after a cap was set and reached."""
    await ledger.reserve("c", 1, [LIVE])
    await ledger.reserve("d", 1, [LIVE, hold("convert", "day", 1)])
    await ledger.convert("d", 1, 0)
    assert (await ledger.convert("c", 1, 900, counts=[hold("convert", "day", 1)])).over_cap == (CONVERT.key,)
    assert await shown(ledger, CONVERT) == (2, 0)


async def test_verify_sees_a_count_that_is_missing_or_too_many(ledger: Ledger) -> None:
    await ledger.reserve("c", 1, [LIVE])
    await ledger.settle("c", 1, ANSWERED, counts=[CONNECT])
    for change in (1, -1):
        sql(ledger, "UPDATE cap_counters SET used = used + ? WHERE metric = 'connect'", change)
        if change > 0:
            assert await ledger.verify() == [Difference("used", CONNECT.key, 1, 2)]


async def test_close_books_and_finishes_at_once(ledger: Ledger) -> None:
    await ledger.reserve("c", 1, [CAMPAIGN_LIVE, *leg(5)])
    await ledger.convert("c", 1, 1000, [Money("c", "revenue", "attempt1", 1000)])
    asked: list[Sums] = []

    def entries(money: Sums) -> list[Money]:
        asked.append(money)
        return [Money("c", "payout", "payout", money.revenue_cents // 4), Money("c", "cost", "c.leg1", 3)]

    for expected in ([Sums(1000)], [Sums(1000), Sums(1000, 250, 3)]):
        asked.clear()
        sums = await ledger.close_call("c", entries, ANSWERED, expected_revenue=1000, counts=[CAMPAIGN])
        assert (sums, asked) == (Sums(1000, 250, 3), expected)
    assert await ledger.sums("c") == sums
    assert sql(ledger, "SELECT COUNT(*) FROM cap_holds WHERE state = 'held'") == [(0,)]
    assert await used(ledger, CAMPAIGN) == [1]


async def test_close_knows_of_money_that_another_process_booked(ledger: Ledger) -> None:
    await ledger.reserve("c", 1, [CAMPAIGN_LIVE])
    await ledger.book([Money("c", "revenue", "attempt1", 1000)])
    other = Ledger(ledger.path, worker="dcx-1", clock=Clock())
    await other.book([Money("c", "revenue", "postback:1", 200)])
    await other.close()
    due = await ledger.close_call("c", lambda m: [Money("c", "payout", "p", m.revenue_cents // 4)], ANSWERED)
    assert due == Sums(1200, 300)
