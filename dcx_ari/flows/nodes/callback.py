"""callback: take the number and the time at which the caller wants to be called back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, field

from dcx_ari.call.call import Call
from dcx_ari.decide.digits import Complete, DigitRule
from dcx_ari.decide.periods import local, to_ms, zone_of
from dcx_ari.decide.phone import normalise
from dcx_ari.flows.nodes.base import Edge, Name, Node, Say, Seconds, Tries, pieces
from dcx_ari.flows.problems import Path
from dcx_ari.flows.prompts import play_all

_TIME = "([01][0-9]|2[0-3])[0-5][0-9]"


class Callback(Node, frozen=True, tag="callback"):
    """Take a callback request.

    Without `ask_number` it is for the caller's own number; with it the caller may type another and #, or # alone for
    the own one. Without `ask_time` it is due in `after_s` seconds; with it the caller types four digits (1430 is half
    past two in the afternoon, company time) or # alone for as soon as possible. `next` is taken when the request is
    kept, `on.no_number` when there is no number to call, `on.failed` when it could not be kept.
    """

    waits: ClassVar[bool] = True

    next: Name
    ask_number: Say | None = None
    ask_time: Say | None = None
    invalid_say: Say | None = None
    say: (
        Annotated[Say, Meta(description="Heard when the request is kept; {{callback_number}} is the number")] | None
    ) = None
    after_s: Annotated[int, Meta(ge=0, le=2_592_000, description="Seconds from now, without ask_time")] = 0
    timeout_s: Seconds = 8.0
    between_s: Seconds = 4.0
    tries: Tries = 3
    on: dict[Literal["no_number", "failed", "any"], Name] = field(default_factory=dict)

    def ends(self) -> bool:
        return not (self.following("no_number") and self.following("failed"))

    def sets(self) -> Iterator[tuple[Path, str]]:
        yield ("type",), "callback_number"

    async def run(self, call: Call) -> Edge | None:
        await call.answer()
        number = await self._number(call)
        if number is None:
            return self.following("no_number")
        due_at = await self._due_at(call)
        call.tag(callback_number=number)
        if not await call.ports.callbacks.request(call, number, due_at):
            call.note("callback_failed")
            return self.following("failed")
        call.note("callback", number=number, due_at=due_at)
        await play_all(call, pieces(self.say))
        return Edge("next", self.next)

    async def _number(self, call: Call) -> str | None:
        own = call.facts.caller if call.facts.caller.startswith("+") else None
        if self.ask_number is None:
            return own
        rule = DigitRule(minimum=0 if own else 7, maximum=15, terminator="#")
        typed = await self._asked(call, self.ask_number, rule)
        number = normalise(typed) if typed else own
        return number if number and number.startswith("+") else own

    async def _due_at(self, call: Call) -> int:
        now = call.ports.now_ms()
        if self.ask_time is None:
            return now + self.after_s * 1000
        rule = DigitRule(minimum=0, maximum=4, terminator="#", pattern=f"({_TIME})?")
        typed = await self._asked(call, self.ask_time, rule)
        return next_time(now, typed, call.ports.desk.snapshot().company_zone) if typed else now

    async def _asked(self, call: Call, prompt: Say, rule: DigitRule) -> str:
        for number in range(self.tries):
            if number:
                await play_all(call, pieces(self.invalid_say), barge_in=True)
            await play_all(call, pieces(prompt), barge_in=True)
            entry = await call.digits(rule, first_s=self.timeout_s, between_s=self.between_s)
            if isinstance(entry, Complete):
                return entry.digits
        return ""


def next_time(now_ms: int, typed: str, zone_name: str) -> int:
    """The next instant (epoch ms) at which the clock shows `typed` (HHMM)."""
    zone = zone_of(zone_name)
    here = local(now_ms, zone)
    wanted = datetime(here.year, here.month, here.day, int(typed[:2]), int(typed[2:]), tzinfo=zone)
    if to_ms(wanted) <= now_ms:
        day = here.date() + timedelta(days=1)
        wanted = wanted.replace(year=day.year, month=day.month, day=day.day)
    return to_ms(wanted)
