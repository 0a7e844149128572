"""route: offer the caller to the buyers of a campaign."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, get_args

from msgspec import Meta, field

from dcx_ari.call.call import Call
from dcx_ari.decide.reasons import FailureReason
from dcx_ari.flows.fallback import fall_back, resumed_message
from dcx_ari.flows.known import Known, missing
from dcx_ari.flows.nodes.base import Edge, Name, Node
from dcx_ari.flows.problems import Problem, did_you_mean
from dcx_ari.flows.sell import sell

Reason = Annotated[str, Meta(pattern="^[a-z_]+$", description="A failure reason, or any")]
REASONS = frozenset({*get_args(FailureReason), "any"}) - {"caller_hung_up"}


class Route(Node, frozen=True, tag="route"):
    """Offer the caller to the buyers of the number's campaign, or of another one by name.

    Where nobody takes the call: the node in `on` for the failure reason, else the one for `any`, else the campaign's
    own fallbacks. `next` is taken when a talk is over and the caller still there.
    """

    campaign: Annotated[str, Meta(min_length=1, max_length=255, description="Name of a campaign")] | None = None
    campaign_id: int | None = None
    next: Name | None = None
    on: dict[Reason, Name] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.campaign is not None and self.campaign_id is not None:
            raise ValueError("a route has campaign or campaign_id, not both")
        for reason in self.on:
            if reason not in REASONS:
                hint = did_you_mean(reason, REASONS)
                raise ValueError(f'on: "{reason}" is no failure reason' + (f" ({hint})" if hint else ""))

    def ends(self) -> bool:
        return self.next is None or "any" not in self.on

    def problems(self, known: Known) -> Iterator[Problem]:
        if self.campaign is not None:
            yield from missing("campaign", self.campaign, known.campaigns, ("campaign",))
        if "any" not in self.on:
            message = "a caller whom nobody takes is left to the campaign's own fallbacks"
            yield Problem("no_fallback", message, (), "warning", "add on: {any: NODE}")

    async def run(self, call: Call) -> Edge | None:
        if await resumed_message(call):  # not to be offered once more in the middle of it
            return None
        campaign_id = self._campaign(call)
        if campaign_id == 0:
            call.note("unknown_campaign", campaign=self.campaign)
        reason: FailureReason | None = "no_buyers_attached" if campaign_id == 0 else await sell(call, campaign_id)
        if reason is None:
            return None if self.next is None else Edge("next", self.next)
        call.failure_reason = reason
        call.note("unsold", reason=reason)
        edge = self.following(reason)
        if edge is None:
            await fall_back(call, campaign_id, reason)
        return edge

    def _campaign(self, call: Call) -> int | None:
        """The id; None for the number's own campaign, 0 for a name that no campaign has (any more)."""
        if self.campaign is None:
            return self.campaign_id
        rows = call.ports.desk.snapshot().campaigns.values()
        return next((row.id for row in rows if row.name == self.campaign), 0)
