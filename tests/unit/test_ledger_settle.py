"""What becomes of holds: committed, kept for a postback, freed; each once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ledger_kit import ANSWERED, START, Clock, hold, leg, new_file, shown, sql

from dcx_ari.decide.caps import Outcome
from dcx_ari.store.ledger import Freed, Ledger, Refused, Reserved

pytestmark = [pytest.mark.unit, pytest.mark.databases]

BUSY = Outcome()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ledger(tmp_path: Path, clock: Clock) -> AsyncIterator[Ledger]:
    ledger = Ledger(str(new_file(tmp_path / "ledger.db")), clock=clock)
    yield ledger
    assert await ledger.verify() == []
    await ledger.close()


async def figures(ledger: Ledger) -> list[tuple[int, int]]:
    """concurrent, attempt, connect, convert, revenue."""
    return [await shown(ledger, h) for h in leg()]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (BUSY, [(0, 0), (1, 0), (0, 0), (0, 0), (0, 0)]),
        (ANSWERED, [(0, 0), (1, 0), (1, 0), (0, 0), (0, 0)]),
        (
            Outcome(answered=True, conversions=1, revenue_cents=900),
            [(0, 0), (1, 0), (1, 0), (1, 0), (900, 0)],
        ),
    ],
)
async def test_settle_commits_by_outcome(ledger: Ledger, outcome: Outcome, expected: list[tuple[int, int]]) -> None:
    await ledger.reserve("c", 1, leg(5))
    assert await ledger.settle("c", 1, outcome)
    assert await figures(ledger) == expected
    assert not await ledger.settle("c", 1, ANSWERED)
    assert not await ledger.release("c", 1)
    assert await figures(ledger) == expected


async def test_release_gives_everything_back(ledger: Ledger) -> None:
    await ledger.reserve("c", 1, leg(1))
    assert await ledger.release("c", 1)
    assert await figures(ledger) == [(0, 0)] * 5
    assert isinstance(await ledger.reserve("d", 1, leg(1)), Reserved)


async def test_answer_commits_connect_at_once(ledger: Ledger) -> None:
    campaign = hold("connect", "day", 1, scope="campaign")
    await ledger.reserve("c", 1, [campaign, *leg(1)])
    assert await ledger.commit_connect("c", 1)
    assert [await shown(ledger, h) for h in (campaign, leg()[2])] == [(1, 0), (1, 0)]
    assert not await ledger.commit_connect("c", 1)
    await ledger.settle("c", 1, BUSY)
    assert await shown(ledger, leg()[2]) == (1, 0)
    await ledger.finish("c", BUSY)
    assert await shown(ledger, campaign) == (1, 0)


async def test_conversion_holds_wait_for_the_postback_and_expire(ledger: Ledger, clock: Clock) -> None:
    await ledger.reserve("c", 1, leg(1))
    await ledger.settle("c", 1, ANSWERED, keep_until=clock.now + 60_000)
    assert await figures(ledger) == [(0, 0), (1, 0), (1, 0), (0, 1), (0, 1500)]
    assert isinstance(await ledger.reserve("d", 1, [leg(1)[3]]), Refused)
    clock.now += 59_999
    assert await ledger.release_orphans([], before=clock.now) == []
    assert not await ledger.finish("c", ANSWERED)
    assert await ledger.release_expired() == []
    clock.now += 1
    assert await ledger.release_expired() == [Freed("c", 1)]
    assert await figures(ledger) == [(0, 0), (1, 0), (1, 0), (0, 0), (0, 0)]


async def test_an_unanswered_leg_waits_for_no_postback(ledger: Ledger, clock: Clock) -> None:
    await ledger.reserve("c", 1, leg(1))
    await ledger.settle("c", 1, BUSY, keep_until=clock.now + 60_000)
    assert (await figures(ledger))[3:] == [(0, 0), (0, 0)]


async def test_finish_closes_whatever_is_open(ledger: Ledger) -> None:
    campaign = hold("connect", "day", 9, scope="campaign")
    await ledger.reserve("c", 1, [campaign, *leg(buyer=1)])
    await ledger.reserve("c", 2, leg(buyer=2))
    await ledger.commit_connect("c", 2)
    assert await ledger.finish("c", ANSWERED)
    assert not await ledger.finish("c", ANSWERED)
    assert sql(ledger, "SELECT COUNT(*) FROM cap_holds WHERE state = 'held'") == [(0,)]
    assert [await shown(ledger, leg(buyer=b)[2]) for b in (1, 2)] == [(0, 0), (1, 0)]
    assert [await shown(ledger, leg(buyer=b)[1]) for b in (1, 2)] == [(1, 0), (1, 0)]
    assert await shown(ledger, campaign) == (1, 0)


async def test_orphans_are_freed_and_nothing_else(ledger: Ledger, clock: Clock) -> None:
    other = Ledger(ledger.path, worker="dcx-1", clock=clock)
    await other.reserve("other", 1, leg())
    await ledger.reserve("lost", 1, leg())
    await ledger.reserve("live", 1, leg())
    clock.now += 1
    listed = clock.now
    await ledger.reserve("new", 1, leg())
    assert await ledger.release_orphans(["live"], before=listed) == [Freed("lost", 1)]
    assert await ledger.release_orphans(["live"], before=listed) == []
    assert await shown(ledger, leg()[0]) == (0, 3)
    assert await ledger.release_orphans([], before=listed, worker="dcx-1") == [Freed("other", 1)]
    await other.close()


async def test_late_settling_counts_in_the_period_of_call_start(ledger: Ledger, clock: Clock) -> None:
    await ledger.reserve("c", 1, [hold(key="2026-05-01")])
    clock.now += 86_400_000
    await ledger.settle("c", 1, ANSWERED)
    assert await shown(ledger, hold(key="2026-05-01")) == (1, 0)
    assert await shown(ledger, hold(key="2026-05-02")) == (0, 0)
    assert sql(ledger, "SELECT created_at, closed_at FROM cap_holds") == [(START, clock.now)]
