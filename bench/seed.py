"""The exchange that DCX carries its bench calls with: 100 buyers, caps and money on, nothing that refuses a call."""

from pathlib import Path

from bench import ports, sipp
from dcx_ari.store.db import open_database
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import Buyer, Campaign, CampaignBuyer, Number, TrafficSource, Trunk
from dcx_ari.store.models.values import ConversionRule, Payout, Rate

BUYERS = 100
WIDE = 1_000_000  # a cap that is counted but never reached
CALLERS = 10_000


async def seed(url: str, number: str, caller_host: str, *, buyers: int = BUYERS, caps: bool = True) -> None:
    """Make the database at `url` and fill it: calls from `caller_host` to `number` are offered to `buyers`.

    With `caps` each call takes nine holds (buyer 4, source 3, campaign 2). It converts after one second of talk
    and pays the source a share. No recording: the rivals make none.
    """
    wide = WIDE if caps else None
    await migrate(url)
    database = open_database(url)
    try:
        async with database.write() as session:
            session.add(
                Trunk(
                    name="bench",
                    host=sipp.BUYER_HOST,
                    port=ports.BUYER,
                    accept_from=[caller_host],
                    is_default=True,
                    rates=[Rate(cents_per_minute_x100=90), Rate(prefix="1", cents_per_minute_x100=60)],
                )
            )
            session.add(traffic_source(wide))
            live = CALLERS if caps else None
            session.add(Campaign(id=1, name="bench", record=False, daily_cap=wide, concurrency_limit=live))
            session.add_all(buyer(index, wide) for index in range(buyers))
            await session.flush()
            session.add_all(CampaignBuyer(campaign_id=1, buyer_id=index + 1) for index in range(buyers))
            session.add(Number(phone_number=number, campaign_id=1, traffic_source_id=1))
    finally:
        await database.close()


def traffic_source(wide: int | None) -> TrafficSource:
    return TrafficSource(
        id=1,
        name="bench",
        daily_call_cap=wide,
        monthly_call_cap=wide,
        concurrency_limit=CALLERS if wide else None,
        payout=Payout(model="share", share_bp=2500, threshold_s=1),
    )


def buyer(index: int, wide: int | None) -> Buyer:
    """Four tiers of 25, with different weights and prices."""
    return Buyer(
        id=index + 1,
        name=f"Buyer {index}",
        endpoint_type="PHONE_NUMBER",
        endpoint_value=f"+1512556{index:04d}",
        tier=index % 4,
        weight=20 + index % 80,
        revenue_cents=1000 + 10 * index,
        concurrency_limit=CALLERS if wide else None,
        hourly_cap=wide,
        daily_cap=wide,
        monthly_cap=wide,
        conversion_rules=[ConversionRule(kind="duration", threshold_s=1)],
    )


def database_url(home: Path) -> str:
    """Where DCX looks for its database when told nothing but its home."""
    return f"sqlite+aiosqlite:///{home}/dcx.db"
