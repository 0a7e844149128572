"""play: speak a text, play a sound or a prompt, or several of them in a row."""

from __future__ import annotations

from typing import ClassVar

from dcx_ari.call.call import Call
from dcx_ari.flows.nodes.base import BargeIn, Edge, Name, Node, Say, Sound, pieces
from dcx_ari.flows.prompts import play_all


class Play(Node, frozen=True, tag="play"):
    """Speak or play, then go on. A digit stops it (unless `barge_in` is false) and is kept for the next menu."""

    waits: ClassVar[bool] = True

    next: Name
    say: Say | None = None
    sound: Sound | None = None
    barge_in: BargeIn = True

    def __post_init__(self) -> None:
        if (self.say is None) == (self.sound is None):
            raise ValueError("a play node has either say or sound")

    async def run(self, call: Call) -> Edge | None:
        await play_all(call, pieces(self.say, self.sound), barge_in=self.barge_in)
        return Edge("next", self.next)
