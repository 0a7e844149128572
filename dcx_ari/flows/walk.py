"""Walk a call through a flow document."""

from __future__ import annotations

from dcx_ari.call.call import Call
from dcx_ari.decide.causes import Cause
from dcx_ari.flows.document import Document

_MAX_STEPS = 1000  # a loop of nodes that never waits must not hold a call for ever


async def walk(call: Call, document: Document, start: str | None = None) -> None:
    """Run nodes from `start` (the document's own, if None) until one names no next."""
    name = start or document.start
    for _ in range(_MAX_STEPS):
        node = document.nodes[name]
        call.note_stage(type(node).__name__.lower(), node=name)
        following = await node.run(call)
        if following is None:
            return
        name = following
    call.note("too_many_steps", node=name)
    call.failure_reason = "flow_loop"
    call.end(Cause.CONGESTION)
