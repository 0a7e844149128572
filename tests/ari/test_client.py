"""The ARI client on a real Asterisk: what it says, what blocks there, what becomes of a lost socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from dcx_ari.ari.client import AriClient
from dcx_ari.ari.errors import (
    AccessDenied,
    AriError,
    BadRequest,
    Conflict,
    EndpointUnavailable,
    Gone,
    NotInStasis,
    NotSet,
    Replaced,
    Unreachable,
)
from dcx_ari.ari.events import (
    ChannelDestroyed,
    ChannelEnteredBridge,
    ChannelVarset,
    PlaybackFinished,
    PlaybackStarted,
    StasisStart,
    UnknownEvent,
)
from dcx_ari.ari.resources import Ari
from dcx_ari.ari.transport import Request
from dcx_asterisk.process import Asterisk
from tests.ari.line import Line, open_line

pytestmark = pytest.mark.ari

LONG = "sound:demo-congrats"  # half a minute


async def test_a_call_of_two_legs_from_create_to_destroyed(line: Line) -> None:
    ari = line.ari
    await line.leg("two.a", "tone")
    await line.leg("two.b", "echo")
    await ari.bridges.create(
        bridge_id="two.bridge", type="mixing", variables={"CALL": {"value": "two", "report_events": True}}
    )
    await ari.bridges.add_channel("two.bridge", channel=["two.a", "two.b"])
    entered = await line.heard(ChannelEnteredBridge, lambda event: len(event.bridge.channels) == 2)
    assert entered.bridge.bridgevars == {"CALL": "two"}
    assert {one.id for one in await ari.channels.list()} >= {"two.a", "two.b"}
    await ari.channels.hangup("two.a", reason_code="16")
    gone = await line.heard(ChannelDestroyed, lambda event: event.channel.id == "two.a")
    assert gone.cause == 16
    await ari.channels.hangup("two.b")
    await ari.bridges.destroy("two.bridge")
    assert not [event for event in line.events if isinstance(event, UnknownEvent | ChannelVarset)]


async def test_values_arrive_as_they_were_sent_over_both_ways(line: Line) -> None:
    channels = line.ari.channels
    await line.leg("values.a/b ü")
    for value in ("a b+c&d=é%20?#/", "", "x" * 30_000):
        await channels.set_channel_var("values.a/b ü", variable="V", value=value)
        if value:
            assert (await channels.get_channel_var("values.a/b ü", variable="V")).value == value
            blocking = Request("GET", "channels/values.a%2Fb%20%C3%BC/variable", {"variable": "V"}, blocking=True)
            assert await line.client.request(blocking)
    await channels.set_channel_vars("values.a/b ü", variables={"NAME": {"value": "José", "report_events": True}})
    channel = await channels.get("values.a/b ü")
    assert channel.channelvars == {"NAME": "José"}


async def test_an_answer_longer_than_a_websocket_frame_of_64_kb(line: Line) -> None:
    await line.leg("long")
    for number in range(4):
        await line.ari.channels.set_channel_vars(
            "long", variables={f"V{number}": {"value": "y" * 30_000, "report_events": True}}
        )
    channel = await line.ari.channels.get("long")
    assert channel.channelvars is not None
    assert sum(len(value) for value in channel.channelvars.values()) == 120_000


async def refused(asked: Awaitable[object]) -> type[AriError]:
    with pytest.raises(AriError) as caught:
        await asked
    return type(caught.value)


async def test_what_asterisk_refuses_has_its_own_error(line: Line) -> None:
    channels, bridges = line.ari.channels, line.ari.bridges
    await line.leg("known", "tone")
    await bridges.create(bridge_id="known.bridge")
    nobody = channels.create(endpoint="PJSIP/nobody", app=line.app, channel_id="fresh")
    assert await refused(nobody) is EndpointUnavailable
    # A clash of channel ids is not tried: after one, 22.10.1 cannot be stopped but by kill -9.
    assert await refused(bridges.create(bridge_id="known.bridge")) is Conflict
    assert await refused(channels.dial("known")) is Conflict
    assert await refused(channels.get("gone")) is Gone
    assert await refused(channels.answer("gone")) is Gone
    assert await refused(bridges.add_channel("known.bridge", channel="gone")) is Gone
    assert await refused(bridges.add_channel("gone", channel="known")) is Gone
    assert await refused(bridges.add_channel("known.bridge", channel="known.far")) is NotInStasis
    assert await refused(bridges.remove_channel("known.bridge", channel="known")) is Conflict
    assert await refused(channels.play("known.far", media=LONG)) is NotInStasis
    assert await refused(line.ari.playbacks.stop("gone")) is Gone
    assert await refused(channels.get_channel_var("known", variable="NEVER_SET")) is NotSet
    assert await refused(channels.get_channel_var("known", variable="SHELL(id)")) is BadRequest
    assert await refused(channels.hangup("known", reason="weariness")) is BadRequest


async def test_dialling_before_stasis_start_is_told_apart(line: Line) -> None:
    errors: list[type[AriError]] = []
    for number in range(20):
        channel = f"early.{number}"
        await line.ari.channels.create(endpoint="Local/ring@far/n", app=line.app, channel_id=channel)
        try:
            await line.ari.channels.dial(channel)
        except AriError as error:
            errors.append(type(error))
        await line.heard(StasisStart, lambda event, channel=channel: event.channel.id == channel)  # type: ignore[misc]
        await line.ari.channels.hangup(channel)
    assert set(errors) <= {NotInStasis}


Ask = Callable[[Ari, str], Awaitable[object]]

BLOCKING: dict[str, Ask] = {
    "answer": lambda ari, stuck: ari.channels.answer(stuck),
    "addChannel": lambda ari, stuck: ari.bridges.add_channel(f"{stuck}.bridge", channel=stuck),
    "set variable": lambda ari, stuck: ari.channels.set_channel_var(stuck, variable="V", value="1"),
    "set variables": lambda ari, stuck: ari.channels.set_channel_vars(stuck, variables={"V": "1"}),
}
QUICK: dict[str, Ask] = {
    "ring": lambda ari, stuck: ari.channels.ring(stuck),
    "ring stop": lambda ari, stuck: ari.channels.ring_stop(stuck),
    "dtmf": lambda ari, stuck: ari.channels.send_dtmf(stuck, dtmf="1"),
    "mute": lambda ari, stuck: ari.channels.mute(stuck),
    "unmute": lambda ari, stuck: ari.channels.unmute(stuck),
    "hold": lambda ari, stuck: ari.channels.hold(stuck),
    "unhold": lambda ari, stuck: ari.channels.unhold(stuck),
    "moh": lambda ari, stuck: ari.channels.start_moh(stuck),
    "moh stop": lambda ari, stuck: ari.channels.stop_moh(stuck),
    "silence": lambda ari, stuck: ari.channels.start_silence(stuck),
    "silence stop": lambda ari, stuck: ari.channels.stop_silence(stuck),
    "get variable": lambda ari, stuck: ari.channels.get_channel_var(stuck, variable="CHANNEL(state)"),
    "get": lambda ari, stuck: ari.channels.get(stuck),
    "list": lambda ari, _: ari.channels.list(),
    "snoop": lambda ari, stuck: ari.channels.snoop_channel(
        stuck, app="client-test", spy="both", snoop_id=f"{stuck}.snoop"
    ),
    "play": lambda ari, stuck: ari.channels.play(stuck, media="sound:beep", playback_id=f"{stuck}.second"),
    "play stop": lambda ari, stuck: ari.playbacks.stop(f"{stuck}.second"),
    "bridge play": lambda ari, stuck: ari.bridges.play(f"{stuck}.bridge", media="sound:beep"),
    "bridge destroy": lambda ari, stuck: ari.bridges.destroy(f"{stuck}.bridge"),
    "move": lambda ari, stuck: ari.channels.move(stuck, app="client-test"),
}


async def play_long(line: Line, stuck: str) -> None:
    """A new channel amid a long playback, and a bridge for it."""
    await line.leg(stuck)
    await line.ari.bridges.create(bridge_id=f"{stuck}.bridge")
    await line.ari.channels.play(stuck, media=LONG, playback_id=f"{stuck}.play")
    await line.heard(PlaybackStarted, lambda event: event.playback.id == f"{stuck}.play")


@pytest.mark.parametrize("name", BLOCKING)
async def test_what_blocks_behind_a_playback_does_not_hold_up_the_event_socket(line: Line, name: str) -> None:
    stuck = f"stuck {name}"
    await play_long(line, stuck)
    asking = asyncio.ensure_future(BLOCKING[name](line.ari, stuck))
    await line.leg(f"beside {name}")  # creates, dials, hears events: over the socket, on another channel
    assert not asking.done(), f"{name} does not block: it need not take the HTTP pool"
    await line.ari.playbacks.stop(f"{stuck}.play")
    async with asyncio.timeout(5):
        await asking


async def test_what_goes_over_the_event_socket_never_waits_for_a_playback(line: Line) -> None:
    await play_long(line, "quick")
    for name, ask in QUICK.items():
        try:
            async with asyncio.timeout(2):
                await ask(line.ari, "quick")
        except TimeoutError:
            pytest.fail(f"{name} waits behind a playback: it must be marked as blocking")
    finished = [event for event in line.events if isinstance(event, PlaybackFinished)]
    assert "quick.play" not in [event.playback.id for event in finished]


async def test_a_hangup_frees_what_is_stuck_on_its_channel(line: Line) -> None:
    await play_long(line, "freed")
    asking = asyncio.ensure_future(line.ari.bridges.add_channel("freed.bridge", channel="freed"))
    await line.leg("beside freed")
    assert not asking.done()
    await line.ari.channels.hangup("freed")
    async with asyncio.timeout(5):
        await asyncio.wait([asking])
        await line.heard(ChannelDestroyed, lambda event: event.channel.id == "freed")


async def test_a_lost_socket_costs_events_but_neither_channels_nor_the_application(line: Line) -> None:
    await line.leg("kept")
    link = line.client._link
    assert link is not None
    transport = link._ws.get_extra_info("socket")
    transport.shutdown(2)  # as if the network had gone
    await line.connected(times=2)
    await line.ari.channels.hangup("kept", reason_code="17")
    gone = await line.heard(ChannelDestroyed, lambda event: event.channel.id == "kept")
    assert gone.cause == 17
    assert await line.client.ping() > 0


async def test_requests_work_without_a_session(asterisk: Asterisk) -> None:
    client = AriClient(asterisk.ari_url, asterisk.ari_user, asterisk.ari_password, "never-connected")
    try:
        assert (await Ari(client).asterisk.ping()).ping == "pong"
        with pytest.raises(Unreachable):
            await client.ping()
    finally:
        await client.close()


async def test_a_second_engine_under_one_name_stops_the_first(asterisk: Asterisk, line: Line) -> None:
    first = AriClient(asterisk.ari_url, asterisk.ari_user, asterisk.ari_password, "taken")
    sessions = first.sessions()
    session = await anext(sessions)
    async with open_line(asterisk, "taken") as second:
        async for _ in session:
            pass
        with pytest.raises(Replaced):
            await anext(sessions)
        await first.close()
        await second.client.ping()  # closing the loser takes nothing from the winner
        await second.leg("taken.leg")


async def test_a_wrong_password_is_fatal(asterisk: Asterisk) -> None:
    client = AriClient(asterisk.ari_url, asterisk.ari_user, "wrong", "refused")
    with pytest.raises(AccessDenied):
        await anext(client.sessions())
    await client.close()


async def test_what_is_noisy_is_not_sent_and_answers_still_are(line: Line) -> None:
    application = await line.ari.applications.get(line.app)
    assert {"type": "ChannelVarset"} in application.events_disallowed
    assert application.events_allowed == []
