"""Conversions, corrections, adjustments: booked once, flagged where a limit is passed, never edited."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ledger_kit import ANSWERED, Clock, hold, leg, new_file, shown, sql

from dcx_ari.store.ledger import BadEntry, Converted, Ledger, Money, Sums

pytestmark = [pytest.mark.unit, pytest.mark.databases]

REVENUE = Money("c", "revenue", "conversion", 1200, buyer_id=1)
PAYOUT = Money("c", "payout", "conversion", 800, source_id=4)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(str(new_file(tmp_path / "ledger.db")), clock=Clock())
    yield ledger
    assert await ledger.verify() == []
    await ledger.close()


async def converted(ledger: Ledger) -> list[tuple[int, int]]:
    """Conversions and revenue of buyer 1."""
    return [await shown(ledger, h) for h in leg()[3:]]


async def test_conversion_commits_caps_and_books_money_together(ledger: Ledger) -> None:
    await ledger.reserve("c", 1, leg(1))
    assert await ledger.convert("c", 1, 1200, [REVENUE, PAYOUT]) == Converted(2)
    assert await converted(ledger) == [(1, 0), (1200, 0)]
    await ledger.book([Money("c", "cost", "leg1", 13)])
    assert await ledger.sums("c") == Sums(1200, 800, 13)
    assert (await ledger.sums("c")).profit_cents == 387


async def test_conversion_twice_is_one(ledger: Ledger) -> None:
    await ledger.reserve("c", 1, leg(1))
    for expected in (2, 0):
        assert (await ledger.convert("c", 1, 1200, [REVENUE, PAYOUT])).booked == expected
        await ledger.settle("c", 1, ANSWERED)
    again = Money("c", "revenue", "by another rule", 1500)
    assert await ledger.convert("c", 1, 1500, [again]) == Converted(0)
    assert await converted(ledger) == [(1, 0), (1200, 0)]
    assert await ledger.sums("c") == Sums(1200, 800)


async def test_without_conversion_caps_the_key_keeps_it_single(ledger: Ledger) -> None:
    for expected in (1, 0):
        assert await ledger.convert("c", 1, 1200, [REVENUE]) == Converted(expected)


async def test_bad_money_leaves_the_caps_alone(ledger: Ledger) -> None:
    await ledger.reserve("c", 1, leg(1))
    for bad in (Money("c", "gift", "k", 1), Money("c", "revenue", "", 1), Money("", "revenue", "k", 1)):
        with pytest.raises(BadEntry):
            await ledger.convert("c", 1, 1200, [REVENUE, bad])
    with pytest.raises(BadEntry):
        await ledger.convert("c", 1, -1, [REVENUE])
    assert await converted(ledger) == [(0, 1), (0, 1500)]
    assert await ledger.sums("c") == Sums()


async def test_late_within_the_cap_is_not_flagged(ledger: Ledger) -> None:
    await ledger.reserve("c", 1, leg(2))
    await ledger.settle("c", 1, ANSWERED)
    assert await ledger.convert("c", 1, 1200, [REVENUE]) == Converted(1)
    assert await converted(ledger) == [(1, 0), (1200, 0)]


async def test_late_above_the_cap_is_booked_and_flagged(ledger: Ledger) -> None:
    await ledger.reserve("c", 1, leg(1))
    await ledger.settle("c", 1, ANSWERED)
    await ledger.reserve("d", 1, [leg(1)[3]])
    await ledger.convert("d", 1, 0)
    assert await ledger.convert("c", 1, 1200, [REVENUE, PAYOUT]) == Converted(2, (leg()[3].key,))
    assert await converted(ledger) == [(2, 0), (1200, 0)]
    assert sql(ledger, "SELECT kind, over_cap FROM money_entries ORDER BY id") == [
        ("revenue", 1),
        ("payout", 0),
    ]
    assert sql(ledger, "SELECT COUNT(*) FROM cap_entries WHERE over_cap") == [(1,)]


async def test_price_above_what_was_held_is_flagged(ledger: Ledger) -> None:
    await ledger.reserve("c", 1, leg(1))
    assert (await ledger.convert("c", 1, 1501)).over_cap == (leg()[4].key,)
    assert await shown(ledger, leg()[4]) == (1501, 0)


async def test_correction_is_an_entry_and_happens_once(ledger: Ledger) -> None:
    await ledger.reserve("c", 1, leg(1))
    await ledger.convert("c", 1, 1200, [REVENUE])
    lower = [Money("c", "revenue", "postback-2", -200, buyer_id=1)]
    for expected in (1, 0):
        answer = await ledger.correct("c", 1, -200, lower, reason="postback", actor="buyer 1")
        assert answer == Converted(expected)
    assert await converted(ledger) == [(1, 0), (1000, 0)]
    assert await ledger.sums("c") == Sums(1000)
    higher = [Money("c", "revenue", "postback-3", 900, buyer_id=1)]
    answer = await ledger.correct("c", 1, 900, higher, reason="postback", actor="buyer 1")
    assert answer == Converted(1, (leg()[4].key,))
    with pytest.raises(BadEntry):
        await ledger.correct("c", 1, 1, [], reason="postback", actor="buyer 1")


async def test_book_is_idempotent_within_and_across_requests(ledger: Ledger) -> None:
    assert await ledger.book([REVENUE, REVENUE, PAYOUT]) == 2
    assert await ledger.book([REVENUE, Money("c", "revenue", "other", 1)]) == 1
    assert await ledger.sums("c") == Sums(1201, 800)


async def test_adjust_is_an_entry_with_reason_and_actor(ledger: Ledger) -> None:
    key = hold("connect", "day").key
    assert await ledger.adjust(key, 3, reason="calls by hand", actor="ann") == (0, 3)
    assert await ledger.adjust(key, to=1, reason="two too many", actor=" ann ") == (3, 1)
    assert sql(ledger, "SELECT amount, reason, actor FROM cap_entries WHERE kind = 'adjust' ORDER BY id") == [
        (3, "calls by hand", "ann"),
        (-2, "two too many", "ann"),
    ]


@pytest.mark.parametrize(
    ("period", "delta", "reason", "actor"),
    [
        ("concurrent", 1, "r", "a"),
        ("day", 0, "r", "a"),
        ("day", -1, "r", "a"),
        ("day", None, "r", "a"),
        ("day", 1, " ", "a"),
        ("day", 1, "r", ""),
    ],
)
async def test_adjust_refuses(ledger: Ledger, period: str, delta: int | None, reason: str, actor: str) -> None:
    with pytest.raises(BadEntry):
        await ledger.adjust(hold("attempt", period).key, delta, reason=reason, actor=actor)  # type: ignore[arg-type]


async def test_raised_limits_count_the_adjusted_use(ledger: Ledger) -> None:
    await ledger.adjust(hold().key, 5, reason="moved from the old system", actor="ann")
    assert (await ledger.reserve("c", 1, [hold(limit=5)])) != (await ledger.reserve("d", 1, [hold(limit=6)]))


@pytest.mark.parametrize("table", ["cap_entries", "money_entries"])
async def test_entries_cannot_be_changed(ledger: Ledger, table: str) -> None:
    await ledger.reserve("c", 1, leg())
    await ledger.convert("c", 1, 1200, [REVENUE])
    for statement in (f"UPDATE {table} SET reason = 'x'", f"DELETE FROM {table}"):  # noqa: S608
        with pytest.raises(Exception, match="append-only"):
            sql(ledger, statement)
