"""The rows of an exchange under test: made through the services, as the command line and the API make them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlalchemy import text

from dcx_ari.services import rows
from dcx_ari.services.links import attach
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database
from dcx_asterisk.phone import Phone


@dataclass
class Rows:
    """One traffic source, one trunk from which calls are taken, and the campaigns that a test makes.

    `campaign_id` and `number` are those of the campaign made last.
    """

    database: Database
    trunk_id: int = 0
    source_id: int = 0
    campaign_id: int = 0
    number: str = ""
    numbers: count[int] = field(default_factory=lambda: count(1))

    async def basics(self) -> None:
        self.trunk_id = await self.add("trunks", name="carrier", host="127.0.0.1", port=9, accept_from=["127.0.0.1"])
        self.source_id = await self.add(
            "sources", name="Radio", payout={"model": "flat", "cents": 300, "threshold_s": 1}
        )
        await self.campaign()

    async def add(self, resource: str, **values: Any) -> int:
        async with self.database.write() as session:
            return int((await rows.create(session, RESOURCES[resource], values))["id"])

    async def change(self, resource: str, which: Any, **values: Any) -> None:
        async with self.database.write() as session:
            await rows.change(session, RESOURCES[resource], str(which), values)

    async def campaign(self, *, flow: Mapping[str, Any] | None = None, **values: Any) -> str:
        """Another campaign; returns the number that leads to it. Buyers added from now on are its own."""
        index = next(self.numbers)
        self.number = f"+1800555{index:04d}"
        if flow is not None:
            values["flow_id"] = await self.add("flows", name=f"f{index}", document=dict(flow), status="published")
        self.campaign_id = await self.add("campaigns", name=f"Campaign {index}", **{"record": False, **values})
        await self.add(
            "numbers",
            phone_number=self.number,
            campaign_id=self.campaign_id,
            traffic_source_id=self.source_id,
        )
        return self.number

    async def buyer(self, name: str, at: Phone | int, link: Mapping[str, Any] | None = None, **values: Any) -> int:
        """A buyer of the campaign whose phone is `at` (or at that port, whatever is there)."""
        port = at if isinstance(at, int) else at.port
        wanted = {"endpoint_value": f"sip:{name}@127.0.0.1:{port}", "ring_timeout_s": 5, "revenue_cents": 1000}
        buyer_id = await self.add("buyers", name=name, **{**wanted, **values})
        async with self.database.write() as session:
            await attach(session, "campaigns", self.campaign_id, {"buyer_id": buyer_id, **(link or {})})
        return buyer_id

    async def query(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        async with self.database.read_connection() as connection:
            return [dict(row) for row in (await connection.execute(text(sql), values)).mappings()]

    async def row(self, call_id: str) -> dict[str, Any]:
        (row,) = await self.query("SELECT * FROM calls WHERE id = :id", id=call_id)
        return row

    async def results(self, call_id: str) -> list[str]:
        legs = await self.query("SELECT result FROM legs WHERE call_id = :id ORDER BY position", id=call_id)
        return [leg["result"] for leg in legs]

    async def stages(self, call_id: str) -> list[str]:
        """The stages of a call and its other events, in order."""
        found = await self.query("SELECT kind, data FROM call_events WHERE call_id = :id ORDER BY seq", id=call_id)
        return [json.loads(each["data"])["stage"] if each["kind"] == "stage" else each["kind"] for each in found]
