"""A call as its row tells of it, and made live again by a process that did not begin it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dcx_ari.ari.resources import Ari
from dcx_ari.call.call import Call
from dcx_ari.call.leg import Ended, Leg
from dcx_ari.call.ports import Inbound, Ports
from dcx_ari.decide.causes import Cause
from dcx_ari.decide.recovery import TALKING, Enter, Finish, Known, Live, Talk


@dataclass(frozen=True, slots=True)
class Saved:
    """The row of a call without an end, with its legs. Times are epoch ms.

    `generation` counts the processes that have taken it over, `decision` is what was stored (JSON text, whole).
    """

    id: str
    facts: Inbound
    started_at: int
    answered_at: int | None
    stage: str
    stage_data: Mapping[str, Any]
    tags: Mapping[str, str]
    flow_id: int | None
    flow_version: int | None
    path: str
    buyer_id: int | None
    generation: int
    last_event: int
    decision: str | None
    legs: tuple[Leg, ...] = ()
    recordings: Mapping[str, int] = field(default_factory=dict)  # unfinished ones, with when they began

    @property
    def node(self) -> str | None:
        node = self.stage_data.get("node")
        return node if isinstance(node, str) else None

    def known(self) -> Known:
        leg = self.stage_data.get("leg") if self.stage == TALKING else None
        return Known(self.facts.channel_id, self.stage, self.node, leg if isinstance(leg, str) else None)


def revive(
    saved: Saved, verdict: Talk | Enter | Finish, ari: Ari, app: str, ports: Ports, live: Live, ended_at: int
) -> Call:
    """The call with its legs as Asterisk shows them. What is not there has ended by `ended_at`, or earlier."""
    call = Call(saved.id, saved.facts, ari, app, ports)
    call.started_at = saved.started_at
    call.generation = saved.generation + 1
    call.stage_name = saved.stage
    call.tags = dict(saved.tags)
    call.flow_id, call.flow_version, call.path = saved.flow_id, saved.flow_version, saved.path
    call.node = saved.node
    call.buyer_id = saved.buyer_id
    call.caller.answered_at = saved.answered_at
    if live.channels.get(call.caller.id) == "Up":
        call.caller.answered_at = saved.answered_at or saved.started_at
    for leg in saved.legs:
        leg.created = leg.in_stasis = True
        call.legs[leg.id] = leg
        if leg.live and (leg.id not in live.channels or isinstance(verdict, Finish)):
            leg.end(Ended(Cause.NORMAL, None), ended_at)
    if call.caller.id not in live.channels:
        call.caller.end(Ended(Cause.NORMAL, None), ended_at)
    call.bridges = {name: True for name in live.bridges if name.startswith(f"{call.id}.")}
    began = saved.stage_data.get("since")
    talking = verdict.leg if isinstance(verdict, Talk) else verdict.talked if isinstance(verdict, Finish) else None
    if isinstance(verdict, Talk) and verdict.leg not in call.legs:
        call.legs[verdict.leg] = _unwritten(saved, verdict.leg)
        if verdict.leg not in live.channels:
            call.legs[verdict.leg].end(Ended(Cause.NORMAL, None), ended_at)
    if talking is not None and (leg_of := call.legs.get(talking)) is not None:
        leg_of.answered_at = leg_of.answered_at or leg_of.dialled_at or saved.started_at
        leg_of.accepted_at = leg_of.accepted_at or leg_of.answered_at
        leg_of.bridged_at = leg_of.bridged_at or (began if isinstance(began, int) else leg_of.answered_at)
        if leg_of.ended_at is not None:  # the bridge may be younger than the last sign of life
            leg_of.ended_at = max(leg_of.ended_at, leg_of.bridged_at)
        if isinstance(verdict, Talk):
            leg_of.bridge_id = verdict.bridge
        call.recording_id = saved.stage_data.get("recording")
    return call


def _unwritten(saved: Saved, leg_id: str) -> Leg:
    """A leg whose row was not committed yet: the stage that went before the dialling names its buyer."""
    attempts = saved.stage_data.get("attempts")
    _, buyer, group, trunk = attempts.get(leg_id, [None] * 4) if isinstance(attempts, dict) else [None] * 4
    leg = Leg(leg_id, buyer_id=buyer, group_id=group, trunk_id=trunk, created=True, in_stasis=True)
    leg.dialled_at = saved.started_at
    return leg
