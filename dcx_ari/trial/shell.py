"""What a tried call meets in place of database, speech engine and the outside: everything is only written down."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dcx_ari.call.call import Call
from dcx_ari.call.exchange import Exchange
from dcx_ari.call.leg import Leg
from dcx_ari.call.ports import Heard, Held, Inbound, Listener, Question, WebFailed
from dcx_ari.decide.conversion import Conversion
from dcx_ari.decide.decision import Decision
from dcx_ari.decide.decision import Step as Turn
from dcx_ari.decide.facts import CallFacts
from dcx_ari.decide.routing import route
from dcx_ari.decide.rows import Buyer, ConversionRule
from dcx_ari.decide.snapshot import Snapshot
from dcx_ari.flows.spoken import plain_words
from dcx_ari.services.explain import of_decision
from dcx_ari.testing.fake_asterisk import FakeAsterisk
from dcx_ari.trial.plan import Plan, Step, shortly

_CHARACTERS_A_SECOND = 15.0
_PROMPT_S = 3.0
_SPEAKS_S = 0.8
_TOLD_OTHERWISE = frozenset({"earlier_decision", "dialling", "flow_ended"})


class Shell:
    """Journal, speech, recorder, desk, web, prompts, callbacks and lifecycle of one call."""

    def __init__(self, plan: Plan, fake: FakeAsterisk) -> None:
        self.plan = plan
        self.steps: list[Step] = []
        self.texts: dict[str, tuple[str, str]] = {}
        self.call: Call | None = None
        self.over = asyncio.Event()
        self._fake = fake

    def now_ms(self) -> int:
        return self.plan.at + round(self._now * 1000)

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def told(self, kind: str, text: str, **data: Any) -> None:
        self.steps.append(Step(self._now, kind, text, data))

    # journal

    def opened(self, call_id: str, inbound: Inbound, at_ms: int) -> None: ...

    def update(self, call_id: str, **fields: Any) -> None: ...

    def event(self, call_id: str, at_ms: int, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "stage":
            if "flow" in data or data["stage"] == "not_in_service":
                node = data.get("node")
                self.told("node", f"{node} ({data['stage']})" if node else "number not in service", node=node)
            return
        if kind in _TOLD_OTHERWISE:
            return
        words = ", ".join(f"{name} {shortly(value)}" for name, value in data.items())
        self.told("note", f"{kind.replace('_', ' ')}{f': {words}' if words else ''}", note=kind, **{"with": dict(data)})

    def leg(self, call_id: str, leg: Leg) -> None: ...

    def recording(self, call_id: str, recording_id: str, **fields: Any) -> None: ...

    async def durable(self) -> None: ...

    # what is heard

    async def say(self, text: str, voice: str = "") -> str:
        return self._sound("says", text, max(1.0, len(text) / _CHARACTERS_A_SECOND))

    async def media(self, name: str) -> str:
        return self._sound("plays", f"prompt {name}", _PROMPT_S)

    def _sound(self, kind: str, text: str, seconds: float) -> str:
        uri = f"sound:said/{len(self.texts) + 1}"
        self.texts[uri] = (kind, text)
        self._fake.sound(uri, seconds)
        return uri

    # recorder

    async def start(self, call_id: str, recording_id: str, channel_id: str, at_ms: int) -> None: ...

    async def pause(self, recording_id: str, paused: bool, at_ms: int) -> None: ...

    async def stop(self, recording_id: str, at_ms: int) -> None: ...

    def resume(self, call_id: str, recording_id: str, channel_id: str, started_at: int) -> None: ...

    # the outside

    async def ask(self, question: Question) -> Any:
        node = None if self.call is None else self.call.node
        self.told("asks", f"{question.method} {question.url}", node=node)
        answer = self.plan.answers.get(node or "")
        if answer is None:
            raise WebFailed("nothing is asked here")
        return answer

    async def request(self, call: Call, number: str, due_at: int) -> bool:
        return True

    # what is said: a piece of audio is the words themselves

    async def listen(self, connection: str, choices: Mapping[str, Sequence[str]], listener: Listener) -> None:
        async with self._fake.media(connection) as pieces:
            async for piece in pieces:
                words = plain_words(piece.decode())
                listener.speaks()
                await asyncio.sleep(_SPEAKS_S)
                listener.heard(Heard(next((each for each, known in choices.items() if words in known), None), words))

    # lifecycle

    async def connected(self, exchange: Exchange) -> None: ...

    async def closed(self, call: Call) -> None:
        self.over.set()


class TrialDesk:
    """Decides as the desk of an engine does, on figures that stand still; takes no caps and books no money."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._snapshot = shell.plan.snapshot
        self._decided = False

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def records(self, call: Call) -> bool:
        return False

    async def route(self, call: Call, campaign_id: int | None, tried: frozenset[int], connections: int) -> Decision:
        caller = call.facts.caller if call.facts.caller.startswith("+") else None
        facts = CallFacts(
            call_id="trial",
            number=call.facts.dialled,
            caller=caller,
            started_at=call.started_at,
            campaign_id=campaign_id,
            tags=dict(call.tags),
            tried=tried,
            connections=connections,
            holds_taken=self._decided,
            zip_code=call.tags.get("zip") or None,
            consents=frozenset({call.tags.get("consent", "")}) & {"verbal", "written"},
        )
        decision = route(facts, self._snapshot, self._shell.plan.usage, self._shell.now_ms(), 0)
        self._decided = True
        call.tags["state"] = decision.state or ""
        self._tell(decision)
        return decision

    def _tell(self, decision: Decision) -> None:
        told = of_decision(decision, self._snapshot)
        names = ", ".join(each["name"] for each in told["candidates"])
        text = f"offers the call to {names}" if names else f"nobody can be offered the call: {told['failure_reason']}"
        self._shell.told("decides", text, decision=told)
        if told["refusal"] is not None:
            self._shell.told("why", f"refused: {told['refusal']['text']}")
        for each in told["rejected"]:
            self._shell.told("why", f"not {each['name']}: {each['text']}")

    def rules(self, call: Call, decision: Decision, buyer: Buyer) -> tuple[tuple[int, ConversionRule], ...]:
        return ()

    async def reserve(
        self, call: Call, attempt: int, step: Turn, buyer: Buyer, group_attempt: int | None
    ) -> Mapping[str, Any] | None:
        return None

    async def answered(self, call: Call, attempt: int) -> None: ...

    async def convert(self, call: Call, attempt: int, buyer: Buyer, conversion: Conversion) -> None: ...

    async def settle(self, call: Call, attempt: int, *, connected: bool) -> None: ...

    async def release(self, call: Call, attempt: int) -> None: ...

    async def restore(
        self, call: Call, decision: str | None, leg: Leg | None, attempt: int | None, group_attempt: int | None
    ) -> Held | None:
        return None


def in_time(steps: list[Step]) -> tuple[Step, ...]:
    """In order; what came in the same instant stays as it was."""
    return tuple(replace(step, at_s=max(0.0, step.at_s)) for step in sorted(steps, key=lambda step: step.at_s))
