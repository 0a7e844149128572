"""WebSocket channels (`channels/externalMedia`): somebody outside reads what is said in their bridge.

What people say is text here: a piece of audio is what one of them said, as UTF-8.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from dcx_ari.ari.errors import Unreachable
from dcx_ari.testing.channels import Channel
from dcx_ari.testing.dialling import set_variables
from dcx_ari.testing.wire import Ask, Refused

if TYPE_CHECKING:
    from dcx_ari.testing.core import Core
    from dcx_ari.testing.parties import Party

CONNECTION = "MEDIA_WEBSOCKET_CONNECTION_ID"
FRAME = "MEDIA_WEBSOCKET_OPTIMAL_FRAME_SIZE"
SIZES = {"slin": "320", "slin16": "640", "ulaw": "160", "alaw": "160"}


class Sockets:
    """The channels that wait for somebody to connect, and what was said to those who have."""

    def __init__(self) -> None:
        self.waiting: dict[str, tuple[Channel, str]] = {}
        self.open: dict[str, asyncio.Queue[bytes | None]] = {}

    def say(self, party: Party, words: str) -> None:
        """Somebody says something: to all who listen to that channel."""
        for snoop in party.channel.snoops:
            if snoop.spies not in ("in", "both") or snoop.bridge is None:
                continue
            for member in snoop.bridge.members:
                if member.id in self.open:
                    self.open[member.id].put_nowait(words.encode())

    @asynccontextmanager
    async def connect(self, connection: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """As `MediaSockets.open`. Nothing comes into the application before. Raises `Unreachable`."""
        channel, app = self.waiting.pop(connection, (None, ""))
        if channel is None or channel.gone:
            raise Unreachable("media socket: 404, no such connection")
        inbox = self.open[channel.id] = asyncio.Queue()
        channel.at_end.append(lambda: inbox.put_nowait(None))
        channel.set_state("Up")
        channel.dial_event("ANSWER", "INCOMING")
        channel.enter(app, [])
        try:
            yield _read(inbox)
        finally:
            self.open.pop(channel.id, None)
            channel.hang_up(16, soft=False)


async def _read(inbox: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    while (piece := await inbox.get()) is not None:
        yield piece


def external_media(core: Core, ask: Ask) -> dict[str, Any]:
    app = ask.need("app", "app is required")
    kind = ask.need("format", "format is required")
    host, transport = ask.text("external_host"), ask.text("transport")
    if transport != "websocket" or ask.text("encapsulation") != "none" or ask.text("connection_type") != "server":
        raise Refused(501, "The fake knows WebSocket servers only")
    if host != "INCOMING":
        raise Refused(400, "external_host must be 'INCOMING' for server connections")
    if kind not in SIZES:
        raise Refused(422, "Provided format (s) was not found")
    channel_id = ask.text("channelId") or core.new_id()
    if channel_id in core.channels:
        raise Refused(409, "Channel with given unique ID already exists")
    name = f"WebSocket/INCOMING/0x{core.serial():012x}"
    channel = Channel(core, channel_id, name, creationtime=core.timestamp())
    set_variables(channel, ask)
    connection = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{channel_id} {core.serial()}"))
    channel.variables |= {CONNECTION: connection, FRAME: SIZES[kind]}
    channel.reported |= {CONNECTION, FRAME}
    core.channels[channel_id] = channel
    core.application(app).channels[channel_id] += 1
    core.media_sockets.waiting[connection] = (channel, app)
    channel.dial_event("", "INCOMING")
    return channel.to_json()
