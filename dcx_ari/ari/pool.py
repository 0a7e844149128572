"""ARI over plain HTTP: the way for requests that can block, and for all while the event socket is down."""

from __future__ import annotations

import base64
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from yarl import URL

from dcx_ari.ari.encode import segment
from dcx_ari.ari.errors import Unreachable
from dcx_ari.ari.socket import Answer
from dcx_ari.ari.transport import Request

LIMIT = 64
KEEPALIVE_S = 30.0  # below Asterisk's session_keep_alive (60 s in our http.conf): we close first
CONNECT_S = 10.0
MAX_TARGET_BYTES = 3_500  # Asterisk refuses a request line of more than 4,096 bytes
MAX_EVENT_BYTES = 64 << 20


class Pool:
    """Kept-alive connections to one Asterisk, opened as needed."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def ask(self, request: Request) -> Answer:
        """The answer, whatever its status; `Unreachable` where there is none. The caller bounds the time."""
        query, members = request.query, request.body
        target = f"{self.url}/{request.path}"
        if query:
            whole = f"{target}?{urlencode(query, quote_via=quote)}"
            if len(whole) > MAX_TARGET_BYTES and request.method != "GET":
                members = {**query, **(members or {})}  # Asterisk takes parameters from a JSON body, too
            else:
                target = whole
        body = None if members is None else msgspec.json.encode(members)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            async with self._open().request(
                request.method, URL(target, encoded=True), data=body, headers=headers
            ) as response:
                return Answer(response.status, response.reason or "", await response.read())
        except aiohttp.ClientError as error:
            raise Unreachable(f"{request.method} {request.path}: {error!r}") from None

    async def events(self, app: str, heartbeat_s: float) -> aiohttp.ClientWebSocketResponse[bool]:
        """An open event socket of `app`; aiohttp's errors are the caller's to judge."""
        return await self._open().ws_connect(
            URL(f"{self.url}/events?app={segment(app)}", encoded=True),
            heartbeat=heartbeat_s,
            max_msg_size=MAX_EVENT_BYTES,
            decode_text=False,  # text that is not UTF-8 must not end the session
            timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
        )

    async def close(self) -> None:
        """Running requests fail with `Unreachable`, and so does every later one."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise Unreachable("the ARI client is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=LIMIT, keepalive_timeout=KEEPALIVE_S),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                headers=self._headers,
            )
        return self._session
