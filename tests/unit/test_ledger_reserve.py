"""Taking holds: all or none, counted once, never above a limit."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ledger_kit import ANSWERED, START, Clock, hold, leg, new_file, shown, sql

from dcx_ari.store.errors import StoreError
from dcx_ari.store.ledger import AttemptClosed, BadEntry, Ledger, Refused, Reserved, Spacing, open_ledger

pytestmark = [pytest.mark.unit, pytest.mark.databases]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ledger(tmp_path: Path, clock: Clock) -> AsyncIterator[Ledger]:
    ledger = Ledger(str(new_file(tmp_path / "a b?.db")), clock=clock)
    yield ledger
    await ledger.close()


async def test_takes_every_hold(ledger: Ledger) -> None:
    assert await ledger.reserve("c", 1, leg(5)) == Reserved("c", 1)
    assert [await shown(ledger, h) for h in leg()] == [(0, 1), (0, 1), (0, 1), (0, 1), (0, 1500)]


async def test_refused_takes_nothing_and_names_the_first_without_room(ledger: Ledger) -> None:
    full = hold("connect", "total", limit=1)
    await ledger.reserve("first", 1, [full])
    holds = [hold("attempt", "day"), full, hold("connect", "hour", limit=0)]
    assert await ledger.reserve("c", 1, holds) == Refused(full.key, 1, used=0, held=1, limit=1)
    assert await shown(ledger, holds[0]) == (0, 0)
    assert await ledger.verify() == []


async def test_amount_must_fit_as_a_whole(ledger: Ledger) -> None:
    revenue = hold("revenue_cents", "day", limit=4000, amount=1500)
    answers = [await ledger.reserve(f"c{n}", 1, [revenue]) for n in range(3)]
    assert [type(answer) for answer in answers] == [Reserved, Reserved, Refused]
    assert await shown(ledger, revenue) == (0, 3000)


async def test_no_limit_counts_and_zero_is_closed(ledger: Ledger) -> None:
    assert isinstance(await ledger.reserve("c1", 1, [hold(limit=None)]), Reserved)
    assert isinstance(await ledger.reserve("c2", 1, [hold(limit=1)]), Refused)
    assert isinstance(await ledger.reserve("c3", 1, [hold("attempt", "hour", limit=0)]), Refused)


async def test_guard_holds_nothing_but_refuses_at_its_limit(ledger: Ledger) -> None:
    guard = hold("convert", "day", limit=1, amount=0)  # configured: 2, count_after
    for n in (1, 2):
        assert isinstance(await ledger.reserve(f"c{n}", 1, [guard]), Reserved)
    assert (await ledger.convert("c1", 1, 0)).over_cap == ()
    assert (await ledger.convert("c2", 1, 0)).over_cap == ()
    assert await ledger.reserve("c3", 1, [guard]) == Refused(guard.key, 0, used=2, held=0, limit=2)
    assert await ledger.verify() == []


async def test_same_attempt_twice_takes_once(ledger: Ledger) -> None:
    await ledger.reserve("c", 1, leg(1))
    assert await ledger.reserve("c", 1, leg(1)) == Reserved("c", 1, repeated=True)
    assert await shown(ledger, leg()[0]) == (0, 1)


async def test_an_attempt_that_is_over_is_not_taken_again(ledger: Ledger) -> None:
    for attempt, spacing in ((1, None), (2, Spacing(1))):
        await ledger.reserve("c", attempt, leg(), spacing=spacing)
        await ledger.settle("c", attempt, ANSWERED)
        with pytest.raises(AttemptClosed):
            await ledger.reserve("c", attempt, leg(), spacing=spacing)


async def test_source_and_campaign_count_once_per_call(ledger: Ledger) -> None:
    campaign = hold("connect", "day", 1, scope="campaign")
    source = hold("attempt", "concurrent", 1, scope="source")
    for attempt in (1, 2):
        assert isinstance(await ledger.reserve("c", attempt, [source, campaign, *leg()]), Reserved)
        await ledger.settle("c", attempt, ANSWERED)
    assert [await shown(ledger, h) for h in (source, campaign)] == [(0, 1), (0, 1)]
    await ledger.finish("c", ANSWERED)
    assert [await shown(ledger, h) for h in (source, campaign)] == [(0, 0), (1, 0)]
    assert await shown(ledger, leg()[2]) == (2, 0)


async def test_a_call_may_go_on_after_its_campaign_holds_are_committed(ledger: Ledger) -> None:
    campaign = hold("connect", "day", 1, scope="campaign")
    for attempt in (1, 2):
        assert isinstance(await ledger.reserve("c", attempt, [campaign, *leg()]), Reserved)
        await ledger.commit_connect("c", attempt)
        await ledger.settle("c", attempt, ANSWERED)
    assert await shown(ledger, campaign) == (1, 0)


async def test_a_finished_call_takes_nothing_more(ledger: Ledger) -> None:
    await ledger.reserve("c", 1, [hold("attempt", "concurrent", 1, scope="source"), *leg()])
    await ledger.finish("c", ANSWERED)
    with pytest.raises(AttemptClosed):
        await ledger.reserve("c", 2, [hold("attempt", "concurrent", 1, scope="source"), *leg()])
    assert await shown(ledger, leg()[0]) == (0, 0)


async def test_legs_that_ring_together_share_the_group(ledger: Ledger) -> None:
    group = hold("connect", "day", 1, scope="group", scope_id=9)
    for attempt in (2, 3):
        holds = [group, *leg(buyer=attempt)]
        assert isinstance(await ledger.reserve("c", attempt, holds, group_attempt=1), Reserved)
    await ledger.commit_connect("c", 3, group_attempt=1)
    await ledger.release("c", 2)
    await ledger.settle("c", 3, ANSWERED)
    await ledger.settle("c", 1, ANSWERED)
    assert await shown(ledger, group) == (1, 0)
    assert [await shown(ledger, leg(buyer=b)[2]) for b in (2, 3)] == [(0, 0), (1, 0)]
    assert await ledger.verify() == []


async def test_spacing_counts_from_the_last_attempt(ledger: Ledger, clock: Clock) -> None:
    spacing = Spacing(7, least_s=30)
    assert isinstance(await ledger.reserve("c1", 1, [hold()], spacing=spacing), Reserved)
    await ledger.release("c1", 1)
    clock.now += 29_999
    assert await ledger.reserve("c2", 1, [hold()], spacing=spacing) == Refused(spacing.key, 1, START, 0, 30)
    assert await shown(ledger, hold()) == (0, 0)
    clock.now += 1
    assert isinstance(await ledger.reserve("c2", 1, [hold()], spacing=spacing), Reserved)
    assert (await ledger.usage())[spacing.key] == clock.now
    assert await ledger.verify() == []


async def test_spacing_without_a_limit_is_remembered(ledger: Ledger) -> None:
    for repeated in (False, True):
        assert await ledger.reserve("c1", 1, [], spacing=Spacing(7)) == Reserved("c1", 1, repeated)
    assert isinstance(await ledger.reserve("c2", 1, [], spacing=Spacing(7, 1)), Refused)


@pytest.mark.parametrize("holds", [[hold(amount=-1)], [hold(), hold(key="2026-05-02")]])
async def test_bad_holds_are_refused_alone(ledger: Ledger, holds: list) -> None:
    with pytest.raises(BadEntry):
        await ledger.reserve("c", 1, holds)
    assert sql(ledger, "SELECT COUNT(*) FROM cap_holds") == [(0,)]


async def test_usage_follows_every_process(ledger: Ledger, clock: Clock) -> None:
    await ledger.reserve("c", 1, leg())
    assert (await ledger.usage())[leg()[0].key] == 1
    other = Ledger(ledger.path, worker="dcx-1", clock=clock)
    await other.reserve("d", 1, leg())
    await other.adjust(hold("connect").key, 5, reason="moved", actor="cli")
    await other.close()
    usage = await ledger.usage()
    assert (usage[leg()[0].key], usage[hold("connect").key]) == (2, 7)
    await ledger.release("c", 1)
    assert (await ledger.usage())[leg()[0].key] == 1


async def test_usage_forgets_days_long_over(ledger: Ledger, clock: Clock) -> None:
    await ledger.reserve("c", 1, [hold(), hold("connect", "total"), hold("attempt", "hour")])
    assert len(await ledger.usage()) == 3
    clock.now += 5 * 86_400_000
    assert set(await ledger.usage()) == {hold("connect", "total").key}
    fresh = Ledger(ledger.path, clock=clock)
    assert set(await fresh.usage()) == {hold("connect", "total").key}
    await fresh.close()


@pytest.mark.sqlite_only
async def test_a_database_that_cannot_be_used_is_said(tmp_path: Path, ledger: Ledger) -> None:
    missing = Ledger(str(tmp_path / "missing.db"))
    with pytest.raises(StoreError, match="cannot be opened"):
        await missing.reserve("c", 1, leg())
    await missing.close()
    with pytest.raises(StoreError, match="closed"):
        await missing.release("c", 1)
    with pytest.raises(StoreError, match="SQLite file"):
        open_ledger("sqlite://")


@pytest.mark.sqlite_only
async def test_a_locked_database_is_said_and_does_no_harm(tmp_path: Path) -> None:
    ledger = Ledger(str(new_file(tmp_path / "x.db")), busy_timeout_ms=20)
    await ledger.reserve("c", 1, leg())
    lock = sqlite3.connect(ledger.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        await ledger.settle("c", 1, ANSWERED)
    lock.close()
    assert await ledger.settle("c", 1, ANSWERED)
    await ledger.close()
