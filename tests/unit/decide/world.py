"""A small configuration to vary: one number, one campaign, buyers as asked for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from dcx_ari.decide.caps import CounterKey
from dcx_ari.decide.decision import Decision
from dcx_ari.decide.facts import CallFacts, Usage
from dcx_ari.decide.periods import to_ms, zone_of
from dcx_ari.decide.routing import route
from dcx_ari.decide.snapshot import Snapshot, build

NUMBER = "+18005550100"
CALLER = "+12125550123"
NY = zone_of("America/New_York")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALWAYS = {day: [["00:00", "24:00"]] for day in DAYS}


def at(text: str, zone: str = "America/New_York") -> int:
    """`2026-03-10T12:00` on the wall clock of a zone, in epoch ms."""
    return to_ms(datetime.fromisoformat(text).replace(tzinfo=zone_of(zone)))


NOON = at("2026-03-10T12:00")


def buyer(row_id: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": row_id,
        "name": f"Buyer {row_id}",
        "endpoint_value": f"+1646555{row_id:04d}",
        "revenue_cents": 1000,
        **fields,
    }


def tables(buyers: Iterable[dict[str, Any]] = (), **more: Any) -> dict[str, list[dict[str, Any]]]:
    """All tables; `campaign`, `number` and `source` are overrides, other keywords whole tables."""
    rows = list(buyers)
    attached = [
        {"id": i, "campaign_id": 1, "buyer_id": row["id"], **row.pop("attachment", {})}
        for i, row in enumerate((dict(r) for r in rows), start=1)
        if not row.pop("apart", False)
    ]
    plain = [{k: v for k, v in row.items() if k not in ("attachment", "apart")} for row in rows]
    return {
        "trunks": [{"id": 1, "name": "carrier", "host": "192.0.2.1", "is_default": True}],
        "numbers": [
            {"id": 1, "phone_number": NUMBER, "campaign_id": 1, "traffic_source_id": 1, **more.pop("number", {})}
        ],
        "traffic_sources": [{"id": 1, "name": "Source", **more.pop("source", {})}],
        "campaigns": [{"id": 1, "name": "Campaign", **more.pop("campaign", {})}],
        "buyers": plain,
        "campaign_buyers": attached + more.pop("attached", []),
        **more,
    }


def config(buyers: Iterable[dict[str, Any]] = (), **more: Any) -> Snapshot:
    return build(tables(buyers, **more), version=7)


def call(caller: str | None = CALLER, started_at: int = NOON, **fields: Any) -> CallFacts:
    return CallFacts("call-1", NUMBER, caller, started_at, **fields)


def decide(
    snapshot: Snapshot,
    facts: CallFacts | None = None,
    usage: Usage | None = None,
    *,
    now: int | None = None,
    seed: int = 1,
    explain_all: bool = False,
) -> Decision:
    facts = facts or call()
    when = facts.started_at if now is None else now
    return route(facts, snapshot, usage or Usage(), when, seed, explain_all=explain_all)


def used(*figures: tuple[str, int, str, str, str, int]) -> Usage:
    """Counters from (scope, id, metric, period, key, figure)."""
    return Usage(counters={CounterKey(*f[:5]): f[5] for f in figures})


def order(decision: Decision) -> list[int]:
    """Buyers in the order of dialling."""
    return [buyer_id for step in decision.steps for buyer_id in step.buyer_ids]


def reasons(decision: Decision) -> dict[int, str]:
    """First failed check by candidate id."""
    return {r.id: r.reason for r in decision.rejected}
