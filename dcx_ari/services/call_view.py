"""How calls are looked at: by which clock, and how much of them somebody may see.

Whoever is tied to a buyer or a traffic source sees that one's calls only, and of these not what the others of the
trade are paid, nor how DCX chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.scope import scope_of
from dcx_ari.services.times import zone_of
from dcx_ari.store.models.calls import Call

_INSIDE = frozenset(
    {
        *("worker", "node_id", "channel_id", "stage", "stage_data", "facts", "decision", "config_version"),
        *("postback_key", "sip_call_id", "headers", "cost_cents", "flow_id", "flow", "flow_version"),
        *("flow_path", "notes"),
        *("legal_hold", "contact", "callbacks", "events", "money", "tags"),
    }
)
_FROM_BUYER = _INSIDE | {"payout_cents", "source_converted", "traffic_source_id", "traffic_source", "group_id", "group"}
_FROM_SOURCE = _INSIDE | {
    *("revenue_cents", "converted", "converted_at", "buyer_id", "buyer", "group_id", "group"),
    *("legs", "cause", "failure_reason"),
}
_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class View:
    """`zone` is the company's. `buyer_id`, `source_id`: only calls of that buyer, of that traffic source."""

    zone: ZoneInfo
    buyer_id: int | None = None
    source_id: int | None = None

    @property
    def scoped(self) -> bool:
        return self.buyer_id is not None or self.source_id is not None

    @property
    def hidden(self) -> frozenset[str]:
        """Columns of a call, and parts of it, that are not shown; nor may they be filtered or sorted by."""
        hidden = _NOTHING if self.buyer_id is None else _FROM_BUYER
        return hidden if self.source_id is None else hidden | _FROM_SOURCE

    def conditions(self) -> list[Any]:
        """What every query on calls is narrowed by."""
        found: list[Any] = []
        if self.buyer_id is not None:
            found.append(col(Call.buyer_id) == self.buyer_id)
        if self.source_id is not None:
            found.append(col(Call.traffic_source_id) == self.source_id)
        return found

    def shown(self, call: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in call.items() if name not in self.hidden}


def view_of(session: AsyncSession) -> View:
    """The view of whoever the session is for."""
    scope = scope_of(session)
    return View(zone_of(session), scope.buyer_id, scope.source_id)
