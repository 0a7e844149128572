"""WebSocket channels: how they come and go, and what they leave behind."""

import asyncio
from typing import Any

from dcx_ari.ari.errors import BadRequest, Gone, Unreachable
from tests.contract.world import World, refused


async def _made(world: World, media: str, **changes: Any) -> str:
    wanted = {"transport": "websocket", "encapsulation": "none", "connection_type": "server", "format": "slin"}
    made = await world.ari.channels.external_media(
        app=world.app, channel_id=media, external_host="INCOMING", **{**wanted, **changes}
    )
    assert made.state == "Down"
    assert made.channelvars is not None
    assert made.channelvars["MEDIA_WEBSOCKET_OPTIMAL_FRAME_SIZE"] == "320"
    connection = made.channelvars["MEDIA_WEBSOCKET_CONNECTION_ID"]
    assert isinstance(connection, str)
    return connection


async def _listening(world: World) -> tuple[Any, str, str, str, str]:
    """Caller, its snoop, a WebSocket channel that nobody has connected to, a bridge, and the connection's id."""
    caller = await world.caller()
    await world.ari.channels.answer(caller.channel_id)
    snoop, media = world.id("snoop"), world.id("media")
    await world.ari.channels.snoop_channel_with_id(caller.channel_id, snoop, app=world.app, spy="in")
    await world.event("StasisStart", snoop)
    return caller, snoop, media, await world.bridge(), await _made(world, media)


async def a_websocket_channel_comes_when_somebody_connects_and_goes_when_they_leave(world: World) -> None:
    media = world.id("media")
    connection = await _made(world, media)
    await world.quiet()
    assert world.kinds(media) == ["Dial"]
    async with world.site.media(connection):
        await world.event("StasisStart", media)
        assert world.kinds(media) == ["Dial", "Up", "Dial ANSWER", "StasisStart"]
    await world.event("ChannelDestroyed", media)
    assert world.kinds(media)[-3:] == ["ChannelHangupRequest", "StasisEnd", "ChannelDestroyed"]
    async with refused(Gone, status=404):
        await world.ari.channels.get(media)


async def a_websocket_channel_that_nobody_connects_to_can_be_hung_up(world: World) -> None:
    media = world.id("media")
    connection = await _made(world, media)
    await world.ari.channels.hangup(media)
    await world.event("ChannelDestroyed", media)
    async with refused(Unreachable), world.site.media(connection):
        pass


async def nobody_connects_without_the_id(world: World) -> None:
    await _made(world, world.id("media"))
    async with refused(Unreachable), world.site.media("00000000-0000-0000-0000-000000000000"):
        pass


async def a_websocket_channel_that_is_hung_up_ends_its_socket(world: World) -> None:
    caller, snoop, media, bridge, connection = await _listening(world)
    async with world.site.media(connection) as pieces:
        await world.event("StasisStart", media)
        await world.ari.bridges.add_channel(bridge, channel=[snoop, media])
        await world.ari.channels.hangup(media)
        async with asyncio.timeout(8):
            async for piece in pieces:
                assert len(piece) == 320
    await world.event("ChannelDestroyed", media)
    assert (await world.ari.bridges.get(bridge)).channels == [snoop]
    assert (await world.ari.channels.get(caller.channel_id)).state == "Up"


async def a_caller_who_hangs_up_leaves_the_websocket_channel_behind(world: World) -> None:
    caller, snoop, media, bridge, connection = await _listening(world)
    async with world.site.media(connection):
        await world.event("StasisStart", media)
        await world.ari.bridges.add_channel(bridge, channel=[snoop, media])
        await caller.hang_up()
        await world.event("StasisEnd", snoop)
        assert (await world.ari.bridges.get(bridge)).channels == [media]
    await world.event("ChannelDestroyed", media)
    assert (await world.ari.bridges.get(bridge)).channels == []


async def a_websocket_channel_must_be_told_where_from(world: World) -> None:
    async with refused(BadRequest):
        await _made(world, world.id("media"), format="")
