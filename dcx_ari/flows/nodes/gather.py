"""gather: ask for digits and keep them as a tag."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, field

from dcx_ari.call.call import Call
from dcx_ari.decide.digits import Complete, DigitRule
from dcx_ari.decide.regexes import compile_safe
from dcx_ari.flows.known import Known
from dcx_ari.flows.nodes.base import BargeIn, Edge, Name, Node, Say, Seconds, Sound, Tag, Tries, pieces
from dcx_ari.flows.problems import Problem
from dcx_ari.flows.prompts import play_all


class Gather(Node, frozen=True, tag="gather"):
    """Ask for `min` to `max` digits that match `pattern` (the whole entry), and keep them as `tag`.

    `terminator` ends an entry before `max`; it is not part of it. `on.timeout` and `on.invalid` are taken when the
    tries are used up, by how the last one failed; without them the flow goes on at `next` and the tag is not set.
    """

    waits: ClassVar[bool] = True

    tag: Tag
    next: Name
    say: Say | None = None
    sound: Sound | None = None
    invalid_say: Say | None = None
    timeout_say: Say | None = None
    min: Annotated[int, Meta(ge=1, le=32, description="Least number of digits")] = 1
    max: Annotated[int, Meta(ge=1, le=32, description="Greatest number of digits")] = 32
    terminator: Annotated[str, Meta(pattern="^[0-9*#]?$", description="Digit that ends the entry; empty: none")] = "#"
    pattern: Annotated[str, Meta(max_length=200, description="Regular expression that the whole entry must match")] = ""
    timeout_s: Annotated[Seconds, Meta(description="Seconds to wait for the first digit after the prompt")] = 5.0
    between_s: Annotated[Seconds, Meta(description="Seconds after which an entry is over")] = 3.0
    tries: Tries = 3
    barge_in: BargeIn = True
    on: dict[Literal["timeout", "invalid", "any"], Name] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.say is not None and self.sound is not None:
            raise ValueError("a gather node has say or sound, not both")
        if self.min > self.max:
            raise ValueError(f"min {self.min} is greater than max {self.max}")
        if self.pattern:
            try:
                compile_safe(self.pattern)
            except ValueError as error:
                raise ValueError(f"pattern: {error}") from None

    def problems(self, known: Known) -> Iterator[Problem]:
        if self.following("timeout") is None:
            message = f"a caller who presses nothing goes on without tag {self.tag}"
            yield Problem("no_timeout", message, (), "warning", "add on: {timeout: NODE}, or any for both")

    async def run(self, call: Call) -> Edge | None:
        await call.answer()
        rule = DigitRule(minimum=self.min, maximum=self.max, terminator=self.terminator, pattern=self.pattern)
        outcome = "timeout"
        for number in range(self.tries):
            if number:
                wrong = self.invalid_say if outcome == "invalid" else self.timeout_say
                await play_all(call, pieces(wrong), barge_in=self.barge_in)
            await play_all(call, pieces(self.say, self.sound), barge_in=self.barge_in)
            entry = await call.digits(rule, first_s=self.timeout_s, between_s=self.between_s)
            if isinstance(entry, Complete):
                call.tag(**{self.tag: entry.digits})
                return Edge("next", self.next)
            outcome = "timeout" if entry is None else "invalid"
            if entry is not None:
                call.note("invalid_digits", digits=entry.digits)
        return self.following(outcome) or Edge("next", self.next)
