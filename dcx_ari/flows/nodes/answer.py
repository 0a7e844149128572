"""answer: pick up, so that the caller hears prompts as part of the call and can press digits."""

from __future__ import annotations

from dcx_ari.call.call import Call
from dcx_ari.flows.nodes.base import Edge, Name, Node


class Answer(Node, frozen=True, tag="answer"):
    """Pick up. Most nodes that speak do so themselves; `play` does not, and is then heard as early media."""

    next: Name

    async def run(self, call: Call) -> Edge | None:
        await call.answer()
        return Edge("next", self.next)
