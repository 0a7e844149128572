"""What every node type has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

from msgspec import Meta

if TYPE_CHECKING:
    from dcx_ari.call.call import Call

Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,63}$", description="Name of a node")]
Text = Annotated[str, Meta(min_length=1, max_length=2000, description="Text to speak")]
Sound = Annotated[
    str,
    Meta(pattern="^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", max_length=200, description="A sound of Asterisk's"),
]
Seconds = Annotated[float, Meta(ge=0.1, le=600, description="Seconds")]


@dataclass(frozen=True, slots=True)
class Edge:
    """A way from one node to another; `label` says when it is taken."""

    label: str
    target: str


class Node(Protocol):
    """A parsed node. `run` does its work on a call and names the next node, None for the end of the flow."""

    def edges(self) -> Iterator[Edge]: ...

    async def run(self, call: Call) -> str | None: ...
