"""The engine as it is wired in production, on a real Asterisk, with real phones as callers and buyers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dcx_ari.access import AsteriskAccess
from dcx_ari.app import Engine, engine
from dcx_ari.ari.errors import Gone
from dcx_ari.call.call import Call
from dcx_ari.local import access_of
from dcx_ari.orders import Orders
from dcx_ari.settings import Settings, read_settings
from dcx_asterisk.phone import Phone
from dcx_asterisk.ports import free_ports
from dcx_asterisk.process import Asterisk
from dcx_asterisk.tree import Tree
from tests.sip.parties import STEP_S, Parties, until
from tests.sip.rows import Rows
from tests.sip.sounds import tone_voice

GREETING, MENU, WHISPER, SORRY = 1300, 1500, 1900, 2100  # Hz: prompts are tones here
RINGBACK = 480  # Hz: with 440 it makes the ringback of the US

GREETED = {
    "start": "welcome",
    "nodes": {
        "welcome": {"type": "answer", "next": "greeting"},
        "greeting": {"type": "play", "say": f"tone {GREETING} for 0.8", "next": "menu"},
        "menu": {"type": "menu", "say": f"tone {MENU} for 8", "choices": {"1": "sell", "22": "sell"}},
        "sell": {"type": "route"},
    },
}


@dataclass
class Exchange(Rows, Parties):
    """An engine with one trunk, from which calls are taken; tests add what they are about."""

    engine: Engine = field(kw_only=True)
    settings: Settings = field(kw_only=True)
    said: list[str] = field(default_factory=list)

    async def trunk_leads_to(self, trunk_id: int, port: int) -> None:
        """Wait until Asterisk knows where a trunk leads."""
        async with asyncio.timeout(STEP_S):
            while True:
                with contextlib.suppress(Gone):
                    fields = await self.engine.ari.asterisk.get_object("res_pjsip", "aor", f"trunk-{trunk_id}")
                    if any(f.attribute == "contact" and f.value.endswith(f":{port}") for f in fields):
                        return
                await asyncio.sleep(0.05)

    async def call(self, caller: Phone, number: str = "") -> Call:
        """Dial, and wait until the engine has the call."""
        await self.dial(caller, number or self.number)
        await until(lambda: self.call_of(caller), f"a call of {caller.name} reaches the engine")
        call = self.call_of(caller)
        assert call is not None
        return call

    def call_of(self, caller: Phone) -> Call | None:
        live = self.engine.exchange.calls.values()
        return next((call for call in live if call.facts.caller == caller.name), None)

    async def stage(self, call: Call, stage: str) -> None:
        """Wait until a call has come to a stage."""
        await until(lambda: call.stage_name == stage, f"{call.id} comes to {stage} (it is at {call.stage_name})")

    # -- the end --------------------------------------------------------------------------------------------

    async def channels(self) -> list[str]:
        return [channel.id for channel in await self.engine.ari.channels.list()]

    async def bridges(self) -> list[str]:
        return [bridge.id for bridge in await self.engine.ari.bridges.list()]

    async def over(self) -> list[dict[str, Any]]:
        """Wait until every call has ended; the call rows, oldest first. Nothing may be left behind anywhere."""
        await until(lambda: not self.engine.exchange.calls, "all calls end", 40)
        await self.engine.recorder.drain(STEP_S)
        await self.engine.journal.durable()
        assert await self.left_behind() == ([], [])
        assert await self.engine.ledger.verify() == []
        assert await self.query("SELECT * FROM cap_holds WHERE state = 'held' AND expires_at IS NULL") == []
        calls = await self.query("SELECT * FROM calls ORDER BY started_at, id")
        assert [call["id"] for call in calls if call["ended_at"] is None] == []
        return calls

    async def left_behind(self) -> tuple[list[str], list[str]]:
        """Channels and bridges that are still there when there should be none."""
        for _ in range(100):
            left = await self.channels(), await self.bridges()
            if left == ([], []):
                break
            await asyncio.sleep(0.02)
        return left


@asynccontextmanager
async def serving(settings: Settings, access: AsteriskAccess) -> AsyncIterator[Engine]:
    """An engine that runs and is ready; afterwards Asterisk is left without its trunks."""
    async with engine(settings, access) as made:
        stop = asyncio.Event()
        running = asyncio.create_task(made.run(Orders(stop)))
        try:
            await made.until_ready()
            yield made
            if made.exchange.connected:
                await made.trunks.sync([])
        finally:
            stop.set()
            await running


@asynccontextmanager
async def exchange(asterisk: Asterisk, tree: Tree, folder: Path, **options: Any) -> AsyncIterator[Exchange]:
    """An exchange in a fresh home below `folder`, with one campaign and its number. `options` are settings."""
    (api_port,) = free_ports(1)
    settings = read_settings(
        {},
        home=str(folder / "home"),
        asterisk_home=str(asterisk.instance.home),
        api_port=api_port,
        sip_port=asterisk.instance.sip_port,
        ari_port=asterisk.instance.ari_port,
        ami_port=asterisk.instance.ami_port,
        **options,
    )
    access, said = access_of(asterisk), list[str]()
    access = replace(access, speech=tone_voice(access.speech, said))
    async with serving(settings, access) as made, AsyncExitStack() as stack:
        x = Exchange(
            made.database,
            engine=made,
            settings=settings,
            tree=tree,
            folder=folder,
            stack=stack,
            sip_port=settings.sip_port,
            said=said,
        )
        await x.basics()
        await made.configuration.load()
        await made.push_trunks()
        yield x
