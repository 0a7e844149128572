"""The real `Transport`: a WebSocket for events and quick requests, an HTTP pool for those that can block."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import aiohttp
import msgspec

from dcx_ari.ari.encode import segment
from dcx_ari.ari.errors import (
    AccessDenied,
    AriError,
    EndpointUnavailable,
    Gone,
    Replaced,
    Unreachable,
    classify,
)
from dcx_ari.ari.lanes import Lanes
from dcx_ari.ari.pool import CONNECT_S, Pool
from dcx_ari.ari.socket import Answer, Link
from dcx_ari.ari.transport import Request, Session

log = logging.getLogger(__name__)

# Events by the dozen per call that nobody here reads. A list of what is disallowed, not of what is
# allowed: Asterisk applies the latter to the answers of requests over the socket as well.
QUIET = ("ChannelCallerId", "ChannelConnectedLine", "ChannelDialplan", "ChannelVarset", "DeviceStateChanged")

HEARTBEAT_S = 10.0
ECHO_S = 5.0  # for an event to come back over the socket
UNREAD_EVENTS = 50_000  # some 75 MB
BACKOFF_S = (0.1, 10.0)
STEADY_S = 5.0  # a session that lived this long ends the back-off


def backoff_s(failures: int, draw: float) -> float:
    """Seconds to wait before the next attempt, `draw` in [0, 1): doubling, half of it jitter.

    >>> backoff_s(0, 0.0), backoff_s(3, 0.5), backoff_s(50, 0.0)
    (0.05, 0.6, 5.0)
    """
    first, most = BACKOFF_S
    full = min(most, first * 2.0 ** min(failures, 30))
    return full * (0.5 + draw / 2)


def fatal(error: Exception) -> AriError | None:
    """The error to raise where connecting again cannot help, None where it may."""
    if isinstance(error, aiohttp.WSServerHandshakeError) and error.status in (401, 403):
        return AccessDenied(
            f"Asterisk refuses our ARI user ({error.status}): compare user and password with ari.conf",
            status=error.status,
        )
    return None


class AriClient:
    """One application of one Asterisk.

    `url` is where ARI lives (`http://127.0.0.1:8088/ari`), `app` the name that the dialplan's Stasis()
    uses. `timeout_s` bounds each request as a whole, with its wait for earlier ones on the same channel.
    `quiet` names the event types that Asterisk shall not send.
    """

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        app: str,
        *,
        timeout_s: float = 10.0,
        heartbeat_s: float = HEARTBEAT_S,
        echo_s: float = ECHO_S,
        quiet: Sequence[str] = QUIET,
        unread_events: int = UNREAD_EVENTS,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.app = app
        self._pool = Pool(url, user, password)
        self._timeout_s = timeout_s
        self._heartbeat_s = heartbeat_s
        self._echo_s = echo_s
        self._quiet = tuple(quiet)
        self._unread_events = unread_events
        self._draw = draw
        self._lanes = Lanes()
        self._link: Link | None = None
        self._closed = asyncio.Event()
        self._failures = -1  # nothing tried yet: the first attempt does not wait
        self._connected_at = 0.0

    @property
    def connected(self) -> bool:
        """Whether events can arrive now."""
        return self._link is not None and self._link.ended is None

    # ── requests ─────────────────────────────────────────────────────────────────────────────────

    async def request(self, request: Request) -> bytes:
        """See `Transport.request`."""
        try:
            async with asyncio.timeout(self._timeout_s), self._lanes.turn(request.order):
                answer = await self._send(request)
        except TimeoutError:
            raise Unreachable(f"{request.method} {request.path}: no answer within {self._timeout_s:g} s") from None
        if 200 <= answer.status < 300:
            return answer.body
        raise await self._refusal(request, answer)

    async def ping(self) -> float:
        """Seconds until an event asked for over HTTP has come back over the socket: the whole way of an event.

        An open socket says little: Asterisk can hold a socket of ours and still have forgotten our application,
        or have taken it from us. Raises `Gone` or `Unreachable`.
        """
        link = self._link
        if link is None or link.ended is not None:
            raise Unreachable("the event socket is down")
        started = time.monotonic()
        await self._echo(link)
        return time.monotonic() - started

    async def watch(self, every_s: float = 5.0) -> None:
        """Until `close`: end a session over which events do not come (any more), so that the next one begins.
        For a task of the owner's."""
        while not self._closed.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await self._closed.wait()
            link = self._link
            if link is None or link.ended is not None:
                continue
            try:
                await self.ping()
            except AriError as error:
                log.error("ending the session of %s: %s", self.app, error)
                await link.close(f"no sign of life: {error}")

    async def _refusal(self, request: Request, answer: Answer) -> AriError:
        words = _words(answer)
        if answer.status == 409 and "unique id already exists" in words.lower():
            # After one clash, 22.10.1 says this of every endpoint that cannot be dialled, as long as the
            # thread that serves our socket lives (its ast_channel_errno is stale).
            ids = [request.query[name] for name in ("channelId", "otherChannelId") if name in request.query]
            if ids and not any([await self._exists(channel_id) for channel_id in ids]):
                return EndpointUnavailable(f"{request.method} {request.path}: not {words!r}", status=409)
        return classify(request.method, request.path, answer.status, words)

    async def _exists(self, channel_id: str) -> bool:
        try:
            await self.request(Request("GET", f"channels/{segment(channel_id)}"))
        except Gone:
            return False
        return True

    async def _send(self, request: Request) -> Answer:
        link = self._link
        if link is not None and link.ended is None and not request.blocking:
            answer = await link.ask(request)
            if answer is not None:
                return answer
        return await self._pool.ask(request)

    # ── sessions ─────────────────────────────────────────────────────────────────────────────────

    def sessions(self) -> Sessions:
        """See `Transport.sessions`. Ends after `close`; raises `AccessDenied` or `Replaced`."""
        return Sessions(self._next_session)

    async def _next_session(self) -> Link | None:
        """The next session, waiting as long as it takes; None once the client is closed."""
        await self._leave()
        while await self._pause():
            try:
                link = await self._connect()
            except (aiohttp.ClientError, AriError, OSError) as error:  # TimeoutError is an OSError
                if (reason := fatal(error)) is not None:
                    raise reason from error
                self._failures += 1
                log.warning("Asterisk at %s cannot be reached: %r", self._pool.url, error)
                continue
            if self._closed.is_set():  # while we connected
                await link.close()
                break
            self._link, self._connected_at = link, time.monotonic()
            log.info("connected to Asterisk at %s as %s", self._pool.url, self.app)
            return link
        return None

    async def _leave(self) -> None:
        """Close what is left of the former session and decide how long to wait for the next."""
        link, self._link = self._link, None
        if link is None:
            return
        await link.close()
        log.warning("the session of %s ended: %s", self.app, link.ended)
        if link.replaced:
            raise Replaced(f"another engine connected to Asterisk as {self.app}: only one can run under a name")
        steady = time.monotonic() - self._connected_at >= STEADY_S
        self._failures = 0 if steady else self._failures + 1

    async def _pause(self) -> bool:
        """Wait before an attempt; False once the client is closed."""
        if self._failures < 0:
            self._failures = 0
            return not self._closed.is_set()
        try:
            async with asyncio.timeout(backoff_s(self._failures, self._draw())):
                await self._closed.wait()
        except TimeoutError:
            return True
        return False

    async def _connect(self) -> Link:
        async with asyncio.timeout(CONNECT_S + self._echo_s):
            ws = await self._pool.events(self.app, self._heartbeat_s)
            link = Link(ws, self.app, cap=self._unread_events)
            try:
                await self._silence()
                await self._echo(link)
            except BaseException:
                await link.close()
                raise
            return link

    async def _silence(self) -> None:
        """Set the event filter. By HTTP: 22.10.1 can forget an application that connects in the instant in
        which its last old channel ends; the socket is then open, and neither events nor answers come."""
        refused = {"disallowed": [{"type": name} for name in self._quiet]}
        request = Request("PUT", f"applications/{segment(self.app)}/eventFilter", body=refused)
        answer = await self._pool.ask(request)
        if answer.status != 200:
            raise classify(request.method, request.path, answer.status, _words(answer))

    async def _echo(self, link: Link) -> None:
        """`Unreachable` where an event does not come over this socket.

        A socket that was closed a moment ago, with the name of our application, can take the application along
        when Asterisk gets round to it (1 of 400 at once reconnecting clients on a busy machine, 22.10.1)."""

        async def send(name: str) -> None:
            answer = await self._pool.ask(Request("POST", f"events/user/{name}", {"application": self.app}))
            if answer.status >= 300:
                raise classify("POST", "events/user", answer.status, _words(answer))

        try:
            async with asyncio.timeout(self._echo_s):
                await link.echo(send)
        except TimeoutError:
            raise Unreachable(f"no event came over the socket within {self._echo_s:g} s") from None

    async def close(self) -> None:
        """End the session and the pool; running requests fail with `Unreachable`."""
        self._closed.set()
        link, self._link = self._link, None
        if link is not None:
            await link.close()
        await self._pool.close()


class Sessions:
    """The endless iterator behind `AriClient.sessions`.

    A class and no generator: a generator left half-way by a cancelled task would hold its socket until
    the garbage collector comes.
    """

    def __init__(self, following: Callable[[], Awaitable[Link | None]]) -> None:
        self._following = following

    def __aiter__(self) -> Sessions:
        return self

    async def __anext__(self) -> Session:
        link = await self._following()
        if link is None:
            raise StopAsyncIteration
        return link


def _words(answer: Answer) -> str:
    """Asterisk's reason: `message` or `error` of the body, else the reason phrase."""
    try:
        fields = msgspec.json.decode(answer.body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return answer.reason
    return str(fields.get("message") or fields.get("error") or answer.reason)
