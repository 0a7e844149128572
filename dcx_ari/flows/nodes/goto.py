"""goto: go on at another node. For a name that reads better than the node's own, or a place to bend a flow later."""

from __future__ import annotations

from dcx_ari.call.call import Call
from dcx_ari.flows.nodes.base import Edge, Name, Node


class Goto(Node, frozen=True, tag="goto"):
    """Go on at `next`."""

    next: Name

    async def run(self, call: Call) -> Edge | None:
        return Edge("next", self.next)
