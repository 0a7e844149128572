"""hangup: the end, with a last word if there is one."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from dcx_ari.call.call import Call
from dcx_ari.flows.nodes.base import Edge, Node, Say, Sound, pieces
from dcx_ari.flows.prompts import play_all


class Hangup(Node, frozen=True, tag="hangup"):
    """The end. `cause` is told to a caller who has not been answered."""

    say: Say | None = None
    sound: Sound | None = None
    cause: Annotated[int, Meta(ge=1, le=127, description="Cause by ITU-T Q.850: 16 normal, 17 busy, 21 rejected")] = 16

    def ends(self) -> bool:
        return True

    async def run(self, call: Call) -> Edge | None:
        await play_all(call, pieces(self.say, self.sound))
        call.end(self.cause)
        return None
