"""Where a flow is tried: the configuration and the figures of a database, or none at all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlmodel import col, select

from dcx_ari.decide.facts import CallFacts, Usage
from dcx_ari.decide.snapshot import Snapshot, amend, build
from dcx_ari.decide.wanted import wanted
from dcx_ari.flows.document import Document
from dcx_ari.flows.nodes.route import Route
from dcx_ari.services.test_call import number_of, usage_for
from dcx_ari.store import models as m
from dcx_ari.store.db import Database
from dcx_ari.store.ledger import Ledger
from dcx_ari.store.snapshot import load
from dcx_ari.trial.plan import MADE_UP

__all__ = ["CallFacts", "Setting", "Usage", "load_setting", "nowhere", "with_usage"]


@dataclass(frozen=True, slots=True)
class Setting:
    """`number` is the one to dial where none is named; made up where none of ours leads to the flow."""

    snapshot: Snapshot
    number: str
    made_up: bool


def nowhere(company_zone: str, number: str = "") -> Setting:
    """No buyers, no schedules: a trunk and a number that is made up."""
    tables: dict[str, Any] = {"trunks": [{"id": 1, "is_default": True}], "numbers": [_made_up(1, number or MADE_UP)]}
    return Setting(build(tables, version=1, company_zone=company_zone), number or MADE_UP, True)


async def load_setting(database: Database, company_zone: str, flow_id: int | None, number: str) -> Setting:
    """`number` "": the first that leads to the flow, else the first with a campaign. Raises NotFound, StoreError."""
    snapshot = (await load(database, company_zone)).snapshot
    if number:
        return Setting(snapshot, await number_of(database, number), False)
    if flow_id is not None:
        async with database.read() as session:
            query = (
                select(m.Number.phone_number)
                .outerjoin(m.Campaign, col(m.Campaign.id) == col(m.Number.campaign_id))
                .where((col(m.Number.flow_id) == flow_id) | (col(m.Campaign.flow_id) == flow_id))
                .where(col(m.Number.status) == "ACTIVE")
                .order_by(col(m.Number.id))
            )
            if (found := (await session.exec(query.limit(1))).first()) is not None:
                return Setting(snapshot, found, False)
    active = [row for row in snapshot.numbers.values() if row.status == "ACTIVE" and row.campaign_id]
    if active:
        return Setting(snapshot, min(active, key=lambda row: row.id).phone_number, False)
    row = _made_up(max(snapshot.numbers, default=0) + 1)
    return Setting(amend(snapshot, {"numbers": [row]}, {}, version=snapshot.version), MADE_UP, True)


def _made_up(row_id: int, number: str = MADE_UP) -> dict[str, Any]:
    return {"id": row_id, "phone_number": number}


async def with_usage(
    database: Database, ledger: Ledger, snapshot: Snapshot, document: Document, facts: CallFacts
) -> Usage:
    """What is used of the caps of every campaign that the flow can route to, and the caller's earlier calls."""
    names = {node.campaign for node in document.nodes.values() if isinstance(node, Route) and node.campaign}
    campaigns: set[int | None] = {row.id for row in snapshot.campaigns.values() if row.name in names}
    campaigns |= {node.campaign_id for node in document.nodes.values() if isinstance(node, Route)}
    whole = Usage()
    for campaign_id in sorted({None, *campaigns}, key=lambda each: each or 0):
        asked = replace(facts, campaign_id=campaign_id)
        found = await usage_for(database, ledger, wanted(snapshot, asked), asked)
        whole = Usage(
            {**whole.counters, **found.counters},
            whole.history or found.history,
            {**whole.earnings, **found.earnings},
        )
    return whole
