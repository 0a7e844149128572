"""WebSockets that only tell: who may open one, how many there may be, when one is closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import WSCloseCode, web

from dcx_ari.api.access import GATE, TOKEN
from dcx_ari.api.access import problem as refused
from dcx_ari.services.gate import Gate
from dcx_ari.store.errors import StoreError

log = logging.getLogger(__name__)

MOST = 100
"""Sockets of one application at a time."""
HEARTBEAT_S = 15.0
CHECK_S = 5.0
"""How often it is asked whether the key that opened a socket still holds."""
SEND_S = 10.0
_LONGEST_MESSAGE = 1_024


class Line:
    """One socket, to send on. A listener that takes nothing for `SEND_S` is given up."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self._seq = 0

    async def send(self, kind: str, **values: Any) -> None:
        """One message: `{"type": kind, "seq": …, …}`. Raises TimeoutError, ConnectionError."""
        self._seq += 1
        text = msgspec.json.encode({"type": kind, "seq": self._seq, **values}).decode()
        async with asyncio.timeout(SEND_S):
            await self._socket.send_str(text)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Sockets:
    """The open sockets of one application that ask for `permission`."""

    def __init__(self, permission: str, most: int) -> None:
        self._permission = permission
        self._most = most
        self._open: set[web.WebSocketResponse] = set()

    async def serve(self, request: web.Request, tell: Callable[[Line], Awaitable[None]]) -> web.StreamResponse:
        """Open the socket and run `tell` until either side ends it."""
        if not same_origin(request):
            return refused("Origin", "must be this server's own", 403)
        if len(self._open) >= self._most:
            return refused("sockets", f"there are {self._most} already", 503, {"Retry-After": "5"})
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=_LONGEST_MESSAGE, compress=False)
        self._open.add(socket)
        try:
            await socket.prepare(request)
            await self._until_over(request, socket, tell)
        finally:
            self._open.discard(socket)
        return socket

    async def close(self, _app: web.Application) -> None:
        """The application ends: so do its sockets."""
        for socket in list(self._open):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the engine stops")

    async def _until_over(
        self, request: web.Request, socket: web.WebSocketResponse, tell: Callable[[Line], Awaitable[None]]
    ) -> None:
        gate, token = request.app[GATE], request[TOKEN]
        tasks = [
            asyncio.create_task(_deaf(socket), name="socket's reader"),
            asyncio.create_task(_as_long_as(gate, token, self._permission), name="socket's key"),
            asyncio.create_task(_told(tell, socket), name="socket's writer"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not tasks[0].done() and tasks[1].done():
                await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"the key does not hold any more")
            elif not tasks[0].done():
                await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"too slow, or the database is away")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("a socket failed", exc_info=error)  # there is nobody left to answer


def same_origin(request: web.Request) -> bool:
    """Whether a page of ours asks, or no page at all: no other site's page may use what a browser holds of us."""
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc.lower() == request.host.lower()


async def _deaf(socket: web.WebSocketResponse) -> None:
    """Nothing that a listener says is wanted; its end is."""
    async for _ in socket:
        pass


async def _as_long_as(gate: Gate, token: str, permission: str) -> None:
    """Returns when the key is revoked, has run out or may no more."""
    while True:
        await asyncio.sleep(CHECK_S)
        try:
            holder = await gate.holder(token)
        except StoreError:
            continue
        if holder is None or not holder.may(permission):
            return


async def _told(tell: Callable[[Line], Awaitable[None]], socket: web.WebSocketResponse) -> None:
    """Returns when the listener is too slow or gone, or the database is away: it comes again."""
    try:
        await tell(Line(socket))
    except (TimeoutError, ConnectionError, StoreError):
        return
