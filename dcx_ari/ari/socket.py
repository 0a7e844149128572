"""One life of the event WebSocket: events out, requests in, answers matched by id."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import msgspec

from dcx_ari.ari.decode import decode_event
from dcx_ari.ari.errors import Unreachable
from dcx_ari.ari.events import ApplicationReplaced, ChannelUserevent
from dcx_ari.ari.transport import Request

log = logging.getLogger(__name__)

# Asterisk drops the connection at 65,536 bytes (AST_WEBSOCKET_MAX_RX_PAYLOAD_SIZE).
MAX_REQUEST_BYTES = 65_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, over whichever way."""

    status: int
    reason: str
    body: bytes


class _Response(msgspec.Struct, tag_field="type", tag="RESTResponse"):
    request_id: str
    status_code: int
    reason_phrase: str = ""
    message_body: str = ""


_RESPONSE = msgspec.json.Decoder(_Response)


def encode_request(request: Request, request_id: str) -> bytes:
    """The text frame for a request; `uri` carries no query, so that values need no encoding."""
    frame: dict[str, object] = {
        "type": "RESTRequest",
        "request_id": request_id,
        "method": request.method,
        "uri": request.path,
    }
    if request.query:
        frame["query_strings"] = [{"name": name, "value": value} for name, value in request.query.items()]
    if request.body is not None:
        frame["content_type"] = "application/json"
        frame["message_body"] = msgspec.json.encode(request.body).decode()
    return msgspec.json.encode(frame)


class Link:
    """An open event socket. It is the `Session` of the seam: iterate it once for the raw events.

    `ended` says why it is over, in words; None while it lives. `replaced` is true where another client
    connected with the name of our application. More than `cap` unread events end it, loudly: the
    engine then starts again from what Asterisk says, which is better than missing events in silence.
    """

    def __init__(self, ws: aiohttp.ClientWebSocketResponse[bool], app: str, *, cap: int) -> None:
        self.ended: str | None = None
        self.replaced = False
        self._ws = ws
        self._app = app
        self._cap = cap
        self._frames: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._pending: dict[str, asyncio.Future[Answer]] = {}
        self._echoes: dict[str, asyncio.Event] = {}
        self._ids = itertools.count(1)
        self._reader = asyncio.create_task(self._read(), name=f"ari events of {app}")

    # ── requests ─────────────────────────────────────────────────────────────────────────────────

    async def ask(self, request: Request) -> Answer | None:
        """The answer, or None where the request is too large for the socket and was not sent.

        Raises `Unreachable` when the socket ends first. The caller bounds the time.
        """
        if self.ended is not None:
            raise Unreachable(f"{request.method} {request.path}: the event socket is down ({self.ended})")
        request_id = str(next(self._ids))
        frame = encode_request(request, request_id)
        if len(frame) > MAX_REQUEST_BYTES:
            return None
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending[request_id] = answer
        try:
            await self._ws.send_frame(frame, aiohttp.WSMsgType.TEXT)
            return await answer
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"{request.method} {request.path}: {error!r}") from None
        finally:
            del self._pending[request_id]
            if answer.done() and not answer.cancelled():
                answer.exception()  # seen, also where the sending failed first

    async def echo(self, send: Callable[[str], Awaitable[object]]) -> None:
        """Until an event that `send` asks Asterisk for by the given name has come over this socket.

        The caller bounds the time: an event that never comes is what this is for.
        """
        name = f"dcx-echo-{next(self._ids)}"
        heard = self._echoes[name] = asyncio.Event()
        try:
            await send(name)
            await heard.wait()
        finally:
            del self._echoes[name]

    # ── events ───────────────────────────────────────────────────────────────────────────────────

    def __aiter__(self) -> Link:
        return self

    async def __anext__(self) -> bytes:
        while not self._frames:
            if self.ended is not None:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._frames.popleft()

    async def close(self, why: str = "closed by us") -> None:
        """End the session and wait until the reader is gone."""
        self._end(why)
        self._reader.cancel()
        await asyncio.wait([self._reader])
        await self._ws.close()

    async def _read(self) -> None:
        """The only reader: it sorts frames and never waits for anybody else."""
        why = "the reader was stopped"
        try:
            async for message in self._ws:
                if message.type is aiohttp.WSMsgType.ERROR:
                    break
                self._take(message.data if isinstance(message.data, bytes) else message.data.encode())
                if self.ended is not None:
                    return
            error = self._ws.exception()
            why = f"Asterisk closed it, code {self._ws.close_code}" if error is None else repr(error)
        finally:
            self._end(why)

    def _take(self, frame: bytes) -> None:
        # Looking for the words first spares decoding each event here and again at its consumer.
        if b'"RESTResponse"' in frame and self._answered(frame):
            return
        if self._echoes and b'"dcx-echo-' in frame and self._echoed(frame):
            return
        self._frames.append(frame)
        self._news.set()
        if b'"ApplicationReplaced"' in frame:
            event = decode_event(frame)
            if isinstance(event, ApplicationReplaced) and event.application == self._app:
                self.replaced = True
                self._end("another client took the name of our application")
        if len(self._frames) > self._cap:
            log.critical("%d unread events of %s: the engine is stuck, ending the session", self._cap, self._app)
            self._end("too many unread events")

    def _answered(self, frame: bytes) -> bool:
        try:
            response = _RESPONSE.decode(frame.decode("utf-8", "replace"))
        except msgspec.DecodeError:
            return False  # an event that happens to hold the word
        answer = self._pending.get(response.request_id)
        if answer is None:
            # Late (its asker gave up), or Asterisk could not read the request and names no id.
            log.debug("an answer %d to nobody (%r)", response.status_code, response.request_id)
        elif not answer.done():
            answer.set_result(Answer(response.status_code, response.reason_phrase, response.message_body.encode()))
        return True

    def _echoed(self, frame: bytes) -> bool:
        event = decode_event(frame)
        heard = self._echoes.get(event.eventname) if isinstance(event, ChannelUserevent) else None
        if heard is not None:
            heard.set()
        return heard is not None

    def _end(self, why: str) -> None:
        if self.ended is not None:
            return
        self.ended = why
        self._news.set()
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(Unreachable(f"the event socket ended before the answer: {why}"))
