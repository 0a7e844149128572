"""Takes the webhooks, and keeps what came."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from chaos.records import Told

_REFUSED_ONE_IN = 40


class Receiver:
    """`told`: every request that was accepted, in order, also those that came twice."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self._refused: set[str] = set()

    async def take(self, request: web.Request) -> web.Response:
        name, body = request.headers.get("webhook-id", ""), await request.read()
        # Some are refused the first time, so that what happens between two attempts is hurt as well.
        if name not in self._refused and hashlib.sha256(name.encode()).digest()[0] % _REFUSED_ONE_IN == 0:
            self._refused.add(name)
            return web.Response(status=503)
        self.told.append(told(name, body.decode(errors="replace")))
        return web.Response(status=204)


def told(name: str, body: str, state: str = "") -> Told:
    """A message by its content."""
    try:
        message: dict[str, Any] = json.loads(body)
    except ValueError:
        message = {}
    call = message.get("data", {}).get("call_id") or ""
    return Told(name, message.get("type", ""), call, hashlib.sha256(body.encode()).hexdigest(), state)


@asynccontextmanager
async def receiver(port: int) -> AsyncIterator[Receiver]:
    """Listens on 127.0.0.1:`port`, at any path."""
    made = Receiver()
    application = web.Application()
    application.router.add_post("/{path:.*}", made.take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield made
    finally:
        await runner.cleanup()
