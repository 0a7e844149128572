"""answer: pick up, so that the caller hears prompts as part of the call and can press digits."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from dcx_ari.call.call import Call
from dcx_ari.flows.nodes.base import Edge, Name


class Answer(Struct, frozen=True, tag="answer", forbid_unknown_fields=True):
    next: Name

    def edges(self) -> Iterator[Edge]:
        yield Edge("next", self.next)

    async def run(self, call: Call) -> str | None:
        await call.answer()
        return self.next
