"""forward: connect the caller to fixed destinations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct

from dcx_ari.call.call import Call
from dcx_ari.call.dialing import Target, dial, new_legs
from dcx_ari.call.leg import Leg
from dcx_ari.decide.causes import LegResult, caller_cause
from dcx_ari.decide.endpoints import dialable
from dcx_ari.flows.nodes.base import Edge, Name, Text
from dcx_ari.flows.offer import Terms, accepted, talk
from dcx_ari.flows.prompts import fill
from dcx_ari.flows.ringing import let_hear

Destination = Annotated[
    str, Meta(pattern=r"^(\+[0-9]{3,15}|sips?:.+)$", max_length=255, description="E.164 number or sip: URI")
]


class Forward(Struct, frozen=True, tag="forward", forbid_unknown_fields=True):
    """`to` is dialled one after another, or at once with `ring: simultaneous`. `otherwise` is taken if none answers."""

    to: Annotated[tuple[Destination, ...], Meta(min_length=1, max_length=20)]
    ring: Literal["sequential", "simultaneous"] = "sequential"
    ring_timeout_s: Annotated[float, Meta(ge=5, le=300)] = 30.0
    pass_caller_id: bool = True
    ring_tone: Literal["ringback", "music", "early_media"] = "ringback"
    whisper: Text | None = None
    record: bool | None = None
    otherwise: Name | None = None

    def edges(self) -> Iterator[Edge]:
        if self.otherwise is not None:
            yield Edge("otherwise", self.otherwise)

    async def run(self, call: Call) -> str | None:
        desk = call.ports.desk
        shown = call.facts.caller if self.pass_caller_id else call.facts.dialled
        targets = [
            Target(way.endpoint, shown, call.facts.caller_name, self.ring_timeout_s, trunk_id=way.trunk_id)
            for to in self.to
            if (way := dialable(to, desk.snapshot().trunks)) is not None
        ]
        record = desk.records(call) if self.record is None else self.record
        rounds = [targets] if self.ring == "simultaneous" and targets else [[target] for target in targets]
        last: LegResult | None = None if targets else LegResult.UNREACHABLE
        for together in rounds:
            legs = new_legs(call, together)
            winner = await self._offer(call, legs, together)
            if winner is not None:
                await talk(call, winner, record=record)
                call.ended_by = "buyer"
                return None
            last = legs[-1].result
        await call.quiet()
        call.failure_reason = f"forward_{last}"
        call.end(caller_cause(last))
        return self.otherwise

    async def _offer(self, call: Call, legs: list[Leg], targets: list[Target]) -> Leg | None:
        early = self.ring_tone == "early_media" and len(targets) == 1
        await let_hear(call, "ringback" if self.ring_tone == "early_media" and not early else self.ring_tone)
        await call.stage("ringing", endpoints=[target.endpoint for target in targets])
        terms = Terms(whisper=None if self.whisper is None else fill(self.whisper, call.tags))
        return await dial(
            call,
            legs,
            targets,
            budget_s=self.ring_timeout_s,
            early_media=early,
            confirm=(lambda leg: accepted(call, leg, terms)) if self.whisper else None,
        )
