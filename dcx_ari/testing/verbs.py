"""The operations on one channel."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from dcx_ari.testing import playbacks, recordings
from dcx_ari.testing.causes import REASONS
from dcx_ari.testing.channels import Channel
from dcx_ari.testing.dialling import set_variable as assign
from dcx_ari.testing.dialling import set_variables as assign_all
from dcx_ari.testing.wire import Ask, Refused

if TYPE_CHECKING:
    from dcx_ari.testing.core import Core

DIRECTIONS = frozenset({"in", "out", "both"})
DTMF = frozenset("0123456789*#ABCDabcdw")
DANGEROUS = frozenset({"SHELL", "DB", "FILE", "CURL", "ENV", "SYSTEM"})


def get(core: Core, ask: Ask) -> dict[str, Any]:
    return core.channel(ask.id).to_json()


def list_all(core: Core, _: Ask) -> list[dict[str, Any]]:
    return [channel.to_json() for channel in core.channels.values()]


def hang_up(core: Core, ask: Ask) -> None:
    channel = core.channel(ask.id)
    reason, code = ask.text("reason"), ask.text("reason_code")
    if reason and code:
        raise Refused(400, "The reason and reason_code query parameters are mutually exclusive")
    if reason and reason not in REASONS:
        raise Refused(400, "Invalid Reason Provided")
    cause = REASONS[reason] if reason else int(ask.number("reason_code", 16))
    channel.hang_up(cause, soft=True)


def answer(core: Core, ask: Ask) -> asyncio.Future[None]:
    channel = core.stasis_channel(ask.id)

    def up() -> None:
        if channel.state == "Up":
            return
        if channel.gone:
            raise Refused(500, "Failed to answer channel")
        channel.set_state("Up")

    return channel.control.join(up)


def ring(core: Core, ask: Ask) -> None:
    _flag(core.stasis_channel(ask.id), "ringing", value=True)


def stop_ring(core: Core, ask: Ask) -> None:
    _flag(core.stasis_channel(ask.id), "ringing", value=False)


def progress(core: Core, ask: Ask) -> None:
    _flag(core.stasis_channel(ask.id), "progressed", value=True)


def hold(core: Core, ask: Ask) -> None:
    _flag(core.stasis_channel(ask.id), "held", value=True)


def unhold(core: Core, ask: Ask) -> None:
    _flag(core.stasis_channel(ask.id), "held", value=False)


def start_moh(core: Core, ask: Ask) -> None:
    _flag(core.stasis_channel(ask.id), "moh", value=ask.text("mohClass") or "default")


def stop_moh(core: Core, ask: Ask) -> None:
    _flag(core.stasis_channel(ask.id), "moh", value=None)


def silence(core: Core, ask: Ask) -> None:
    core.stasis_channel(ask.id)


def _flag(channel: Channel, name: str, *, value: object) -> None:
    def set_it() -> None:
        setattr(channel, name, value)
        channel.heard_changed()

    channel.control.post(set_it)


def mute(core: Core, ask: Ask) -> None:
    _mute(core, ask, muted=True)


def unmute(core: Core, ask: Ask) -> None:
    _mute(core, ask, muted=False)


def _mute(core: Core, ask: Ask, *, muted: bool) -> None:
    channel = core.stasis_channel(ask.id)
    direction = ask.need("direction", "Direction is required")
    if direction not in DIRECTIONS:
        raise Refused(400, "Invalid direction specified")
    if direction in ("in", "both"):
        channel.muted_in = muted
    if direction in ("out", "both"):
        channel.muted_out = muted
    channel.heard_changed()


def send_digits(core: Core, ask: Ask) -> None:
    """Digits to the far end; what is no digit is left out without a word, as in Asterisk."""
    channel = core.stasis_channel(ask.id)
    digits = [digit for digit in ask.need("dtmf", "DTMF is required") if digit in DTMF]

    def send() -> None:
        if channel.party is not None and not channel.gone:
            channel.party.digits += digits
        channel.core.changed()

    channel.control.post(send)


def play(core: Core, ask: Ask) -> dict[str, Any]:
    channel = core.stasis_channel(ask.id)
    return playbacks.play(core, channel, ask, ask.ids[1] if len(ask.ids) > 1 else ask.text("playbackId"))


def record(core: Core, ask: Ask) -> dict[str, Any]:
    return recordings.start(core, core.stasis_channel(ask.id), ask)


def get_variable(core: Core, ask: Ask) -> dict[str, Any]:
    channel = core.channel(ask.id)
    name = ask.need("variable", "Variable name is required")
    return {"value": _read(channel, name)}


def _read(channel: Channel, name: str) -> str:
    function, is_function, argument = name.partition("(")
    if function in DANGEROUS and is_function:
        raise Refused(500, "Unable to read provided function")
    known = {
        "CHANNEL(state)": channel.state,
        "CHANNEL(name)": channel.name,
        "CALLERID(num)": channel.caller[1],
        "CALLERID(name)": channel.caller[0],
        "UNIQUEID": channel.id,
        "EXTEN": channel.exten,
    }
    if name in known:
        return known[name]
    if name in channel.variables:
        return channel.variables[name]
    if function == "PJSIP_HEADER":
        header = argument.rstrip(")").partition(",")[2].lower()
        for name, value in channel.headers.items():
            if name.lower() == header:
                return value
        raise Refused(500, "Unable to read provided function")
    raise Refused(404, "Provided variable was not found")


def set_variable(core: Core, ask: Ask) -> asyncio.Future[None]:
    channel = core.stasis_channel(ask.id)
    name = ask.need("variable", "Variable name is required")
    value, report = ask.text("value"), ask.flag("report_events")
    return channel.control.join(lambda: assign(channel, name, value, report=report))


def get_variables(core: Core, ask: Ask) -> dict[str, Any]:
    channel = core.channel(ask.id)
    names = ask.many("variables")
    if not names:
        raise Refused(400, "At least one variable name is required")
    return {"variables": {name: _read(channel, name) for name in names}}


def set_variables(core: Core, ask: Ask) -> asyncio.Future[None]:
    channel = core.stasis_channel(ask.id)
    if not isinstance(ask.args.get("variables"), dict):
        raise Refused(400, "The 'variables' field must be a JSON object")
    return channel.control.join(lambda: assign_all(channel, ask))


def go_on(core: Core, ask: Ask) -> None:
    """`continue`: back to the dialplan, which here is `core.dialplan`."""
    channel = core.stasis_channel(ask.id)
    if channel.state == "Down":
        raise Refused(412, "Channel in invalid state")
    context = ask.text("context") or channel.context
    exten = ask.text("extension") or channel.exten

    def leave() -> None:
        if channel.gone:
            return
        if channel.bridge is not None:
            channel.bridge.leave(channel)
        channel.leave()
        channel.context, channel.exten, channel.app_data = context, exten, ""
        core.dialplan(channel)

    channel.control.post(leave)


def move(core: Core, ask: Ask) -> None:
    channel = core.stasis_channel(ask.id)
    app = ask.need("app", "Application is required")
    args = ask.text("appArgs").split(",") if ask.text("appArgs") else []

    def go() -> None:
        old = channel.app
        target = core.applications.get(app)
        if channel.gone or old is None:
            return
        if target is None or not target.active:
            event = {"channel": channel.to_json(), "destination": app, "args": args}
            core.emit("ApplicationMoveFailed", event, to=[old])
            return
        channel.leave()
        channel.enter(app, args)

    channel.control.post(go)


def redirect(core: Core, ask: Ask) -> None:
    channel = core.stasis_channel(ask.id)
    endpoint = ask.need("endpoint", "Required parameter 'endpoint' not provided.")
    if endpoint.partition("/")[0] != channel.name.partition("/")[0]:
        raise Refused(422, "Endpoint technology does not match channel technology")
    channel.redirected_to = endpoint


def statistics(core: Core, ask: Ask) -> dict[str, Any]:
    channel = core.channel(ask.id)
    if not channel.name.startswith("PJSIP/"):
        raise Refused(403, "Unsupported channel type")
    zeros = dict.fromkeys(("txcount", "rxcount", "txploss", "rxploss", "txoctetcount", "rxoctetcount"), 0)
    return {**zeros, "local_ssrc": 1, "remote_ssrc": 2, "channel_uniqueid": channel.id}


def snoop(core: Core, ask: Ask) -> dict[str, Any]:
    if (target := core.channels.get(ask.id)) is None:
        raise Refused(404, "Provided channel was not found")
    spy, whisper = ask.text("spy", "none"), ask.text("whisper", "none")
    for direction in (spy, whisper):
        if direction not in DIRECTIONS | {"none"}:
            raise Refused(400, "Invalid direction specified")
    if spy == whisper == "none":
        raise Refused(400, "Direction must be specified for at least spy or whisper")
    app = ask.need("app", "Application name is required")
    snoop_id = ask.ids[1] if len(ask.ids) > 1 else ask.text("snoopId") or core.new_id()
    if snoop_id in core.channels:
        raise Refused(500, "Snoop channel could not be created")
    name = f"Snoop/{target.id}-{core.serial():08x}"
    channel = Channel(core, snoop_id, name, state="Up", creationtime=core.timestamp(), spied=target)
    channel.spies, channel.whispers = spy, whisper
    target.snoops.append(channel)
    core.channels[snoop_id] = channel
    args = ask.text("appArgs").split(",") if ask.text("appArgs") else []
    core.later(core.setup_s, channel.enter, app, args)
    return channel.to_json()
