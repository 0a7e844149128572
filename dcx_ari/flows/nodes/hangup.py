"""hangup: the end, with a last word if there is one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from dcx_ari.call.call import Call
from dcx_ari.flows.nodes.base import Edge, Sound, Text
from dcx_ari.flows.prompts import say


class Hangup(Struct, frozen=True, tag="hangup", forbid_unknown_fields=True):
    """`cause` is the Q.850 cause for a caller who has not been answered (16, normal clearing)."""

    say: Text | None = None
    sound: Sound | None = None
    cause: Annotated[int, Meta(ge=1, le=127)] = 16

    def edges(self) -> Iterator[Edge]:
        yield from ()

    async def run(self, call: Call) -> str | None:
        await say(call, text=self.say, sound=self.sound)
        call.end(self.cause)
        return None
