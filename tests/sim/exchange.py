"""The engine as it is wired in production, on a fake Asterisk and a real SQLite file, in virtual time."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import text

from dcx_ari.app import Engine, Outside
from dcx_ari.ari.transport import Transport
from dcx_ari.call.ports import SpeechUnavailable
from dcx_ari.failure import EngineFailed
from dcx_ari.orders import Orders
from dcx_ari.services import rows
from dcx_ari.services.links import attach
from dcx_ari.services.resources import RESOURCES
from dcx_ari.settings import read_settings
from dcx_ari.store.db import open_database
from dcx_ari.store.ledger import open_ledger
from dcx_ari.store.migrate import migrate
from dcx_ari.testing.fake_asterisk import FakeAsterisk
from dcx_ari.testing.far_end import FarEnd, Phone
from dcx_ari.testing.parties import Caller
from tests.databases import copied_live

NUMBER = "+18005550199"
EPOCH_MS = 1_772_463_600_000  # 2026-03-02 10:00 in New York, a Monday


class Voice:
    """Speaks by naming what it says; `broken` makes it fail."""

    broken = False

    async def say(self, words: str, voice: str = "") -> str:
        if self.broken:
            raise SpeechUnavailable("no engine")
        return f"sound:said/{words}"


class Tape:
    """A monitor that writes nothing."""

    async def mix_monitor(self, channel: str, receive: str, transmit: str) -> str:
        return "m1"

    async def stop(self, channel: str, monitor: str) -> None: ...

    async def mute(self, channel: str, on: bool) -> None: ...


@dataclass
class Exchange:
    """A campaign without buyers, its number, a trunk; tests add what they are about."""

    fake: FakeAsterisk
    engine: Engine
    voice: Voice
    campaign_id: int
    trunk_id: int
    transport: Transport

    def call(self, dialled: str = NUMBER, **options: Any) -> Caller:
        return self.fake.call(dialled, args=("in", urlencode({"to": dialled})), **options)

    async def add(self, resource: str, **values: Any) -> int:
        async with self.engine.database.write() as session:
            return int((await rows.create(session, RESOURCES[resource], values))["id"])

    async def change(self, resource: str, which: Any, **values: Any) -> None:
        async with self.engine.database.write() as session:
            await rows.change(session, RESOURCES[resource], str(which), values)

    async def buyer(self, name: str, *scripts: FarEnd, link: Mapping[str, Any] | None = None, **values: Any) -> Phone:
        """A buyer attached to the campaign, and the phone behind its number."""
        suffix = len(self.fake.core.phones) + 1
        number = f"+1555000{suffix:04d}"
        wanted = {"endpoint_value": number, "revenue_cents": 1000, "ring_timeout_s": 10, **values}
        buyer_id = await self.add("buyers", name=name, **wanted)
        async with self.engine.database.write() as session:
            await attach(session, "campaigns", self.campaign_id, {"buyer_id": buyer_id, **(link or {})})
        return self.fake.phone(f"PJSIP/{number}@trunk-{self.trunk_id}", *scripts)

    async def query(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        async with self.engine.database.read_connection() as connection:
            return [_as_stored(row) for row in (await connection.execute(text(sql), values)).mappings()]

    async def over(self) -> list[dict[str, Any]]:
        """Wait until every call has ended; the call rows, oldest first. Nothing may be left behind anywhere."""
        await self.fake.settled(300.0)
        async with asyncio.timeout(30):
            while self.engine.exchange.calls:
                await asyncio.sleep(0.1)
        assert self.engine.journal.refused == 0
        assert await self.engine.ledger.verify() == []
        held = await self.query("SELECT * FROM cap_holds WHERE state = 'held' AND expires_at IS NULL")
        assert held == []
        return await self.query("SELECT * FROM calls ORDER BY started_at, id")

    async def results(self) -> list[str]:
        return [row["result"] for row in await self.query("SELECT result FROM legs ORDER BY position")]

    async def kinds(self) -> list[str]:
        """The stages and other events of all calls, in order."""
        found = await self.query("SELECT kind, data FROM call_events ORDER BY id")
        return [json.loads(e["data"])["stage"] if e["kind"] == "stage" else e["kind"] for e in found]


def _as_stored(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON as text, which PostgreSQL's driver has read already."""
    return {name: json.dumps(value) if isinstance(value, (dict, list)) else value for name, value in row.items()}


def clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], int]:
    """The time of day in virtual time, for threads too."""
    return lambda: EPOCH_MS + round(loop.time() * 1000)


@asynccontextmanager
async def loaded_engine(
    home: Path, transport: Transport, voice: Voice, jobs: bool = False, **more: Any
) -> AsyncIterator[Engine]:
    """A loaded engine on the database of a home, not yet running."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        api_port = probe.getsockname()[1]
    settings, clock = read_settings({}, home=str(home), api_port=api_port, **more), clock_of(asyncio.get_running_loop())
    await migrate(settings.database_url)
    database = open_database(settings.database_url)
    ledger = open_ledger(settings.database_url, worker=settings.app_name, clock=clock)
    engine = Engine(settings, database, ledger, Outside(transport, Tape(), voice, home), clock, jobs=jobs)
    try:
        await engine.configuration.load()
        yield engine
    finally:
        engine.configuration.close()
        await transport.close()
        await ledger.close()
        await database.close()


@asynccontextmanager
async def _running(engine: Engine) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(engine.run(Orders(stop)))
    await engine.until_ready()
    try:
        yield
    finally:
        stop.set()
        with suppress(EngineFailed) if running.done() else nullcontext():  # it was killed
            await running


@asynccontextmanager
async def exchange(
    home: Path, *, jobs: bool = False, settings: Mapping[str, Any] = MappingProxyType({}), **campaign: Any
) -> AsyncIterator[Exchange]:
    fake, voice = FakeAsterisk("dcx-0", latency_s=0.001), Voice()
    async with loaded_engine(home, fake, voice, jobs, **settings) as engine:
        made = Exchange(fake, engine, voice, 0, 0, fake)
        made.trunk_id = await made.add("trunks", name="carrier", host="127.0.0.1", port=5099, is_default=True)
        made.campaign_id = await made.add("campaigns", name="Solar", record=False, **campaign)
        source = await made.add("sources", name="Radio", payout={"model": "flat", "cents": 300, "threshold_s": 5})
        await made.add("numbers", phone_number=NUMBER, campaign_id=made.campaign_id, traffic_source_id=source)
        async with _running(engine):
            yield made


@asynccontextmanager
async def killed(x: Exchange, *, gap_s: float = 1.0) -> AsyncIterator[None]:
    """The engine as `kill -9` leaves it, and the next one after `gap_s` seconds: on what was committed by then, on the
    same Asterisk. (What the first one still does reaches neither.)
    """
    home = x.engine.settings.home.with_name(f"{x.engine.settings.home.name}-next")
    home.mkdir()
    copied_live(x.engine.settings.home / "dcx.db", home / "dcx.db")
    await x.transport.close()
    first, x.transport = (x.engine, x.transport), x.fake.client("dcx-0")
    await asyncio.sleep(gap_s)
    async with loaded_engine(home, x.transport, x.voice, False) as second, _running(second):
        x.engine = second
        try:
            yield
        finally:
            x.engine, x.transport = first
