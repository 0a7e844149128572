"""route: offer the caller to the buyers of a campaign."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from dcx_ari.call.call import Call
from dcx_ari.flows.fallback import fall_back
from dcx_ari.flows.nodes.base import Edge, Name
from dcx_ari.flows.sell import sell

Reason = Annotated[str, Meta(pattern="^[a-z_]+$", description="A failure reason, or any")]


class Route(Struct, frozen=True, tag="route", forbid_unknown_fields=True):
    """The number's own campaign, unless `campaign_id` names another.

    Where nobody takes the call: the node named in `on` for the failure reason, else the one for `any`, else the
    campaign's own fallbacks.
    """

    campaign_id: int | None = None
    on: dict[Reason, Name] = {}

    def edges(self) -> Iterator[Edge]:
        for reason, target in self.on.items():
            yield Edge(reason, target)

    async def run(self, call: Call) -> str | None:
        reason = await sell(call, self.campaign_id)
        if reason is None:
            return None
        call.failure_reason = reason
        call.note("unsold", reason=reason)
        target = self.on.get(reason) or self.on.get("any")
        if target is None:
            await fall_back(call, self.campaign_id, reason)
        return target
