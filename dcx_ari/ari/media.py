"""The audio of a WebSocket channel (chan_websocket, `connection_type=server`): we connect to Asterisk, nobody to us.

The path holds a random id that Asterisk made for this one channel and told only to who made it: it is the secret, since
Asterisk asks for no password here. Closing the socket hangs the channel up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from dcx_ari.ari.encode import segment
from dcx_ari.ari.errors import Unreachable

_CONNECT_S = 5.0
_CLOSE_S = 0.5
_MAX_MESSAGE = 1 << 20


class MediaSockets:
    """`url` is where ARI lives; media is served by the same server beside it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        scheme = {"https": "wss"}.get(parts.scheme, "ws")
        self._base = f"{scheme}://{parts.netloc}/media"

    @asynccontextmanager
    async def open(self, connection: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The audio, in pieces of about 20 ms, until the channel ends; it has to be read. Raises `Unreachable`."""
        url = URL(f"{self._base}/{segment(connection)}", encoded=True)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.ws_connect(
                    url,
                    protocols=("media",),
                    max_msg_size=_MAX_MESSAGE,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
                ) as ws,
            ):
                yield _pieces(ws)
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"media socket: {error or type(error).__name__}") from None


async def _pieces(ws: aiohttp.ClientWebSocketResponse) -> AsyncIterator[bytes]:
    """What is text says how the channel is; some audio may come before the first of it."""
    async for message in ws:
        if message.type is aiohttp.WSMsgType.BINARY:
            yield message.data
