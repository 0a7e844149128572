"""A database with calls in it, for tests of the call log."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from dcx_ari.decide.local_time import local_time
from dcx_ari.services.audit import Actor
from dcx_ari.services.scope import Scope
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import Buyer, Call, CallTag, Campaign, Number, Recording, TrafficSource

ZONE = ZoneInfo("America/New_York")
HOUR = 3_600_000
ANN, BOB = "+12125550100", "+13105550199"


def at(text: str, fold: int = 0) -> int:
    """Epoch ms of a time in New York."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE, fold=fold).timestamp() * 1000)


NOON = at("2026-03-02T12:00")


def call(call_id: str, started_at: int, **more: Any) -> Call:
    here = local_time(started_at, ZONE)
    values = {"caller": "+12125550100", "status": "COMPLETED", "ended_at": started_at + 60_000, **more}
    return Call(
        id=call_id,
        started_at=started_at,
        local_day=here.day,
        local_hour=here.hour,
        local_weekday=here.weekday,
        local_minute=here.minute,
        **values,
    )


def recording(call_id: str, **more: Any) -> Recording:
    values = {"state": "ready", "path": f"recordings/{call_id[:6]}/{call_id}.rec1.wav", "size_bytes": 44, **more}
    return Recording(id=f"{call_id}.rec1", call_id=call_id, **values)


async def configure(database: Database) -> None:
    """Two campaigns, sources and buyers, two numbers, three tags; ids from 1 on."""
    async with database.write() as session:
        for name, vertical in (("Solar", "SOLAR"), ("Auto", "AUTO")):
            session.add(Campaign(name=name, vertical=vertical))
            session.add(TrafficSource(name=f"{name} ads", channel="web"))
            session.add(Buyer(name=f"{name} buyer", endpoint_value="+15125550100"))
            await session.flush()
        for n in (1, 2):
            session.add(Number(phone_number=f"+1800555000{n}", campaign_id=n, traffic_source_id=n))
        for name in ("vip", "follow-up", "quality-issue"):
            session.add(CallTag(name=name))
            await session.flush()


async def add(database: Database, *rows: Any) -> None:
    async with database.write() as session:
        for row in rows:
            session.add(row)
            await session.flush()


def four_calls(folder: Path) -> Path:
    """A database to be copied: one call that was sold, one that nobody answered, one at full caps, one given up."""
    path = folder / "dcx.db"

    async def make() -> None:
        database = open_database(f"sqlite:///{path}")
        await migrate(database)
        await configure(database)
        await add(
            database,
            call("call0000a", NOON, campaign_id=1, caller_name="ANN B"),
            call("call0000b", NOON + 1, status="BUSY", failure_reason="all_no_answer", caller=BOB, traffic_source_id=2),
            call("call0000c", NOON + 2, status="FAILED", failure_reason="all_maxed_out", campaign_id=77),
            call("call0000d", NOON + 3, status="ABANDONED", failure_reason="caller_hung_up", caller="anonymous"),
        )
        await database.close()

    asyncio.run(make())
    return path


@asynccontextmanager
async def as_kim(template: Path, folder: Path) -> AsyncIterator[Database]:
    """A copy of a database, opened by somebody at a terminal."""
    shutil.copy(template, folder / "dcx.db")
    info = {"zone": ZONE, "actor": Actor("cli", "kim", "kim")}
    opened = replace(open_database(f"sqlite:///{folder}/dcx.db"), info=info)
    yield opened
    await opened.close()


def scoped(database: Database, **scope: int) -> Database:
    """The same database, for somebody tied to one buyer or source."""
    return replace(database, info={**database.info, "scope": Scope(**scope)})


def audio(home: Path, call_id: str, content: bytes = b"RIFF-some-sound") -> Path:
    """A recording's file."""
    path = home / f"recordings/{call_id[:6]}/{call_id}.rec1.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
