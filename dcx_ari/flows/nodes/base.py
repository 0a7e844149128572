"""What every node type has.

A node type is one file in this package: a subclass of `Node` with a `tag` (the word after `type:`), its fields, its own
checks and its `run`. It is found by being there (`registry`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta, Struct

from dcx_ari.decide.filters import text as as_text
from dcx_ari.flows.problems import Path, Problem

if TYPE_CHECKING:
    from dcx_ari.call.call import Call
    from dcx_ari.flows.known import Known

Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,63}$", description="Name of a node")]
Tag = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,63}$", description="Name of a tag")]
Text = Annotated[
    str, Meta(min_length=1, max_length=2000, description="Text to speak; {{name}} stands for a variable or tag")
]
Sound = Annotated[
    str,
    Meta(pattern="^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", max_length=200, description="A sound of Asterisk's"),
]
PromptName = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", description="Name of an uploaded prompt")]
Seconds = Annotated[float, Meta(ge=0.1, le=600, description="Seconds")]
Digits = Annotated[str, Meta(pattern="^[0-9*#A-D]{1,8}$", description="Digits to press, in quotes")]
Digit = Annotated[str, Meta(pattern="^[0-9*#]$", description="One digit, in quotes")]
BargeIn = Annotated[bool, Meta(description="Whether a digit stops the prompt")]
Tries = Annotated[int, Meta(ge=1, le=10, description="How often it is asked, the first time too")]


class Piece(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing to hear: `say` a text, play a `sound` of Asterisk's, or an uploaded `prompt`."""

    say: Text | None = None
    sound: Sound | None = None
    prompt: PromptName | None = None
    voice: Annotated[str, Meta(max_length=64, description="Voice for the text; empty: the usual one")] = ""

    def __post_init__(self) -> None:
        if sum(part is not None for part in (self.say, self.sound, self.prompt)) != 1:
            raise ValueError("has one of say, sound and prompt")


Say = Text | Piece | Annotated[tuple[Text | Piece, ...], Meta(min_length=1, max_length=20)]
"""What is heard: a text, a piece, or several of them in a row."""


def pieces(say: str | Piece | tuple[str | Piece, ...] | None, sound: str | None = None) -> tuple[Piece, ...]:
    """What is heard, piece by piece."""
    if say is None:
        return () if sound is None else (Piece(sound=sound),)
    several = say if isinstance(say, tuple) else (say,)
    return tuple(Piece(say=each) if isinstance(each, str) else each for each in several)


@dataclass(frozen=True, slots=True)
class Edge:
    """A way from one node to another; `label` says when it is taken, and has no space in it."""

    label: str
    target: str


class Node(Struct, frozen=True, forbid_unknown_fields=True):
    """A parsed node. With fields `next` and `on` (outcome → node, `any` for the rest) it needs no own `edges`."""

    waits: ClassVar[bool] = False
    """Whether the node always waits, for the caller or for a prompt to end: a loop must have such a node."""

    @property
    def type(self) -> str:
        return str(self.__struct_config__.tag)

    def edges(self) -> Iterator[Edge]:
        """Every way out."""
        following: str | None = getattr(self, "next", None)
        if following is not None:
            yield Edge("next", following)
        for outcome, target in getattr(self, "on", {}).items():
            yield Edge(outcome, target)

    def ends(self) -> bool:
        """Whether the flow may end here."""
        return False

    def place_of(self, label: str) -> Path:
        """Where in the node the target of an edge is written."""
        return ("on", label) if label in getattr(self, "on", {}) else (label,)

    def heard(self) -> Iterator[tuple[str, tuple[Piece, ...]]]:
        """What is played, by field."""
        for name in ("say", "invalid_say", "timeout_say"):
            if getattr(self, name, None) is not None:
                yield name, pieces(getattr(self, name))
        if getattr(self, "sound", None) is not None:
            yield "sound", pieces(None, getattr(self, "sound"))  # noqa: B009  not every node has one

    def texts(self) -> Iterator[tuple[Path, str]]:
        """Texts with variables that are not spoken."""
        yield from ()

    def sets(self) -> Iterator[tuple[Path, str]]:
        """Tags that the node sets."""
        if getattr(self, "tag", None) is not None:
            yield ("tag",), getattr(self, "tag")  # noqa: B009  not every node has one

    def problems(self, known: Known) -> Iterator[Problem]:
        """What its own rules find; paths from the node."""
        yield from ()

    def following(self, outcome: str) -> Edge | None:
        """The edge for an outcome: its own, else that for any; None where neither is named."""
        on: dict[str, str] = getattr(self, "on", {})
        for label in (outcome, "any"):
            if label in on:
                return Edge(label, on[label])
        return None

    async def run(self, call: Call) -> Edge | None:
        """Do the node's work on a call. The edge taken, None for the end of the flow. Raises `CallEnded`."""
        raise NotImplementedError


def tag_text(value: object) -> str:
    """A value as a tag: text of one line, at most 255 characters."""
    return "".join(c if c.isprintable() else " " for c in as_text(value)[:255])
