"""Calls with money for tests of reports: the rows are written, the money goes through the real ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from dcx_ari.decide.caps import Outcome
from dcx_ari.decide.local_time import local_time
from dcx_ari.services import rows
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.ledger import Ledger, Money
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import Call

ZONE = ZoneInfo("America/New_York")
BUYERS, SOURCES, CAMPAIGNS = ("Acme", "Best", "=cmd()"), ("Radio", "Web"), ("Solar", "Auto")


def ms(text: str) -> int:
    """Epoch ms of a time on New York's clock."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


NOW = ms("2026-03-10T15:00")  # a Tuesday; the clock was put forward on Sunday


async def configure(path: Path) -> None:
    """Three buyers, two sources, two campaigns with a number each, in a new database file."""
    url = f"sqlite:///{path}"
    await migrate(url)
    database = open_database(url)
    async with database.write() as session:

        async def add(kind: str, **values: Any) -> None:
            await rows.create(session, RESOURCES[kind], values)

        for n, name in enumerate(BUYERS, 1):
            limits = {"concurrency_limit": 2, "daily_cap": 10} if name == "Acme" else {}
            await add("buyers", name=name, endpoint_value=f"+1555010100{n}", revenue_cents=1000, tier=n - 1, **limits)
        for name in SOURCES:
            await add("sources", name=name)
        for n, name in enumerate(CAMPAIGNS, 1):
            await add("campaigns", name=name, vertical=("SOLAR", "AUTO")[n - 1])
            values = {"campaign_id": n, "traffic_source_id": n, "monthly_cost_cents": 310 * n}
            await add("numbers", phone_number=f"+1800555000{n}", **values)
    await database.close()


@dataclass
class Made:
    """Makes calls one after another; `count` is how many there are."""

    database: Database
    ledger: Ledger
    count: int = 0

    async def call(
        self,
        at: int | str = NOW - 3_600_000,
        *,
        buyer: int | None = 1,
        source: int = 1,
        price: int | None = None,
        payout: int = 0,
        cost: int = 0,
        talk_ms: int = 60_000,
        live: bool = False,
        **more: Any,
    ) -> str:
        """A call with its bookings: connected when it has a buyer, sold when it has a price (cents)."""
        self.count += 1
        call_id, started = f"call{self.count:016d}", ms(at) if isinstance(at, str) else at
        here = local_time(started, ZONE)
        values = {
            "status": "IN_PROGRESS" if live else "COMPLETED" if buyer else "NO_ANSWER",
            "failure_reason": None if buyer else "all_no_answer",
            "caller": f"+1212555{self.count:04d}",
            "caller_state": "NY",
            "campaign_id": source,
            "number_id": source,
            **more,
        }
        async with self.database.write() as session:
            session.add(
                Call(
                    id=call_id,
                    started_at=started,
                    local_day=here.day,
                    local_hour=here.hour,
                    local_weekday=here.weekday,
                    local_minute=here.minute,
                    traffic_source_id=source,
                    buyer_id=buyer,
                    connected_at=started + 5_000 if buyer else None,
                    ended_at=None if live else started + 5_000 + talk_ms,
                    talk_ms=talk_ms if buyer and not live else 0,
                    converted=price is not None,
                    source_converted=payout > 0,
                    **values,
                )
            )
        if price is not None:
            await self.ledger.convert(call_id, 1, price, [Money(call_id, "revenue", "attempt1", price, buyer_id=buyer)])
        if not live:
            due = [Money(call_id, "payout", "payout", payout), Money(call_id, "cost", "leg1", cost)]
            entries = [entry for entry in due if entry.amount_cents]
            await self.ledger.close_call(call_id, lambda _: entries, Outcome(answered=buyer is not None))
        return call_id

    async def adjust(self, call_id: str, cents: int, key: str) -> None:
        """The price changes after the fact."""
        money = [Money(call_id, "revenue", key, cents)]
        await self.ledger.correct(call_id, 1, cents, money, reason="postback", actor="buyer 1")
