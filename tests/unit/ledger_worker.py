"""A worker process for the ledger's tests: `ledger_worker.py DATABASE WORKER CALLS`.

With CALLS 0 it reserves for ever, settles every third call, and prints what it has reserved and settled, until it is
killed. Caps are mixed and tight, so that processes race for every last slot.
"""

import asyncio
import random
import sys

from dcx_ari.decide.caps import Hold, Outcome
from dcx_ari.store.ledger import Ledger, Money, Refused, Spacing

DAY = "2026-05-01"
BUYERS = 6


def caps(buyer: int) -> tuple[Hold, ...]:
    """Tight where a buyer's number says so, else unlimited: total, day, concurrency, conversions, revenue."""
    return (
        Hold("campaign", 1, "connect", "day", DAY, 1, 600),
        Hold("campaign", 1, "attempt", "concurrent", "now", 1, 30),
        Hold("group", 1 + buyer % 2, "connect", "day", DAY, 1, 220),
        Hold("buyer", buyer, "connect", "total", "all", 1, 60 if buyer == 0 else None),
        Hold("buyer", buyer, "attempt", "day", DAY, 1, 75 if buyer == 1 else None),
        Hold("buyer", buyer, "convert", "month", "2026-05", 1, 20 if buyer == 2 else None),
        Hold("buyer", buyer, "revenue_cents", "day", DAY, 1500, 45_000 if buyer == 3 else None),
        Hold("buyer", buyer, "attempt", "concurrent", "now", 1, 3 if buyer >= 4 else None),
    )


async def call(ledger: Ledger, name: str, chance: random.Random) -> None:
    """One call: up to two legs, some answered, some converted, some never dialled."""
    for attempt in (1, 2):
        buyer = chance.randrange(BUYERS)
        spacing = Spacing(buyer, 0 if buyer == 5 else None)
        taken = await ledger.reserve(name, attempt, caps(buyer), spacing=spacing)
        if isinstance(taken, Refused):
            continue
        end = chance.random()
        if end < 0.1:
            await ledger.release(name, attempt)
        elif end < 0.4:
            await ledger.settle(name, attempt, Outcome())
        else:
            await ledger.commit_connect(name, attempt)
            if end > 0.6:
                await ledger.convert(name, attempt, 1200, [Money(name, "revenue", f"{attempt}", 1200)])
            await ledger.settle(name, attempt, Outcome(answered=True))
            break
    await ledger.finish(name, Outcome(answered=True))


async def finite(ledger: Ledger, calls: int) -> None:
    chance = random.Random(ledger.worker)
    names = iter([f"{ledger.worker}-{n}" for n in range(calls)])

    async def task() -> None:
        for name in names:
            await call(ledger, name, chance)

    await asyncio.gather(*(task() for _ in range(12)))


async def endless(ledger: Ledger) -> None:
    n = 0
    while True:
        n += 1
        name = f"{ledger.worker}-{n}"
        await ledger.reserve(name, 1, [Hold("buyer", 1, "attempt", "concurrent", "now", 1, 10_000)])
        print("reserved", name, flush=True)
        if n % 3 == 0:
            await ledger.settle(name, 1, Outcome(answered=True))
            print("settled", name, flush=True)


async def main(database: str, worker: str, calls: int) -> None:
    ledger = Ledger(database, worker=worker, busy_timeout_ms=30_000)
    await (finite(ledger, calls) if calls else endless(ledger))
    await ledger.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
