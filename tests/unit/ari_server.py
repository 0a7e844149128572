"""A server on loopback that speaks ARI's two ways, and breaks them as a test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.test_utils import unused_port

from dcx_ari.ari.client import AriClient


@dataclass(frozen=True)
class Asked:
    """A request as the server saw it; `way` is "socket" or "http"."""

    way: str
    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None


Reply = tuple[int, Any] | None  # status and JSON body; None: no answer at all


async def agree(asked: Asked) -> Reply:
    return (200, {}) if asked.method in ("GET", "PUT") else (204, None)


class Server:
    def __init__(self) -> None:
        self.port = unused_port()
        self.url = f"http://127.0.0.1:{self.port}/ari"
        self.asked: list[Asked] = []
        self.reply: Callable[[Asked], Awaitable[Reply]] = agree
        self.refuse_upgrades: list[int] = []  # statuses for the next attempts
        self.deaf = False  # sockets neither read nor answer pings
        self.attempts = 0
        self.forgetful = False  # of the application: no event reaches its socket
        self.authorization = ""
        self._latest: web.WebSocketResponse | None = None
        self.app = ""
        self._sockets: asyncio.Queue[web.WebSocketResponse] = asyncio.Queue()

    async def socket(self) -> web.WebSocketResponse:
        """The next socket that a client opened."""
        async with asyncio.timeout(5):
            return await self._sockets.get()

    def paths(self, way: str) -> list[str]:
        """What was asked over one way, without the event filter of each new session."""
        return [one.path for one in self.asked if one.way == way and not one.path.endswith("/eventFilter")]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.authorization = request.headers.get("Authorization", "")
        if request.path == "/ari/events":
            return await self._events(request)
        text = await request.text()
        path = request.rel_url.raw_path.removeprefix("/ari/")
        body = json.loads(text) if text else None
        if path.startswith("events/user/"):
            return await self._echo(path.removeprefix("events/user/"), request.query["application"])
        asked = Asked("http", request.method, path, dict(request.query), body)
        self.asked.append(asked)
        reply = await self.reply(asked)
        if reply is None:
            await asyncio.Event().wait()
            raise AssertionError
        return web.Response(status=reply[0], text=json.dumps(reply[1]) if reply[1] is not None else "")

    async def _echo(self, name: str, app: str) -> web.Response:
        if self._latest is not None and not self.forgetful:
            await self._latest.send_str(event("ChannelUserevent", app, eventname=name, userevent={}))
        return web.Response(status=204)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self.attempts += 1
        self.app = request.query["app"]
        if self.refuse_upgrades:
            return web.Response(status=self.refuse_upgrades.pop(0))
        ws = web.WebSocketResponse(autoping=not self.deaf, max_msg_size=1 << 30)
        await ws.prepare(request)
        self._latest = ws
        self._sockets.put_nowait(ws)
        answers: set[asyncio.Task[None]] = set()
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    task = asyncio.create_task(self._answer(ws, json.loads(message.data)))
                    answers.add(task)
        finally:
            for task in answers:
                task.cancel()
        return ws

    async def _answer(self, ws: web.WebSocketResponse, frame: dict[str, Any]) -> None:
        query = {one["name"]: one["value"] for one in frame.get("query_strings", [])}
        body = json.loads(frame["message_body"]) if "message_body" in frame else None
        asked = Asked("socket", frame["method"], frame["uri"], query, body)
        self.asked.append(asked)
        reply = await self.reply(asked)
        if reply is None:
            return
        answer = {
            "type": "RESTResponse",
            "request_id": frame["request_id"],
            "status_code": reply[0],
            "reason_phrase": "",
        }
        if reply[1] is not None:
            answer["message_body"] = json.dumps(reply[1])
        await ws.send_str(json.dumps(answer))


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    application = web.Application(client_max_size=1 << 30)
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", server.port).start()
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def client_of(server: Server, **options: Any) -> AsyncIterator[AriClient]:
    client = AriClient(server.url, "user", "word", "dcx", **({"draw": lambda: 0.0} | options))
    try:
        async with asyncio.timeout(10):
            yield client
    finally:
        await client.close()


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something is so; TimeoutError after five seconds."""
    async with asyncio.timeout(5):
        while True:
            if condition():
                return
            await asyncio.sleep(0)


def event(kind: str, app: str = "dcx", **fields: Any) -> str:
    return json.dumps({"type": kind, "application": app, "timestamp": "2026-11-20T10:00:00.000+0000", **fields})
