"""menu: say what there is to choose from, take digits, branch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct, field

from dcx_ari.call.call import Call
from dcx_ari.call.listening import Listening
from dcx_ari.decide.digits import Complete, DigitRule
from dcx_ari.flows import spoken
from dcx_ari.flows.known import Known
from dcx_ari.flows.nodes.base import BargeIn, Digits, Edge, Name, Node, Say, Seconds, Sound, Tag, Tries, pieces
from dcx_ari.flows.problems import Path, Problem
from dcx_ari.flows.prompts import play_all

_LEAST_BETWEEN_S = 0.5


class Choice(Struct, frozen=True, forbid_unknown_fields=True):
    """A choice with a label for tags, reports and drawings."""

    next: Name
    label: Annotated[str, Meta(min_length=1, max_length=64, description="What the choice is called")] = ""
    words: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=80)], ...],
        Meta(max_length=10, description="What callers may say for it, with speech: true; else its label"),
    ] = ()


class Menu(Node, frozen=True, tag="menu"):
    """Say what there is to choose from and take digits. Digits typed ahead, also before the menu, count.

    `on.timeout` and `on.invalid` are taken when the tries are used up, by how the last one failed; without them the
    call ends. The digits chosen are kept as tag `digits`, and the choice's label (else its digits) as `tag`.

    With `speech` the caller may say a choice's `words` (else its label) instead: it is as if its digits were pressed.
    What is none of the choices is invalid. What is said while the prompt plays counts only with `speak_over`.
    """

    waits: ClassVar[bool] = True

    choices: Annotated[dict[Digits, Name | Choice], Meta(min_length=1, max_length=100)]
    say: Say | None = None
    sound: Sound | None = None
    invalid_say: Say | None = None
    timeout_say: Say | None = None
    timeout_s: Annotated[Seconds, Meta(description="Seconds to wait for the first digit after the prompt")] = 5.0
    between_s: Annotated[Seconds, Meta(description="Seconds to wait for another digit where one could follow")] = 2.0
    tries: Tries = 3
    barge_in: BargeIn = True
    speech: Annotated[bool, Meta(description="Whether choices can be said, too")] = False
    speak_over: Annotated[bool, Meta(description="Whether a choice that is said stops the prompt")] = False
    tag: Tag | None = None
    on: dict[Literal["timeout", "invalid", "any"], Name] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.say is None) == (self.sound is None):
            raise ValueError("a menu has either say or sound")

    def edges(self) -> Iterator[Edge]:
        for digits, choice in self.choices.items():
            yield Edge(digits, choice if isinstance(choice, str) else choice.next)
        yield from super().edges()

    def ends(self) -> bool:
        return not (self.following("timeout") and self.following("invalid"))

    def place_of(self, label: str) -> Path:
        if label in self.choices:
            return ("choices", label) if isinstance(self.choices[label], str) else ("choices", label, "next")
        return super().place_of(label)

    def problems(self, known: Known) -> Iterator[Problem]:
        for digits in self.choices:
            longer = next((other for other in self.choices if other != digits and other.startswith(digits)), None)
            if longer is None:
                continue
            if self.between_s < _LEAST_BETWEEN_S:
                message = f"hides {longer}: nobody types the next digit within {self.between_s:g} s"
                yield Problem("shadowed", message, ("choices", digits), hint="make between_s longer")
            else:
                message = f"waits {self.between_s:g} s before it counts, because {longer} begins with it"
                yield Problem("shadows", message, ("choices", digits), "warning")
        if self.speech:
            yield from spoken.problems({digits: list(self._names(digits)) for digits in self.choices}, known)
        elif worded := next((d for d, c in self.choices.items() if isinstance(c, Choice) and c.words), None):
            message = "nobody listens for them without speech: true"
            yield Problem("never_taken", message, ("choices", worded, "words"), "warning")
        if self.following("timeout") is None:
            hint = "add on: {timeout: NODE}, or any for both"
            message = "a caller who presses nothing is hung up on"
            yield Problem("no_timeout", message, (), "warning", hint)

    def _names(self, digits: str) -> Iterator[tuple[str, Path]]:
        """What a choice is called by callers, and where that is written."""
        choice = self.choices[digits]
        if isinstance(choice, str):
            return
        for number, each in enumerate(choice.words):
            yield each, ("choices", digits, "words", number)
        if choice.label and not choice.words:
            yield choice.label, ("choices", digits, "label")

    async def run(self, call: Call) -> Edge | None:
        await call.answer()
        async with AsyncExitStack() as stack:
            if self.speech:
                names = {digits: [name for name, _ in self._names(digits)] for digits in self.choices}
                await stack.enter_async_context(Listening(call, spoken.phrases(names), over=self.speak_over))
            return await self._ask(call)

    async def _ask(self, call: Call) -> Edge | None:
        rule, outcome = DigitRule(choices=frozenset(self.choices)), "timeout"
        for number in range(self.tries):
            if number:
                wrong = self.invalid_say if outcome == "invalid" else self.timeout_say
                await play_all(call, pieces(wrong), barge_in=self.barge_in)
            await play_all(call, pieces(self.say, self.sound), barge_in=self.barge_in)
            entry = await call.digits(rule, first_s=self.timeout_s, between_s=self.between_s)
            if isinstance(entry, Complete):
                return self._chosen(call, entry.digits)
            outcome = "timeout" if entry is None else "invalid"
            if entry is not None:
                if entry.digits:
                    call.note("invalid_digits", digits=entry.digits)
                call.caller.digits.clear()  # what was typed after a wrong digit was meant for another menu
        if outcome == "invalid" and self.invalid_say is not None and self.tries == 1:
            await play_all(call, pieces(self.invalid_say), barge_in=self.barge_in)
        return self.following(outcome)

    def _chosen(self, call: Call, digits: str) -> Edge:
        choice = self.choices[digits]
        label = digits if isinstance(choice, str) else choice.label or digits
        call.tag(digits=digits, **({self.tag: label} if self.tag else {}))
        return Edge(digits, choice if isinstance(choice, str) else choice.next)
