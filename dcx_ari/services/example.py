"""A small example exchange, loaded once or many times with the same result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services import rows
from dcx_ari.services.find import find_id
from dcx_ari.services.links import attach
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database


@dataclass(frozen=True, slots=True)
class Example:
    """What the example is made of. Each buyer is (name, endpoint, tier, further fields)."""

    trunk_host: str = "127.0.0.1"
    trunk_port: int = 5070
    accept_from: Sequence[str] = ("127.0.0.1",)
    number: str = "+15550100000"
    buyers: Sequence[tuple[str, str, int, Mapping[str, Any]]] = (
        ("Acme Insurance", "+15550101001", 0, {}),
        ("Best Rates", "+15550101002", 0, {"weight": 50}),
        ("Last Resort", "+15550101003", 1, {}),
    )
    flow: Mapping[str, Any] | None = None


async def load_example(database: Database, example: Example | None = None) -> dict[str, int]:
    """Make or bring up to date the rows of the example, in one transaction. Returns the ids by name."""
    wanted = example or Example()
    ids: dict[str, int] = {}
    async with database.write() as session:
        if wanted.flow is not None:
            flow = {"document": dict(wanted.flow), "status": "published"}
            ids["flow"] = await _ensure(session, "flows", "demo", flow)
        ids["trunk"] = await _ensure(session, "trunks", "demo", _trunk(wanted))
        ids["source"] = await _ensure(session, "sources", "Demo Source", _SOURCE)
        ids["campaign"] = await _ensure(session, "campaigns", "Demo", {**_CAMPAIGN, "flow_id": ids.get("flow")})
        number = {"campaign_id": ids["campaign"], "traffic_source_id": ids["source"], "friendly_name": "Demo line"}
        ids["number"] = await _ensure(session, "numbers", wanted.number, number)
        for name, endpoint, tier, more in wanted.buyers:
            buyer = {**_BUYER, "endpoint_value": endpoint, "tier": tier, "trunk_id": ids["trunk"], **more}
            ids[name] = await _ensure(session, "buyers", name, buyer)
            await attach(session, "campaigns", ids["campaign"], {"buyer_id": ids[name]})
    return ids


_SOURCE: Mapping[str, Any] = {
    "channel": "web",
    "payout": {"model": "flat", "cents": 800, "threshold_s": 5},
}
_CAMPAIGN: Mapping[str, Any] = {"vertical": "INSURANCE", "record": True}
_BUYER: Mapping[str, Any] = {
    "revenue_cents": 2_500,
    "ring_timeout_s": 20,
    "whisper": "Call from {{source}} for {{campaign}}.",
    "concurrency_limit": 5,
    "conversion_rules": [{"kind": "duration", "threshold_s": 5, "timer_start": "bridge"}],
}


def _trunk(example: Example) -> dict[str, Any]:
    return {
        "host": example.trunk_host,
        "port": example.trunk_port,
        "accept_from": list(example.accept_from),
        "is_default": True,
        "rates": [{"prefix": "1", "cents_per_minute_x100": 150, "minimum_s": 60, "increment_s": 60}],
    }


async def _ensure(session: AsyncSession, name: str, key: str, values: Mapping[str, Any]) -> int:
    resource = RESOURCES[name]
    if await find_id(session, resource, key) is None:
        made = await rows.create(session, resource, {resource.key or "name": key, **values})
    else:
        made = await rows.change(session, resource, key, values)
    return int(made["id"])
