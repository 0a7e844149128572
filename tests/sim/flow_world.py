"""Callers of one flow document on a fake Asterisk in virtual time; the rest of the shell remembers what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import urlencode

from dcx_ari.call.call import Call
from dcx_ari.call.exchange import Exchange
from dcx_ari.call.ports import Desk, Ports, PromptMissing, Question, SpeechUnavailable
from dcx_ari.call.tasks import cancel_and_wait
from dcx_ari.decide.snapshot import Snapshot, build
from dcx_ari.flows.document import from_data, load_yaml
from dcx_ari.flows.walk import walk
from dcx_ari.testing.fake_asterisk import FakeAsterisk
from dcx_ari.testing.far_end import FarEnd, Phone
from dcx_ari.testing.parties import Caller
from tests.sim.world import Notes

EPOCH_MS = 1_772_463_600_000  # 2026-03-02 10:00 in New York, a Monday
TRUNKS = {"trunks": [{"id": 1, "is_default": True}]}


@dataclass
class Shell(Notes):
    """A web that answers `answer` after `delay_s`, prompts named in `uploaded`, callbacks that are kept or not."""

    tables: Mapping[str, Any] = field(default_factory=dict)
    answer: Any = None
    delay_s: float = 0.0
    asked: list[Question] = field(default_factory=list)
    uploaded: tuple[str, ...] = ()
    mute: bool = False
    keeps: bool = True
    wishes: list[tuple[str, int]] = field(default_factory=list)
    built: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        if self.built is None:
            self.built = build({**TRUNKS, **self.tables}, version=1)
        return self.built

    def records(self, call: Call) -> bool:
        return call.tags.get("consent") != "refused"

    async def say(self, text: str, voice: str = "") -> str:
        if self.mute:
            raise SpeechUnavailable("no engine")
        return f"sound:said/{text.replace(',', '')}"

    async def ask(self, question: Question) -> Any:
        self.asked.append(question)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def media(self, name: str) -> str:
        if name not in self.uploaded:
            raise PromptMissing(f"no prompt {name!r}")
        return f"sound:prompts/{name}"

    async def request(self, call: Call, number: str, due_at: int) -> bool:
        self.wishes.append((number, due_at))
        return self.keeps


@dataclass
class FlowWorld:
    fake: FakeAsterisk
    exchange: Exchange
    shell: Shell

    def call(self, **options: Any) -> Caller:
        return self.fake.call("+18005550199", args=("in", urlencode({"to": "+18005550199"})), **options)

    def phone(self, number: str, *scripts: FarEnd) -> Phone:
        return self.fake.phone(f"PJSIP/{number}@trunk-1", *scripts)

    async def over(self) -> Call:
        """Wait until every call has ended and nothing is left in Asterisk; the call that ended last."""
        await self.fake.settled(3000)
        async with asyncio.timeout(60):
            while self.exchange.calls:
                await asyncio.sleep(0.1)
        self.fake.assert_clean()
        return self.shell.closed_calls[-1]

    @property
    def paths(self) -> list[str]:
        return [call.path for call in self.shell.closed_calls]

    def said(self, kind: str) -> list[Mapping[str, Any]]:
        return [data for _, each, data in self.shell.events if each == kind]


@asynccontextmanager
async def flowing(
    document: str | Mapping[str, Any], *, start: str | None = None, **shell: Any
) -> AsyncIterator[FlowWorld]:
    """Every caller walks `document` (YAML or data). `shell` are fields of `Shell`."""
    parsed = from_data(load_yaml(document) if isinstance(document, str) else document)

    async def flow(call: Call) -> None:
        call.flow_id, call.flow_version = 7, 3
        call.tag(caller=call.facts.caller, number=call.facts.dialled, source="Radio", state="NY")
        await walk(call, parsed, start)

    fake, told = FakeAsterisk("dcx-0"), Shell(**shell)
    loop = asyncio.get_running_loop()
    ports = Ports(told, told, told, lambda: EPOCH_MS + round(loop.time() * 1000), cast("Desk", told))
    exchange = Exchange(fake, "dcx-0", replace(ports, web=told, prompts=told, callbacks=told), flow, told)
    serving = asyncio.ensure_future(exchange.run())
    try:
        yield FlowWorld(fake, exchange, told)
        await exchange.stop(0.0)
    finally:
        await cancel_and_wait(serving)
        await fake.close()
