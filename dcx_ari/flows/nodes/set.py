"""set: set tags."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from dcx_ari.call.call import Call
from dcx_ari.decide.templates import fill
from dcx_ari.flows.nodes.base import Edge, Name, Node, Tag, tag_text
from dcx_ari.flows.problems import Path
from dcx_ari.flows.prompts import variables

Value = Annotated[str, Meta(max_length=255)] | int | float | bool


class Set(Node, frozen=True, tag="set"):
    """Set tags; texts may have variables. Tags are kept with the call, and routing filters and whispers see them."""

    tags: Annotated[dict[Tag, Value], Meta(min_length=1, max_length=50)]
    next: Name

    def texts(self) -> Iterator[tuple[Path, str]]:
        yield from ((("tags", name), value) for name, value in self.tags.items() if isinstance(value, str))

    def sets(self) -> Iterator[tuple[Path, str]]:
        yield from ((("tags", name), name) for name in self.tags)

    async def run(self, call: Call) -> Edge | None:
        known = variables(call)
        values = {name: fill(value, known) if isinstance(value, str) else value for name, value in self.tags.items()}
        call.tag(**{name: tag_text(value) for name, value in values.items()})
        return Edge("next", self.next)
