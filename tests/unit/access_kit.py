"""A whole API over a database of its own, clocks that stand still, and keys of any kind."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from dcx_ari.api.app import make_app
from dcx_ari.app import Engine
from dcx_ari.services.gate import Gate
from dcx_ari.services.keys import create_key
from dcx_ari.services.logins import Logins
from dcx_ari.services.test_call import NotPlaced
from dcx_ari.settings import Settings
from dcx_ari.store.db import Database
from dcx_ari.store.migrate import migrate

Client = TestClient[web.Request, web.Application]
PASSWORD = "correct horse battery staple"
NOON = 1_700_000_000_000


@cache
def migrated() -> Path:
    """An empty database of the newest schema, to be copied; made once for all modules that use it."""
    folder = tempfile.mkdtemp(prefix="dcx-access-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    asyncio.run(migrate(f"sqlite:///{folder}/dcx.db"))
    return Path(folder) / "dcx.db"


class Clock:
    """Seconds that pass when they are told to; `now` is the same clock in epoch ms."""

    def __init__(self) -> None:
        self.s = 1_000.0

    def __call__(self) -> float:
        return self.s

    def now(self) -> int:
        return NOON + int((self.s - 1_000.0) * 1000)


class Parts:
    """Stands for the engine where its routes are made: no Asterisk, no calls; what is not here is None."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.settings = Settings()

    async def place_test_call(self, _trial: Any) -> str:
        raise NotPlaced("not connected")

    async def pause_recording(self, _call_id: str, _paused: bool) -> bool:
        return False

    def __getattr__(self, _name: str) -> Any:
        return None


def whole_app(database: Database, **options: Any) -> web.Application:
    """With the routes that need an engine too."""
    parts: Any = Parts(database)
    return make_app(database, more=Engine._more_routes(parts), **options)


@asynccontextmanager
async def serving(database: Database, clock: Clock | None = None, **options: Any) -> AsyncIterator[Client]:
    if clock is not None:
        options = {
            "gate": Gate(database, clock=clock, now=clock.now),
            "logins": Logins(database, clock=clock, now=clock.now),
            **options,
        }
    async with TestClient(TestServer(whole_app(database, **options))) as client:
        yield client


async def key_of(database: Database, name: str, role: str = "admin", **fields: Any) -> dict[str, str]:
    """The headers of a new key without a limit."""
    async with database.write() as session:
        _, key = await create_key(session, name, role, **{"rate_limit_per_minute": 0, **fields})
    return bearer(key)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def fault(response: ClientResponse) -> tuple[int, str, str]:
    error = (await response.json())["error"]
    assert set(error) == {"field", "rule", "message"}
    return response.status, error["field"], error["rule"]
