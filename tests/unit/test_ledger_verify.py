"""`verify` finds every kind of damage."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ledger_kit import ANSWERED, Clock, hold, leg, new_file, sql

from dcx_ari.store.ledger import Ledger, Spacing

pytestmark = [pytest.mark.unit, pytest.mark.databases]


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    clock = Clock()
    ledger = Ledger(str(new_file(tmp_path / "ledger.db")), clock=clock)
    for n in range(3):
        await ledger.reserve(f"c{n}", 1, leg(3), spacing=Spacing(1, 10))
        clock.now += 10_000
    await ledger.convert("c1", 1, 1200)
    await ledger.settle("c1", 1, ANSWERED)
    assert await ledger.verify() == []
    yield ledger
    await ledger.close()


@pytest.mark.parametrize(
    ("damage", "rules"),
    [
        ("UPDATE cap_counters SET used = used + 1 WHERE metric = 'convert'", ["used", "limit"]),
        ("UPDATE cap_counters SET held = held + 1 WHERE metric = 'connect'", ["held", "limit"]),
        ("DELETE FROM cap_counters WHERE metric = 'revenue_cents'", ["used", "held"]),
        ("DELETE FROM cap_holds WHERE call_id = 'c0' AND metric = 'connect'", ["held"]),
        ("DELETE FROM cap_holds WHERE call_id = 'c1' AND metric = 'connect'", ["hold"]),
        ("UPDATE cap_holds SET committed = 2 WHERE call_id = 'c1' AND metric = 'connect'", ["hold"]),
        ("UPDATE cap_holds SET limit_value = 2 WHERE call_id = 'c2' AND metric = 'connect'", ["limit"]),
        ("UPDATE cap_holds SET limit_value = 2, level = 2 WHERE metric = 'connect'", ["limit"]),
        ("UPDATE cap_holds SET limit_value = 11 WHERE period = 'spacing' AND call_id = 'c2'", ["spacing"]),
        (
            "INSERT INTO cap_entries (kind, scope, scope_id, metric, period, period_key, amount, over_cap, at)"
            " VALUES ('adjust', 'buyer', 1, 'connect', 'day', '2026-05-01', 1, false, 0)",
            ["used"],
        ),
    ],
)
async def test_damage_is_found(ledger: Ledger, damage: str, rules: list[str]) -> None:
    sql(ledger, damage)
    found = await ledger.verify()
    assert [difference.rule for difference in found] == rules
    assert all("buyer/1/" in str(difference) for difference in found)


async def test_a_difference_reads_well(ledger: Ledger) -> None:
    sql(ledger, "UPDATE cap_counters SET used = 7 WHERE metric = 'attempt' AND period = 'day'")
    used, limit = (str(difference) for difference in await ledger.verify())
    assert used == "buyer/1/attempt/day/2026-05-01: used 7, expected 1"
    assert limit == "buyer/1/attempt/day/2026-05-01: limit 9, at most 3"


async def test_a_limit_lowered_later_is_no_difference(ledger: Ledger) -> None:
    await ledger.settle("c0", 1, ANSWERED)
    await ledger.settle("c2", 1, ANSWERED)
    await ledger.reserve("d", 1, [hold("connect", "total", limit=1)])
    await ledger.reserve("e", 1, [hold(limit=1)])
    assert await ledger.verify() == []
