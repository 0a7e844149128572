"""forward: connect the caller to fixed destinations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from dcx_ari.call.call import Call
from dcx_ari.call.dialing import Target, dial, new_legs
from dcx_ari.call.leg import Leg
from dcx_ari.decide.causes import LegResult, caller_cause
from dcx_ari.decide.endpoints import dialable
from dcx_ari.flows.known import Known
from dcx_ari.flows.nodes.base import Digit, Edge, Name, Node, Text
from dcx_ari.flows.offer import Terms, accepted, talk
from dcx_ari.flows.problems import Path, Problem
from dcx_ari.flows.prompts import fill
from dcx_ari.flows.ringing import let_hear

Destination = Annotated[
    str, Meta(pattern=r"^(\+[0-9]{3,15}|sips?:.+)$", max_length=255, description="E.164 number or sip: URI")
]
RingTimeout = Annotated[float, Meta(ge=5, le=300, description="Seconds of ringing")]
Outcome = Literal["busy", "no_answer", "rejected", "unreachable", "congestion", "not_accepted", "any"]


class To(Struct, frozen=True, forbid_unknown_fields=True):
    """A destination that rings for a time of its own."""

    to: Destination
    ring_timeout_s: RingTimeout | None = None


class Forward(Node, frozen=True, tag="forward"):
    """Connect the caller: to one after another, or to whoever answers first with `ring: simultaneous`.

    Where nobody answers: `on` for the last one's result (busy, no_answer, rejected, unreachable, congestion,
    not_accepted) or `any`, else the call ends with that cause. `next` is taken when the talk is over and the caller
    still there.
    """

    to: Annotated[tuple[Destination | To, ...], Meta(min_length=1, max_length=20)]
    ring: Literal["sequential", "simultaneous"] = "sequential"
    ring_timeout_s: RingTimeout = 30.0
    pass_caller_id: Annotated[bool, Meta(description="Show the caller's number; else the number that was dialled")] = (
        True
    )
    ring_tone: Annotated[
        Literal["ringback", "music", "early_media"], Meta(description="What the caller hears meanwhile")
    ] = "ringback"
    whisper: Text | None = None
    accept_digit: Digit | None = None
    accept_timeout_s: Annotated[float, Meta(ge=1, le=60)] = 10.0
    record: Annotated[bool, Meta(description="Record the talk; else as number and campaign say")] | None = None
    next: Name | None = None
    on: dict[Outcome, Name] = field(default_factory=dict)

    def ends(self) -> bool:
        return self.next is None or "any" not in self.on

    def texts(self) -> Iterator[tuple[Path, str]]:
        if self.whisper is not None:
            yield ("whisper",), self.whisper

    def problems(self, known: Known) -> Iterator[Problem]:
        if "any" not in self.on:
            message = "a caller whom nobody answers is hung up on"
            yield Problem("no_fallback", message, (), "warning", "add on: {any: NODE}")

    async def run(self, call: Call) -> Edge | None:
        targets = list(self._targets(call))
        rounds = [targets] if self.ring == "simultaneous" and targets else [[target] for target in targets]
        last: LegResult | None = None if targets else LegResult.UNREACHABLE
        for together in rounds:
            legs = new_legs(call, together)
            winner = await self._offer(call, legs, together)
            if winner is not None:
                await talk(call, winner, record=self._records(call))
                call.ended_by = "buyer"
                return None if self.next is None else Edge("next", self.next)
            last = legs[-1].result
        await call.quiet()
        call.failure_reason = f"forward_{last}"
        call.end(caller_cause(last))
        call.note("forward_failed", result=str(last))
        return self.following(str(last))

    def _targets(self, call: Call) -> Iterator[Target]:
        shown = call.facts.caller if self.pass_caller_id else call.facts.dialled
        for each in self.to:
            to = To(each) if isinstance(each, str) else each
            way = dialable(to.to, call.ports.desk.snapshot().trunks)
            if way is None:
                call.note("no_trunk", endpoint=to.to)
                continue
            ring_s = to.ring_timeout_s or self.ring_timeout_s
            yield Target(way.endpoint, shown, call.facts.caller_name, ring_s, trunk_id=way.trunk_id)

    def _records(self, call: Call) -> bool:
        if self.record is None:
            return call.ports.desk.records(call)
        return self.record and call.tags.get("consent") != "refused"

    async def _offer(self, call: Call, legs: list[Leg], targets: list[Target]) -> Leg | None:
        early = self.ring_tone == "early_media" and len(targets) == 1
        await let_hear(call, "ringback" if self.ring_tone == "early_media" and not early else self.ring_tone)
        await call.stage("ringing", endpoints=[target.endpoint for target in targets])
        whisper = None if self.whisper is None else fill(self.whisper, call.tags)
        terms = Terms(whisper, self.accept_digit, self.accept_timeout_s)
        return await dial(
            call,
            legs,
            targets,
            budget_s=max(target.ring_timeout_s for target in targets),
            early_media=early,
            confirm=(lambda leg: accepted(call, leg, terms)) if self.whisper or self.accept_digit else None,
        )
