"""One application's connection to the fake: requests with their faults, and sessions of events."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from dcx_ari.ari.errors import Replaced, Unreachable, classify
from dcx_ari.ari.lanes import Lanes
from dcx_ari.ari.transport import Request
from dcx_ari.testing.applications import FakeSession
from dcx_ari.testing.routes import route
from dcx_ari.testing.wire import Ask, Refused

if TYPE_CHECKING:
    from dcx_ari.testing.core import Core
    from dcx_ari.testing.fake_asterisk import FakeAsterisk

RECONNECT_S = 0.1
FOREVER_S = 10 * 365 * 86_400.0


@dataclass(slots=True)
class Asked:
    """A request: when, by which application's client, and how it was answered (0: not yet, or never)."""

    at: float
    app: str
    request: Request
    status: int = 0

    @property
    def what(self) -> str:
        return f"{self.request.method} {self.request.path}"


@dataclass(slots=True)
class Fault:
    """A refusal to come: `status` 0 means that no answer comes at all; `runs` whether the request is done."""

    method: str
    path: str
    status: int
    message: str
    times: int
    runs: bool


class FakeClient:
    """One application's `Transport` to a `FakeAsterisk`."""

    def __init__(self, fake: FakeAsterisk, app: str) -> None:
        self.app = app
        self._fake = fake
        self._lanes = Lanes()
        self._session: FakeSession | None = None
        self._closed = False

    async def request(self, request: Request) -> bytes:
        """See `Transport.request`. Cancelling the caller does not stop what Asterisk has begun."""
        asked = Asked(self._fake.core.now, self.app, request)
        self._fake.requests.append(asked)
        what = f"{request.method} {request.path}"
        if self._closed:
            raise Unreachable(f"{what}: the client is closed")
        try:
            async with asyncio.timeout(self._fake.timeout_s), self._lanes.turn(request.order):
                body = await self._answer(asked)
        except TimeoutError:
            raise Unreachable(f"{what}: no answer within {self._fake.timeout_s:g} s") from None
        except Refused as refused:
            asked.status = refused.status
            raise classify(request.method, request.path, refused.status, refused.message) from None
        asked.status = 200 if body else 204
        return body

    async def _answer(self, asked: Asked) -> bytes:
        fake = self._fake
        if fake.latency_s:
            await asyncio.sleep(fake.latency_s)
        if not fake.up:
            raise Unreachable(f"{asked.what}: connection refused")
        fault = next((f for f in fake.faults if f.times and _fits(f, asked.request)), None)
        if fault is None or fault.runs:
            body = await _carry_out(fake.core, asked.request)
        if fault is not None:
            fault.times -= 1
            if not fault.status:
                await asyncio.get_running_loop().create_future()
            raise Refused(fault.status, fault.message)
        await asyncio.sleep(fake.latency_s)
        return body

    def sessions(self) -> FakeClient:
        """See `Transport.sessions`."""
        return self

    def __aiter__(self) -> FakeClient:
        return self

    async def __anext__(self) -> FakeSession:
        core = self._fake.core
        if self._session is not None:
            if self._session.replaced:
                raise Replaced(f"another engine connected as {self.app}")
            self._end()
            await asyncio.sleep(RECONNECT_S)
        await core.until(lambda: self._fake.up or self._closed, timeout_s=FOREVER_S)
        if self._closed:
            raise StopAsyncIteration
        application = core.application(self.app)
        if application.session is not None and application.session.open:
            core.emit("ApplicationReplaced", {}, to=[self.app])
            application.session.replaced = True
            application.session.end()
        self._session = application.session = FakeSession()
        return self._session

    async def close(self) -> None:
        """End the session; running requests are not waited for."""
        self._closed = True
        self._end()
        self._fake.core.changed()

    def _end(self) -> None:
        application = self._fake.core.application(self.app)
        if self._session is not None:
            self._session.end()
            if application.session is self._session:
                application.session = None


def _fits(fault: Fault, request: Request) -> bool:
    return fnmatchcase(request.method, fault.method) and fnmatchcase(request.path, fault.path)


async def _carry_out(core: Core, request: Request) -> bytes:
    handler, ids = route(request.method, request.path)
    answer = handler(core, Ask(ids, {**request.query, **(request.body or {})}))
    if isinstance(answer, asyncio.Future):
        answer = [answer]
    if isinstance(answer, list) and answer and all(isinstance(part, asyncio.Future) for part in answer):
        for part in answer:
            await asyncio.shield(part)
        return b""
    return b"" if answer is None else json.dumps(answer).encode()
