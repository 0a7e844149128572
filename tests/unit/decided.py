"""An exchange on a real database for tests of explain and test calls: one campaign, buyers of every fate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dcx_ari.services import rows
from dcx_ari.services.links import attach
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import open_database
from dcx_ari.store.migrate import migrate

NUMBER, CALLER = "+15550100000", "+12125550123"
NOON = 1_795_194_000_000  # 2026-11-20 12:00 in New York, a Friday
MORNINGS = {day: [["09:00", "11:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}


async def fill(path: Path) -> None:
    """A trunk, a number, the campaign `Solar` and its buyers, in a new database file."""
    url = f"sqlite:///{path}"
    await migrate(url)
    database = open_database(url)

    async with database.write() as session:

        async def add(kind: str, **values: Any) -> int:
            return int((await rows.create(session, RESOURCES[kind], values))["id"])

        await add("trunks", name="carrier", host="127.0.0.1", is_default=True)
        mornings = await add("schedules", name="Mornings", timezone="America/New_York", weekly=MORNINGS)
        campaign = await add("campaigns", name="Solar")
        source = await add("sources", name="Radio")
        await add("numbers", phone_number=NUMBER, campaign_id=campaign, traffic_source_id=source)
        buyers: tuple[tuple[str, dict[str, Any]], ...] = (
            ("Acme", {"tier": 0, "weight": 75}),
            ("Best", {"tier": 0, "weight": 25}),
            ("Late", {"tier": 1}),
            ("Full", {"daily_cap": 0}),
            ("Closed", {"schedule_id": mornings}),
            ("Picky", {"filters": [{"tag": "zip", "op": "begins", "value": "9"}]}),
            ("Away", {"status": "INACTIVE"}),
        )
        for n, (name, values) in enumerate(buyers, 1):
            made = await add("buyers", name=name, endpoint_value=f"+1555010100{n}", revenue_cents=1000, **values)
            await attach(session, "campaigns", campaign, {"buyer_id": made})
    await database.close()
