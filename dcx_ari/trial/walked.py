"""Make one call: the exchange, the call and the interpreter of the engine; only Asterisk and the people are made up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from dcx_ari.call.call import Call
from dcx_ari.call.exchange import Exchange
from dcx_ari.call.leg import Leg
from dcx_ari.call.ports import Inbound, Ports
from dcx_ari.call.tasks import cancel_and_wait
from dcx_ari.decide.causes import LegResult
from dcx_ari.decide.digits import Complete, DigitRule, Invalid
from dcx_ari.decide.endpoints import dialable
from dcx_ari.flows.document import Document
from dcx_ari.flows.inbound import inbound
from dcx_ari.flows.nodes.consent import Consent
from dcx_ari.testing import virtual_time
from dcx_ari.testing.fake_asterisk import FakeAsterisk
from dcx_ari.testing.parties import Caller
from dcx_ari.testing.virtual_time import VirtualClock
from dcx_ari.trial.plan import SAYS, BadPlan, Outcome, Plan, Step, script_of
from dcx_ari.trial.shell import Shell, TrialDesk, in_time

_PATIENCE_S = 4 * 3600.0
_THINKS_S = 0.5
_GAP_S = 0.25


class Hand:
    """The caller's: presses what is next on the list when a prompt waits for it."""

    def __init__(self, plan: Plan, shell: Shell) -> None:
        self.caller: Caller | None = None
        self._left = deque(plan.digits)
        self._shell = shell
        self._document = plan.document

    def asked(self) -> None:
        """Digits are waited for."""
        self._press(self._left.popleft() if self._left else "")

    def may_refuse(self, node: str | None) -> None:
        """An announcement that can be refused: takes the next entry only if it is meant for it."""
        found = self._document.nodes.get(node or "")
        if not isinstance(found, Consent) or found.refuse_digit == found.accept_digit:
            return
        if self._left and self._left[0] in ("", found.refuse_digit, found.accept_digit):
            self._press(self._left.popleft())

    def _press(self, digits: str) -> None:
        if self.caller is None or not digits:
            return
        if digits.startswith(SAYS):
            self._say(digits.removeprefix(SAYS).strip())
            return
        self._shell.told("waits", f"the caller presses {digits}", digits=digits)
        for number, digit in enumerate(digits):
            self.caller.at(_THINKS_S + number * _GAP_S, self.caller.digit, digit)

    def _say(self, words: str) -> None:
        """In a menu that does not listen, nobody hears it."""
        if self.caller is not None:
            self._shell.told("waits", f"the caller says {words}", says=words)
            self.caller.at(_THINKS_S, self.caller.say, words)


class TrialCall(Call):
    """A call whose caller follows a script."""

    hand: Hand

    async def digits(
        self, rule: DigitRule, *, first_s: float, between_s: float, leg: Leg | None = None
    ) -> Complete | Invalid | None:
        if leg is None and not self.caller.digits:
            self.hand.asked()
        entry = await super().digits(rule, first_s=first_s, between_s=between_s, leg=leg)
        if leg is None and entry is None:
            self.note("no_digits", after_s=first_s)
        return entry

    def note_stage(self, name: str, **state: Any) -> None:
        super().note_stage(name, **state)
        if name == "consent":
            self.hand.may_refuse(self.node)


def try_flow(plan: Plan) -> Outcome:
    """Make the call in virtual time: milliseconds, whatever it would take. Raises BadPlan.

    Not within a running event loop.
    """
    return virtual_time.run(_walked(plan))


async def _walked(plan: Plan) -> Outcome:
    clock = VirtualClock(datetime.fromtimestamp(plan.at / 1000, UTC))
    fake = FakeAsterisk("dcx-0", clock=clock)
    shell = Shell(plan, fake)
    hand, names = Hand(plan, shell), _people(plan, fake)
    ports = Ports(shell, shell, shell, shell.now_ms, TrialDesk(shell), shell, shell, shell, ears=shell)
    exchange = Exchange(fake, "dcx-0", ports, _flow(plan), shell, _calls(shell, hand))
    serving = asyncio.ensure_future(exchange.run())
    try:
        await exchange.listening.wait()
        caller = hand.caller = fake.call(
            plan.number, caller=plan.caller or "anonymous", args=("in", urlencode({"to": plan.number}))
        )
        caller.hang_up(after=_PATIENCE_S if plan.hang_up_after_s is None else max(0.01, plan.hang_up_after_s))
        await shell.over.wait()
        await fake.settled(3600.0)
    finally:
        await exchange.stop(0.0)
        await cancel_and_wait(serving)
        await fake.close()
    return _outcome(plan, shell, caller, names)


def _calls(shell: Shell, hand: Hand) -> Callable[..., Call]:
    def make(call_id: str, facts: Inbound, ari: Any, app: str, ports: Ports) -> Call:
        call = TrialCall(call_id, facts, ari, app, ports)
        call.hand, shell.call = hand, call
        return call

    return make


def _flow(plan: Plan) -> Callable[[Call], Any]:
    async def documents(_flow_id: int, _version: int | None) -> tuple[Document, int]:
        return plan.document, 0

    async def fresh() -> None: ...

    walk = inbound(documents, fresh)

    async def flow(call: Call) -> None:
        call.flow_id, call.flow_version = plan.flow_id, 0
        call.tags.update(plan.tags)
        await walk(call)

    return flow


def _people(plan: Plan, fake: FakeAsterisk) -> dict[str, str]:
    """Everybody who can be rung; who is behind an endpoint."""
    names: dict[str, str] = {}
    asked = dict(plan.buyers)
    for buyer in plan.snapshot.buyers.values():
        way = dialable(buyer.endpoint_value, plan.snapshot.trunks, buyer.trunk_id)
        behaviour = asked.pop(buyer.name, None)
        if way is None or (way.endpoint in names and behaviour is None):
            continue
        names[way.endpoint] = f"{buyer.name} ({buyer.endpoint_value})"
        fake.phone(way.endpoint, script_of(behaviour or "answers", buyer.accept_digit, plan.talk_s))
    for destination, behaviour in asked.items():
        way = dialable(destination, plan.snapshot.trunks, None)
        if way is None:
            raise BadPlan(f"there is no buyer {destination!r}, and it is no destination that can be dialled")
        fake.phone(way.endpoint, script_of(behaviour, None, plan.talk_s))
    fake.phone("*", script_of("answers", None, plan.talk_s))
    return names


def _outcome(plan: Plan, shell: Shell, caller: Caller, names: dict[str, str]) -> Outcome:
    call = shell.call
    if call is None:
        raise AssertionError("the call did not arrive")
    began = caller.started_at
    steps = [*shell.steps, *_heard(shell, caller, names), *_rung(plan, call, names)]
    buyer = plan.snapshot.buyers.get(call.buyer_id or 0)
    ended = (caller.ended_at or began) - began
    by = call.ended_by or "flow"
    steps.append(
        Step(ended, "ends", f"the call is over ({by}{f', {call.failure_reason}' if call.failure_reason else ''})")
    )
    return Outcome(
        in_time(steps), call.path, buyer.name if buyer else None, by, call.failure_reason, dict(call.tags), ended
    )


def _heard(shell: Shell, caller: Caller, names: dict[str, str]) -> list[Step]:
    found = []
    for heard in caller.heard:
        if heard.what in shell.texts:
            kind, text = shell.texts[heard.what]
        elif heard.what.startswith("sound:"):
            kind, text = "plays", heard.what
        elif heard.what == "ringing" or heard.what.startswith("moh:"):
            kind, text = "hears", "ringing" if heard.what == "ringing" else f"music ({heard.what[4:]})"
        else:
            continue
        seconds = None if heard.end is None else round(heard.end - heard.start, 3)
        found.append(Step(heard.start, kind, text, {"seconds": seconds}))
    return found


def _rung(plan: Plan, call: Call, names: dict[str, str]) -> list[Step]:
    """Who was dialled, and what came of it."""
    found = []
    for leg in call.legs.values():
        if leg.dialled_at is None:
            continue
        name = names.get(leg.endpoint) or leg.endpoint.removeprefix("PJSIP/")
        data = {"endpoint": leg.endpoint, "result": str(leg.result)}
        found.append(Step((leg.dialled_at - plan.at) / 1000, "dials", name, data))
        if leg.bridged_at is not None:
            found.append(Step((leg.bridged_at - plan.at) / 1000, "talks", f"with {name}"))
        elif leg.result is not LegResult.CANCELLED and leg.ended_at is not None:
            found.append(Step((leg.ended_at - plan.at) / 1000, "result", f"{name}: {leg.result}"))
    return found
