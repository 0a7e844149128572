"""Applications, their subscriptions, and what happens while nobody is connected."""

from dcx_ari.ari.errors import Conflict, Gone
from dcx_ari.testing import Answers
from tests.contract.world import World, refused


async def an_application_knows_its_channels_and_bridges(world: World) -> None:
    leg = await world.answered()
    bridge = await world.bridge(leg)
    shown = await world.ari.applications.get(world.app)
    assert leg in shown.channel_ids
    assert bridge in shown.bridge_ids
    assert [app.name for app in await world.ari.applications.list() if app.name == world.app] == [world.app]
    async with refused(Gone, status=404):
        await world.ari.applications.get("dcx-nobody")


async def subscriptions_are_checked(world: World) -> None:
    async with refused(Gone, status=422):
        await world.ari.applications.subscribe(world.app, event_source="channel:nobody")
    leg = await world.created()
    async with world.another("dcx-8") as other:
        async with refused(Conflict, status=422):
            await world.ari.applications.unsubscribe("dcx-8", event_source=f"channel:{leg}")
        await world.ari.applications.subscribe("dcx-8", event_source=f"channel:{leg}")
        await world.ari.channels.hangup(leg)
        await other.event("ChannelDestroyed", leg)
        assert "StasisEnd" not in other.kinds(leg)


async def an_event_filter_silences_a_type(world: World) -> None:
    async with world.another("dcx-7") as other:
        await world.ari.applications.filter("dcx-7", filter={"disallowed": [{"type": "ChannelStateChange"}]})
        leg = await world.created()
        await world.ari.applications.subscribe("dcx-7", event_source=f"channel:{leg}")
        await world.ari.channels.dial(leg, timeout_s=5)
        await other.event("Dial ANSWER", leg)
        await world.quiet()
        assert "Up" not in other.kinds(leg)
        assert "Up" in world.kinds(leg)


async def what_happens_while_nobody_is_connected_is_lost(world: World) -> None:
    legs = [world.id("leg"), world.id("leg")]
    async with world.another("dcx-5") as first:
        for leg in legs:
            endpoint = await world.site.endpoint(Answers())
            await world.ari.channels.create(endpoint=endpoint, app="dcx-5", channel_id=leg)
            await first.event("StasisStart", leg)
    await world.quiet()
    await world.ari.channels.hangup(legs[0])
    await world.quiet()
    assert legs[1] in (await world.ari.applications.get("dcx-5")).channel_ids
    async with world.another("dcx-5") as second:
        await world.quiet()
        assert second.events == []
        await world.ari.channels.hangup(legs[1])
        await second.event("ChannelDestroyed", legs[1])
        assert second.kinds(legs[0]) == []
        assert "StasisStart" not in second.kinds(legs[1])


async def an_application_without_channels_is_forgotten(world: World) -> None:
    async with world.another("dcx-ops") as ops:
        async with world.another("dcx-6"):
            await ops.ari.applications.get("dcx-6")
        await world.quiet()
        async with refused(Gone, status=404):
            await ops.ari.applications.get("dcx-6")


async def a_leg_for_an_application_that_is_not_there_dies(world: World) -> None:
    leg = world.id("leg")
    endpoint = await world.site.endpoint(Answers())
    await world.ari.channels.create(endpoint=endpoint, app="dcx-nobody", channel_id=leg)
    await world.quiet()
    async with refused(Gone, status=404):
        await world.ari.channels.get(leg)
