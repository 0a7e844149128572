"""menu: say what there is to choose from, take digits, branch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from dcx_ari.call.call import Call
from dcx_ari.decide.digits import Complete, DigitRule
from dcx_ari.flows.nodes.base import Edge, Name, Seconds, Sound, Text
from dcx_ari.flows.prompts import say

Choice = Annotated[str, Meta(pattern="^[0-9*#A-D]{1,8}$", description="Digits to press")]


class Menu(Struct, frozen=True, tag="menu", forbid_unknown_fields=True):
    """`tries` counts the first time too; when they are used up, `otherwise` is taken (end of the call if none).

    The digits chosen are kept as tag `digits`.
    """

    choices: Annotated[dict[Choice, Name], Meta(min_length=1, max_length=100)]
    say: Text | None = None
    sound: Sound | None = None
    invalid_say: Text | None = None
    timeout_s: Seconds = 5.0
    between_s: Seconds = 2.0
    tries: Annotated[int, Meta(ge=1, le=10)] = 3
    otherwise: Name | None = None

    def __post_init__(self) -> None:
        if (self.say is None) == (self.sound is None):
            raise ValueError("a menu has either say or sound")

    def edges(self) -> Iterator[Edge]:
        for digits, target in self.choices.items():
            yield Edge(digits, target)
        if self.otherwise is not None:
            yield Edge("otherwise", self.otherwise)

    async def run(self, call: Call) -> str | None:
        await call.answer()
        rule = DigitRule(choices=frozenset(self.choices))
        for _ in range(self.tries):
            await say(call, text=self.say, sound=self.sound, barge_in=True)
            entry = await call.digits(rule, first_s=self.timeout_s, between_s=self.between_s)
            if isinstance(entry, Complete):
                call.tags["digits"] = entry.digits
                return self.choices[entry.digits]
            if entry is not None:
                call.caller.digits.clear()
                await say(call, text=self.invalid_say, sound=None, barge_in=True)
        return self.otherwise
