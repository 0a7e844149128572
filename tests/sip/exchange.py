"""The engine as it is wired in production, on a real Asterisk, with real phones as callers and buyers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import text

from dcx_ari.app import AsteriskAccess, Engine, engine
from dcx_ari.ari.errors import Gone
from dcx_ari.call.call import Call
from dcx_ari.local import access_of
from dcx_ari.services import rows
from dcx_ari.services.links import attach
from dcx_ari.services.resources import RESOURCES
from dcx_ari.settings import Settings, read_settings
from dcx_asterisk.phone import PORTS, Phone
from dcx_asterisk.ports import free_ports
from dcx_asterisk.process import Asterisk
from dcx_asterisk.tree import Tree
from tests.sip.sounds import LOUD, lately, tone_voice

STEP_S = 20.0  # no step of a call may take longer, on however slow a machine
GREETING, MENU, WHISPER, SORRY = 1300, 1500, 1900, 2100  # Hz: prompts are tones here
RINGBACK = 480  # Hz: with 440 it makes the ringback of the US
CALLER_HZ = 560

GREETED = {
    "start": "welcome",
    "nodes": {
        "welcome": {"type": "answer", "next": "greeting"},
        "greeting": {"type": "play", "say": f"tone {GREETING} for 0.8", "next": "menu"},
        "menu": {"type": "menu", "say": f"tone {MENU} for 8", "choices": {"1": "sell", "22": "sell"}},
        "sell": {"type": "route"},
    },
}


async def until(condition: Callable[[], object], what: str, timeout_s: float = STEP_S, every_s: float = 0.02) -> None:
    """Wait until something is so; `what` is said if it never is."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(every_s)
    except TimeoutError:
        raise AssertionError(f"not within {timeout_s:g} s: {what}") from None


@dataclass
class Exchange:
    """An engine with one trunk, from which calls are taken; tests add what they are about."""

    engine: Engine
    settings: Settings
    tree: Tree
    folder: Path
    stack: AsyncExitStack
    said: list[str]
    trunk_id: int = 0
    source_id: int = 0
    campaign_id: int = 0
    number: str = ""
    numbers: count[int] = field(default_factory=lambda: count(1))

    # -- rows -----------------------------------------------------------------------------------------------

    async def add(self, resource: str, **values: Any) -> int:
        async with self.engine.database.write() as session:
            return int((await rows.create(session, RESOURCES[resource], values))["id"])

    async def change(self, resource: str, which: Any, **values: Any) -> None:
        async with self.engine.database.write() as session:
            await rows.change(session, RESOURCES[resource], str(which), values)

    async def campaign(self, *, flow: Mapping[str, Any] | None = None, **values: Any) -> str:
        """Another campaign; returns the number that leads to it. Buyers added from now on are its own."""
        index = next(self.numbers)
        self.number = f"+1800555{index:04d}"
        if flow is not None:
            values["flow_id"] = await self.add("flows", name=f"f{index}", document=dict(flow), status="published")
        self.campaign_id = await self.add("campaigns", name=f"Campaign {index}", **{"record": False, **values})
        await self.add(
            "numbers",
            phone_number=self.number,
            campaign_id=self.campaign_id,
            traffic_source_id=self.source_id,
        )
        return self.number

    async def buyer(self, name: str, at: Phone | int, link: Mapping[str, Any] | None = None, **values: Any) -> int:
        """A buyer of the campaign whose phone is `at` (or at that port, whatever is there)."""
        port = at if isinstance(at, int) else at.port
        wanted = {"endpoint_value": f"sip:{name}@127.0.0.1:{port}", "ring_timeout_s": 5, "revenue_cents": 1000}
        buyer_id = await self.add("buyers", name=name, **{**wanted, **values})
        async with self.engine.database.write() as session:
            await attach(session, "campaigns", self.campaign_id, {"buyer_id": buyer_id, **(link or {})})
        return buyer_id

    async def query(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        async with self.engine.database.read_connection() as connection:
            return [dict(row) for row in (await connection.execute(text(sql), values)).mappings()]

    async def row(self, call_id: str) -> dict[str, Any]:
        (row,) = await self.query("SELECT * FROM calls WHERE id = :id", id=call_id)
        return row

    async def results(self, call_id: str) -> list[str]:
        legs = await self.query("SELECT result FROM legs WHERE call_id = :id ORDER BY position", id=call_id)
        return [leg["result"] for leg in legs]

    async def stages(self, call_id: str) -> list[str]:
        """The stages of a call and its other events, in order."""
        found = await self.query("SELECT kind, data FROM call_events WHERE call_id = :id ORDER BY seq", id=call_id)
        return [json.loads(each["data"])["stage"] if each["kind"] == "stage" else each["kind"] for each in found]

    async def trunk_leads_to(self, trunk_id: int, port: int) -> None:
        """Wait until Asterisk knows where a trunk leads."""
        async with asyncio.timeout(STEP_S):
            while True:
                with contextlib.suppress(Gone):
                    fields = await self.engine.ari.asterisk.get_object("res_pjsip", "aor", f"trunk-{trunk_id}")
                    if any(f.attribute == "contact" and f.value.endswith(f":{port}") for f in fields):
                        return
                await asyncio.sleep(0.05)

    # -- phones and calls -----------------------------------------------------------------------------------

    async def phones(self, **tones: float | tuple[float, str]) -> list[Phone]:
        """Started phones by name: `buyer=700`, or `buyer=(700, "auto")` for how they answer."""
        wanted = {name: tone if isinstance(tone, tuple) else (tone, "manual") for name, tone in tones.items()}
        ports = free_ports(len(wanted), spacing=PORTS)
        made = [
            Phone(self.tree, self.folder / name, port, name=name, tone_hz=tone, answer=answer)  # type: ignore[arg-type]
            for port, (name, (tone, answer)) in zip(ports, wanted.items(), strict=True)
        ]
        await asyncio.gather(*(self.stack.enter_async_context(phone) for phone in made))
        return made

    async def caller(self, number: str = "+12125550123", tone_hz: float = CALLER_HZ, **options: Any) -> Phone:
        """A phone whose calls come from `number`."""
        (port,) = free_ports(1, spacing=PORTS)
        phone = Phone(self.tree, self.folder / f"caller{port}", port, name=number, tone_hz=tone_hz, **options)
        await self.stack.enter_async_context(phone)
        return phone

    async def dial(self, caller: Phone, number: str = "") -> None:
        await caller.dial(f"sip:{number or self.number}@127.0.0.1:{self.settings.sip_port}")

    async def call(self, caller: Phone, number: str = "") -> Call:
        """Dial, and wait until the engine has the call."""
        await self.dial(caller, number)
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

    async def hear(self, phone: Phone, hz: float, timeout_s: float = STEP_S) -> None:
        """Wait until a phone has heard a tone for half a second, and still does."""

        def steady() -> bool:
            return phone.hears(hz, -0.5) > LOUD and lately(phone.heard, hz) >= 0.45

        await until(steady, f"{phone.name} hears {hz:g} Hz", timeout_s, every_s=0.1)

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
        running = asyncio.create_task(made.run(stop))
        try:
            await made.until_ready()
            yield made
            if made.exchange.connected:
                await made.trunks.sync([])
        finally:
            stop.set()
            await running


@asynccontextmanager
async def exchange(asterisk: Asterisk, tree: Tree, folder: Path, **campaign: Any) -> AsyncIterator[Exchange]:
    """An exchange in a fresh home below `folder`, with one campaign and its number."""
    (api_port,) = free_ports(1)
    settings = read_settings(
        {},
        home=str(folder / "home"),
        asterisk_home=str(asterisk.instance.home),
        api_port=api_port,
        sip_port=asterisk.instance.sip_port,
        ari_port=asterisk.instance.ari_port,
        ami_port=asterisk.instance.ami_port,
    )
    access, said = access_of(asterisk), list[str]()
    access = replace(access, speech=tone_voice(access.speech, said))
    async with serving(settings, access) as made, AsyncExitStack() as stack:
        x = Exchange(made, settings, tree, folder, stack, said)
        x.trunk_id = await x.add("trunks", name="carrier", host="127.0.0.1", port=9, accept_from=["127.0.0.1"])
        x.source_id = await x.add("sources", name="Radio", payout={"model": "flat", "cents": 300, "threshold_s": 1})
        await x.campaign(**campaign)
        await made.configuration.load()
        await made.push_trunks()
        yield x
