"""A database, a clock that is set by hand, a receiver that remembers, and a deliverer between them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlmodel import col, select
from standardwebhooks.webhooks import Webhook

from dcx_ari.integrations.mail import MailSender
from dcx_ari.outbox import Deliverer
from dcx_ari.services import webhooks
from dcx_ari.store.db import Database
from dcx_ari.store.models import OutboxRow, WebhookEndpoint
from dcx_ari.store.outbox import tell
from dcx_ari.store.targets import Targets, networks

LOOPBACK = Targets(networks("127.0.0.0/8"))
NOON = 1_800_000_000_000
CALL = {"call_id": "c1", "direction": "inbound", "test": False}


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> str:
        return str(json.loads(self.body)["type"])

    def verified(self, secret: str) -> Any:
        """The body, if the library signs it the same at the time in the header (its `verify` asks the clock)."""
        at = datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), UTC)
        assert Webhook(secret).sign(self.id, at, self.body.decode()) in self.headers["webhook-signature"].split()
        return json.loads(self.body)


Answer = Callable[[Received], web.Response]


@dataclass
class Receiver:
    """Answers with the next of `answers`, the last of them again and again; 204 where there is none."""

    server: TestServer
    got: list[Received] = field(default_factory=list)
    answers: list[web.Response | Answer] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/hook"

    async def handle(self, request: web.Request) -> web.Response:
        received = Received({k.lower(): v for k, v in request.headers.items()}, await request.read())
        self.got.append(received)
        if not self.answers:
            return web.Response(status=204)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            return answer(received)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    app = web.Application()
    made = Receiver(TestServer(app, host="127.0.0.1"))
    app.router.add_post("/hook", made.handle)
    await made.server.start_server()
    try:
        yield made
    finally:
        await made.server.close()


class Outbox:
    """The database's outbox, and a deliverer whose clock is `now`."""

    def __init__(self, database: Database, mail: MailSender | None = None) -> None:
        self.database = database
        self.now = NOON
        sender = mail or MailSender(None, "", Path("/nowhere"))
        self.deliverer = Deliverer(database, LOOPBACK, sender, lambda: self.now, draw=lambda: 0.0)

    async def endpoint(self, url: str, *events: str, kind: str = "standard") -> tuple[int, str]:
        """Id and secret of a new endpoint."""
        checked = await webhooks.safe_url(LOOPBACK, url)
        async with self.database.write() as session:
            row, secret = await webhooks.create(session, checked, events, kind=kind)
        return int(row["id"]), secret or ""

    async def tell(self, event: str = "call.started", data: Any = None, **options: Any) -> int:
        async with self.database.write() as session:
            return await tell(session, event, data or CALL, at_ms=self.now, **options)

    async def deliver(self, later_ms: int = 0) -> None:
        self.now += later_ms
        await self.deliverer.deliver_due()

    async def rows(self) -> list[OutboxRow]:
        async with self.database.read() as session:
            return list((await session.exec(select(OutboxRow).order_by(col(OutboxRow.seq)))).all())

    async def states(self) -> list[str]:
        return [row.state for row in await self.rows()]

    async def stored(self, endpoint_id: int) -> WebhookEndpoint:
        async with self.database.read() as session:
            row = await session.get(WebhookEndpoint, endpoint_id)
            assert row is not None
            return row
