"""The exchange that is hurt: buyers with caps, one of them tight; a campaign that records and one that does not."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from dcx_ari.decide.signature import SECRET_BYTES, new_secret
from dcx_ari.store.db import open_database
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import Buyer, Campaign, CampaignBuyer, Number, TrafficSource, Trunk, WebhookEndpoint
from dcx_ari.store.models.values import ConversionRule, Payout

CALLERS_HOST, BUYERS_HOST = "127.0.0.21", "127.0.0.22"
NUMBERS = ("+18005550101", "+18005550102")  # the second one's calls are recorded
PRICE_CENTS = 1000
SOLD_S = 1
_BUYERS = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one buyer: calls at a time, calls a day (0: any number)."""

    together: int
    daily: int = 0


def limits_of(calls: int, talking: int) -> dict[int, Limits]:
    """Buyer 1 is tight and comes first; the others hold twice as many calls as there are at a time."""
    each = max(4, -(-2 * talking // (_BUYERS - 1)))
    return {1: Limits(2, max(4, calls // 20)), **{buyer: Limits(each) for buyer in range(2, _BUYERS + 1)}}


def number_of(n: int) -> str:
    """What call `n` dials."""
    return NUMBERS[n % 4 == 0]


async def seed(url: str, port: int, limits: dict[int, Limits], webhook: str) -> None:
    """Make the database at `url`. Buyers' phones are at `port`; what happens is told to the address `webhook`."""
    await migrate(url)
    database = open_database(url)
    try:
        async with database.write() as session:
            session.add(Trunk(name="carrier", host=BUYERS_HOST, port=port, accept_from=[CALLERS_HOST], is_default=True))
            session.add(TrafficSource(id=1, name="Radio", payout=Payout(model="flat", cents=300, threshold_s=SOLD_S)))
            session.add_all([Campaign(id=1, name="Plain", record=False), Campaign(id=2, name="Recorded", record=True)])
            session.add_all(_buyer(number, limit, port) for number, limit in limits.items())
            secret = new_secret(secrets.token_bytes(SECRET_BYTES))
            session.add(WebhookEndpoint(url=webhook, events=["*"], secret=secret))
            await session.flush()
            session.add_all(_links(list(limits)))
            for campaign, number in enumerate(NUMBERS, 1):
                session.add(Number(phone_number=number, campaign_id=campaign, traffic_source_id=1))
    finally:
        await database.close()


def _buyer(number: int, limits: Limits, port: int) -> Buyer:
    return Buyer(
        id=number,
        name=f"Buyer {number}",
        endpoint_value=f"sip:buyer{number}@{BUYERS_HOST}:{port}",
        tier=number > 1,
        ring_timeout_s=15,
        revenue_cents=PRICE_CENTS,
        concurrency_limit=limits.together,
        daily_cap=limits.daily or None,
        conversion_rules=[ConversionRule(kind="duration", threshold_s=SOLD_S)],
    )


def _links(buyers: Sequence[int]) -> list[CampaignBuyer]:
    return [CampaignBuyer(campaign_id=campaign, buyer_id=buyer) for campaign in (1, 2) for buyer in buyers]
