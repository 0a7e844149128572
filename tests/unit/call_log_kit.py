"""A database with calls in it, for tests of the call log."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from dcx_ari.decide.local_time import local_time
from dcx_ari.services.scope import Scope
from dcx_ari.store.db import Database
from dcx_ari.store.models import Buyer, Call, CallTag, Campaign, Number, Recording, TrafficSource

ZONE = ZoneInfo("America/New_York")


def at(text: str, fold: int = 0) -> int:
    """Epoch ms of a time in New York."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE, fold=fold).timestamp() * 1000)


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


def scoped(database: Database, **scope: int) -> Database:
    """The same database, for somebody tied to one buyer or source."""
    return replace(database, info={**database.info, "scope": Scope(**scope)})


def audio(home: Path, call_id: str, content: bytes = b"RIFF-some-sound") -> Path:
    """A recording's file."""
    path = home / f"recordings/{call_id[:6]}/{call_id}.rec1.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
