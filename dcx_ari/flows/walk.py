"""Walk a call through a flow document.

The one interpreter: live calls, calls taken up again after a crash, and dry runs go through here.
"""

from __future__ import annotations

from collections.abc import Mapping

from dcx_ari.call.call import Call
from dcx_ari.decide.causes import Cause
from dcx_ari.flows.document import Document

MAX_STEPS = 500
"""Nodes in a row without a digit from the caller: a loop that nobody is listening to must not hold a call for ever."""

_LONGEST_PATH = 20_000  # characters; a caller who goes round and round is not followed further


async def walk(call: Call, document: Document, start: str | None = None, tags: Mapping[str, str] | None = None) -> None:
    """Run nodes from `start` (the document's own, if None) until one names no next. `tags` are added to the call's.

    Before each node the call's stage names it, so that the walk can be entered there again. `call.path` grows by the
    edge taken: "welcome:next menu:1 sales:end"; the last node has no edge while the call is in it, and keeps none when
    the caller hangs up in it.
    """
    call.tags.update(tags or {})
    name, steps, pressed = start or document.start, 0, call.caller.pressed
    while steps < MAX_STEPS:
        node = document.nodes[name]
        call.node = name
        call.note_stage(node.type, flow=call.flow_id, version=call.flow_version)
        _keep(call, f"{call.path} {name}".lstrip())
        edge = await node.run(call)
        _keep(call, f"{call.path}:{'end' if edge is None else edge.label}")
        if edge is None:
            return
        name = edge.target
        steps = steps + 1 if call.caller.pressed == pressed else 0
        pressed = call.caller.pressed
    call.note("too_many_steps", steps=steps)
    call.failure_reason = "flow_loop"
    call.end(Cause.CONGESTION)


def _keep(call: Call, path: str) -> None:
    """With the next group commit, as the stage: nothing waits for it."""
    if len(path) <= _LONGEST_PATH:
        call.path = path
        call.ports.journal.update(call.id, flow_path=path)
