"""Pictures of flows, with the callers who went each way."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide.periods import first_instant
from dcx_ari.flows.document import BadFlow, Document, from_data
from dcx_ari.flows.drawing import Counts, TooLarge, mermaid, svg
from dcx_ari.services.errors import Conflict, Invalid
from dcx_ari.services.find import find_id, missing
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store import models as m

__all__ = ["Counts", "Document", "counts_of", "document_of", "drawn", "yesterday"]


def document_of(data: object) -> Document:
    """A document that can be drawn. Raises Invalid."""
    try:
        return from_data(data)
    except BadFlow as bad:
        raise Invalid("document", str(bad)) from None


async def drawn(document: Document, counts: Counts | None = None, title: str = "", *, as_mermaid: bool = False) -> str:
    """SVG, or Mermaid's text. Off the event loop. Raises Conflict where the flow is too large for a picture."""
    if as_mermaid:
        return await asyncio.to_thread(mermaid, document, counts)
    try:
        return await asyncio.to_thread(svg, document, counts, title)
    except TooLarge as error:
        raise Conflict("flow", str(error)) from None


async def counts_of(session: AsyncSession, key: str | int, since: int, until: int) -> Counts:
    """Calls of a flow that came in from `since` to before `until` (epoch ms), whatever its version; no test calls.

    Raises NotFound.
    """
    resource = RESOURCES["flows"]
    flow_id = await find_id(session, resource, key)
    if flow_id is None:
        raise await missing(session, resource, key)
    call = m.Call
    query = select(col(call.flow_path)).where(
        col(call.flow_id) == flow_id,
        col(call.started_at) >= since,
        col(call.started_at) < until,
        col(call.test).is_(False),
    )
    edges: Counter[tuple[str, str]] = Counter()
    nodes: Counter[str] = Counter()
    calls = 0
    rows = await (await session.connection()).stream(query)
    async for (path,) in rows:
        calls += 1
        _add(path or "", edges, nodes)
    return Counts(edges, nodes, calls)


def _add(path: str, edges: Counter[tuple[str, str]], nodes: Counter[str]) -> None:
    """One who goes the same way twice counts once."""
    taken = {(node, label) for node, _, label in (step.partition(":") for step in path.split())}
    edges.update(taken)
    nodes.update({node for node, _ in taken})


def yesterday(now_ms: int, zone: ZoneInfo) -> tuple[int, int]:
    """The whole day before today on the company's clock, epoch ms."""
    today = datetime.fromtimestamp(now_ms / 1000, zone).date()
    return first_instant(today - timedelta(days=1), zone), first_instant(today, zone)
