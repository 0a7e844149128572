"""The two servers that bench/api.py loads: DCX's API over a database of its own, and a handler that only answers."""

import asyncio
import contextlib
import random
import signal
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import insert

from dcx_ari.api.app import make_app
from dcx_ari.clock import now_ms
from dcx_ari.decide.periods import Period, period_keys, zone_of
from dcx_ari.services import rows
from dcx_ari.services.keys import create_key
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.ledger.models import CapCounter
from dcx_ari.store.migrate import migrate

BUYERS = 60


async def serve(what: str, port: int, home: Path, path: str) -> None:
    """Until it is terminated. `dcx` writes its key and one answer into `home`, `bare` answers with that."""
    if what == "bare":
        await _until_told(_bare((home / "answer").read_bytes()), port)
        return
    database = open_database(f"sqlite:///{home}/dcx.db")
    try:
        key = await _fill(database)
        (home / "key").write_text(key)
        async with TestClient(TestServer(make_app(database))) as client:
            response = await client.get(path, headers={"Authorization": f"Bearer {key}"})
            (home / "answer").write_bytes(await response.read())
        await _until_told(make_app(database), port)
    finally:
        await database.close()


def _bare(body: bytes) -> web.Application:
    async def handle(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/api/buyers", handle)
    return app


async def _until_told(app: web.Application, port: int) -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print("ready", flush=True)
        await told.wait()
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await runner.cleanup()


async def _fill(database: Database) -> str:
    """Buyers with caps that are partly used; the key to read them with."""
    await migrate(database)
    random.seed(7)
    async with database.write() as session:
        await rows.create(session, RESOURCES["schedules"], {"name": "Office", "weekly": {"mon": [["09:00", "17:00"]]}})
        for number in range(BUYERS):
            buyer = {"name": f"Buyer {number:03}", "endpoint_value": f"+1212555{number:04}", "schedule": "Office"}
            caps = {"daily_cap": random.choice((None, 20, 200)), "concurrency_limit": 5, "monthly_cap": 2_000}
            rules = [{"kind": "duration", "threshold_s": 90}]
            await rows.create(session, RESOURCES["buyers"], {**buyer, **caps, "conversion_rules": rules})
        _, key = await create_key(session, "bench", rate_limit_per_minute=0)
    await _count(database)
    return key


async def _count(database: Database) -> None:
    keys = period_keys(now_ms(), zone_of("America/New_York"))
    counted: tuple[tuple[str, Period], ...] = (
        *(("connect", "day"), ("connect", "month")),
        *(("attempt", "concurrent"), ("convert", "day")),
    )
    figures = [
        {
            "scope": "buyer",
            "scope_id": number,
            "metric": metric,
            "period": period,
            "period_key": keys[period],
            "used": random.randrange(30),
            "held": 0,
            "rev": 1,
        }
        for number in range(1, BUYERS + 1)
        for metric, period in counted
    ]
    async with database.write_connection() as connection:
        await connection.execute(insert(CapCounter.__table__), figures)  # type: ignore[attr-defined]
