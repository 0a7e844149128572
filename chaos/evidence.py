"""What the run has left behind: rows, messages, the ledger's word, and whatever Asterisk still holds."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Sequence

import aiohttp
from sqlalchemy import RowMapping, text

from chaos.receiver import told
from chaos.records import Row, Told
from chaos.system import System
from dcx_ari.local import instance_of, read_secrets
from dcx_ari.store.db import Database
from dcx_ari.store.errors import StoreError

CALLS = """SELECT id, caller, status, ended_at, talk_ms, revenue_cents, failure_reason, worker FROM calls ORDER BY id"""
RECORDINGS = "SELECT call_id, state FROM recordings ORDER BY started_at"
OUTBOX = "SELECT id, payload, state FROM outbox WHERE kind = 'webhook' ORDER BY seq"
UNSETTLED = """SELECT (SELECT count(*) FROM calls WHERE ended_at IS NULL) AS calls,
    (SELECT count(*) FROM outbox WHERE state = 'pending') AS messages,
    (SELECT count(*) FROM recordings WHERE state NOT IN ('ready', 'failed')) AS recordings,
    (SELECT count(*) FROM cap_holds WHERE state = 'held') AS holds"""
_LOOK_S = 0.5


async def query(database: Database, sql: str) -> Sequence[RowMapping]:
    """Raises StoreError."""
    async with database.read_connection() as connection:
        return (await connection.execute(text(sql))).mappings().all()


async def settled(database: Database, web: aiohttp.ClientSession, system: System, limit_s: float) -> list[str]:
    """Wait until nothing is under way any more; what still is after `limit_s` seconds, in words."""
    loop = asyncio.get_running_loop()
    until = loop.time() + limit_s
    while True:
        try:
            (row,) = await query(database, UNSETTLED)
            waiting = [f"{count} {name}" for name, count in row.items() if count]
        except StoreError as error:
            waiting = [f"the database: {error}"]
        waiting += await left_in_asterisk(web, system)
        if not waiting:
            return []
        if loop.time() > until:
            return [f"left over after {limit_s:g} s: {each}" for each in waiting]
        await asyncio.sleep(_LOOK_S)


async def left_in_asterisk(web: aiohttp.ClientSession, system: System) -> list[str]:
    """Channels and bridges, in words. Those of the watchdog's own probe do not count."""
    instance = instance_of(system.settings)
    secrets = read_secrets(instance)
    login = b64encode(f"{secrets.ari_user}:{secrets.ari_password}".encode()).decode()
    found = []
    try:
        for kind in ("channels", "bridges"):
            async with web.get(f"{instance.ari_url}/{kind}", headers={"Authorization": f"Basic {login}"}) as answer:
                names = [f"{each.get('name') or kind} {each['id']}" for each in await answer.json()]
            found += [f"{kind} of Asterisk: {name}" for name in names if "dcx-probe" not in name]
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return [f"Asterisk does not answer: {error!r}"]
    return found


async def rows_of(database: Database) -> list[Row]:
    """Every call's row. Raises StoreError."""
    recordings: dict[str, list[str]] = {}
    for each in await query(database, RECORDINGS):
        recordings.setdefault(each["call_id"], []).append(each["state"])
    return [
        Row(
            id=each["id"],
            caller=each["caller"],
            status=each["status"],
            ended=each["ended_at"] is not None,
            talk_ms=each["talk_ms"],
            revenue_cents=each["revenue_cents"],
            failure=each["failure_reason"] or "",
            worker=each["worker"],
            recordings=recordings.get(each["id"], []),
        )
        for each in await query(database, CALLS)
    ]


async def outbox_of(database: Database) -> list[Told]:
    """Every webhook that was ever written. Raises StoreError."""
    return [told(each["id"], each["payload"], each["state"]) for each in await query(database, OUTBOX)]


async def ledger_of(system: System) -> list[str]:
    """What `dcx caps verify` complains of."""
    status, said = await system.dcx("caps", "verify")
    return [] if status == 0 else [f"ledger: {line}" for line in said.splitlines() if line.strip()][:20]
