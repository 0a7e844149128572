"""Routing: what one decision costs, and one change of the configuration.

Beside it the same rules without anything worked out beforehand: the rows are read and compiled for every
call, as a program does that asks its tables when the call comes.
"""

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from bench.table import Row, percentile, ratio
from dcx_ari.decide.caps import CounterKey
from dcx_ari.decide.facts import CallFacts, Usage
from dcx_ari.decide.periods import period_keys, zone_of
from dcx_ari.decide.replay import rerun
from dcx_ari.decide.routing import route
from dcx_ari.decide.snapshot import Snapshot, amend, build

NOTES = (
    "Decision: state, schedule (10 of them), caps per day and month, concurrency, a filter on every second "
    "buyer; about half of the buyers are full. Beside it: the same rules, the campaign's rows read and compiled "
    "for each call.",
    "Snapshot: 10,000 buyers and attachments, one buyer changed; beside it: everything built anew.",
)
CONFIGURED = 10_000
NUMBER = "+18005550100"
RIVAL = "the same rules, compiled per call"
_NOW = int(datetime(2026, 3, 10, 17, tzinfo=UTC).timestamp() * 1000)
_ZONES = ("America/New_York", "America/Los_Angeles", "America/Chicago")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def rows(quick: bool) -> list[Row]:
    """The figures of this part."""
    calls = 300 if quick else 3_000
    return [*_decisions(100, calls, (0.3, 1.0)), *_decisions(1_000, calls // 10, (3.0, None)), *_changes(quick)]


def _decisions(attached: int, calls: int, goals: tuple[float, float | None]) -> Iterator[Row]:
    snapshot = build(_tables(CONFIGURED, attached), version=1)
    usage, facts = _usage(snapshot), _facts()
    ours = _times(calls, lambda seed: route(facts, snapshot, usage, _NOW, seed))
    part = _tables(attached, attached)
    naive = _times(
        5 if attached > 100 else 20,
        lambda seed: route(facts, build(part, version=1), usage, _NOW, seed),
    )
    subject = f"{CONFIGURED:,} buyers, {attached:,} attached"
    for percent, goal in zip((50, 99), goals, strict=True):
        mine, other = percentile(ours, percent), percentile(naive, percent)
        yield Row(
            subject,
            f"decision p{percent}",
            "ms",
            mine,
            other,
            RIVAL,
            ratio(mine, other),
            f"≤ {goal} ms" if goal else "",
            mine <= goal if goal else None,
        )
    decision = route(facts, snapshot, usage, _NOW, 1)
    text = decision.to_json()
    if rerun(text) != decision:
        raise RuntimeError("a Decision that was run again came out differently")
    yield Row(subject, "decision as JSON p50", "ms", percentile(_times(50, lambda _: decision.to_json()), 50))


def _changes(quick: bool) -> Iterator[Row]:
    data = _tables(CONFIGURED, 100)
    snapshot = build(data, version=1)
    changed = {**data["buyers"][4], "tier": 7}
    ours = _times(
        10 if quick else 30,
        lambda n: amend(snapshot, {"buyers": [{**changed, "version": n + 2}]}, version=n + 2),
    )
    naive = _times(2 if quick else 5, lambda n: build(data, version=n))
    mine, other = percentile(ours, 50), percentile(naive, 50)
    subject = f"{CONFIGURED:,} buyers, one changed"
    yield Row(
        subject,
        "snapshot p50",
        "ms",
        mine,
        other,
        "everything built anew",
        ratio(mine, other),
        "≤ 50 ms",
        mine <= 50,
    )


def _times(count: int, work: Callable[[int], Any]) -> list[float]:
    """Milliseconds of each run; one before them is not counted."""
    work(0)
    found = []
    for n in range(count):
        started = time.perf_counter()
        work(n)
        found.append((time.perf_counter() - started) * 1000)
    return found


def _facts() -> CallFacts:
    return CallFacts("bench", NUMBER, "+12125550123", _NOW)


def _tables(configured: int, attached: int) -> dict[str, list[dict[str, Any]]]:
    week = {day: [["06:00", "23:00"]] for day in _DAYS}
    return {
        "trunks": [{"id": 1, "is_default": True}],
        "numbers": [{"id": 1, "phone_number": NUMBER, "campaign_id": 1}],
        "campaigns": [{"id": 1}, {"id": 2}],
        "schedules": [{"id": i, "timezone": _ZONES[i % 3], "weekly": week} for i in range(1, 11)],
        "buyers": [_buyer(i) for i in range(1, configured + 1)],
        "campaign_buyers": [
            {"id": i, "campaign_id": 1 if i <= attached else 2, "buyer_id": i} for i in range(1, configured + 1)
        ],
    }


def _buyer(i: int) -> dict[str, Any]:
    states = [{"tag": "state", "op": "in", "value": ["NY", "NJ", "CT"]}]
    return {
        "id": i,
        "endpoint_value": f"+1212{i:07d}",
        "timezone": _ZONES[i % 3],
        "tier": i % 3,
        "weight": 1 + i % 100,
        "revenue_cents": 1_000 + i % 500,
        "daily_cap": 50,
        "monthly_cap": 900,
        "concurrency_limit": 5,
        "schedule_id": 1 + i % 10,
        "filters": states if i % 2 else [],
    }


def _usage(snapshot: Snapshot) -> Usage:
    """Figures for the attached buyers: a third at the daily cap, a fifth at their concurrency."""
    chance = random.Random(7)
    counters: dict[CounterKey, int] = {}
    for buyer_id in snapshot.plans[1].buyers:
        keys = period_keys(_NOW, zone_of(snapshot.buyers[buyer_id].timezone or snapshot.company_zone))
        counters[CounterKey("buyer", buyer_id, "connect", "day", keys["day"])] = chance.choice((10, 20, 50))
        counters[CounterKey("buyer", buyer_id, "connect", "month", keys["month"])] = chance.randrange(800)
        counters[CounterKey("buyer", buyer_id, "attempt", "concurrent", "now")] = chance.randrange(1, 6)
    return Usage(counters=counters)


if __name__ == "__main__":
    import sys

    from bench.table import rows_table

    print(rows_table(rows("--quick" in sys.argv)))
