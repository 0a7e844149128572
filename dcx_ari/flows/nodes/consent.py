"""consent: announce the recording, and let the caller refuse it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, field

from dcx_ari.call.call import Call
from dcx_ari.flows.known import Known
from dcx_ari.flows.nodes.base import Digit, Edge, Name, Node, Say, Seconds, Sound, pieces
from dcx_ari.flows.problems import Problem
from dcx_ari.flows.prompts import play_all


class Consent(Node, frozen=True, tag="consent"):
    """Announce that the call is recorded. No digit stops the announcement, and it is on record when it was played.

    A caller who presses `refuse_digit` is not recorded. With `accept_digit`, one who does not press it is not recorded
    either. Tag `consent` is then `refused`, else `verbal`: what state rules with require_consent ask for.
    """

    waits: ClassVar[bool] = True

    next: Name
    say: Say | None = None
    sound: Sound | None = None
    refuse_digit: Digit | None = None
    accept_digit: Digit | None = None
    timeout_s: Annotated[Seconds, Meta(description="Seconds to wait for a digit after the announcement")] = 3.0
    on: dict[Literal["refused", "any"], Name] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.say is None) == (self.sound is None):
            raise ValueError("a consent node has either say or sound")
        if self.refuse_digit is not None and self.refuse_digit == self.accept_digit:
            raise ValueError("refuse_digit and accept_digit are the same digit")

    def problems(self, known: Known) -> Iterator[Problem]:
        if "refused" in self.on and self.refuse_digit is None and self.accept_digit is None:
            message = "nobody can refuse: there is neither refuse_digit nor accept_digit"
            yield Problem("never_taken", message, ("on", "refused"), "warning")

    async def run(self, call: Call) -> Edge | None:
        await call.answer()
        before, began, played = len(call.caller.digits), call.ports.now_ms(), False
        try:
            played = await play_all(call, pieces(self.say, self.sound))
        finally:  # also for a caller who hung up in the middle
            call.note("consent_announced", began_at=began, ended_at=call.ports.now_ms(), played=played)
        given = await self._answer(call, before)
        agreed = played and (given == self.accept_digit if self.accept_digit else given is None)
        call.tag(consent="verbal" if agreed else "refused")
        call.note("consent", given=agreed, digit=given)
        return (None if agreed else self.following("refused")) or Edge("next", self.next)

    async def _answer(self, call: Call, before: int) -> str | None:
        """The accept or refuse digit, if one was pressed since the announcement began. Other digits are left for the
        next menu, and end the wait.
        """
        wanted, digits = (self.refuse_digit, self.accept_digit), call.caller.digits
        if wanted == (None, None):
            return None
        await call.wait(lambda: len(digits) > before, self.timeout_s)
        for index, digit in enumerate(digits):
            if index >= before and digit in wanted:
                del digits[index]
                return digit
        return None
