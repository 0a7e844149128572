"""play: speak a text or play a sound."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from dcx_ari.call.call import Call
from dcx_ari.flows.nodes.base import Edge, Name, Sound, Text
from dcx_ari.flows.prompts import say


class Play(Struct, frozen=True, tag="play", forbid_unknown_fields=True):
    next: Name
    say: Text | None = None
    sound: Sound | None = None
    barge_in: bool = True

    def __post_init__(self) -> None:
        if (self.say is None) == (self.sound is None):
            raise ValueError("a play node has either say or sound")

    def edges(self) -> Iterator[Edge]:
        yield Edge("next", self.next)

    async def run(self, call: Call) -> str | None:
        await say(call, text=self.say, sound=self.sound, barge_in=self.barge_in)
        return self.next
