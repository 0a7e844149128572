"""Creating, dialling and originating legs, and calls that come in."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from dcx_ari.testing.channels import Channel
from dcx_ari.testing.parties import Party
from dcx_ari.testing.wire import Ask, Refused

if TYPE_CHECKING:
    from dcx_ari.testing.core import Core
    from dcx_ari.testing.far_end import Phone

TIMED_OUT = 19  # the cause that Asterisk gives for its own dial timeout, with a made-up SIP 480


def find_phone(core: Core, endpoint: str) -> Phone | None:
    """The phone with exactly this endpoint, else the first whose pattern (`PJSIP/*@trunk`) fits."""
    if endpoint in core.phones:
        return core.phones[endpoint]
    return next((phone for pattern, phone in core.phones.items() if fnmatchcase(endpoint, pattern)), None)


def _channel_name(core: Core, endpoint: str) -> str:
    technology, _, resource = endpoint.partition("/")
    return f"{technology}/{resource.rpartition('@')[2]}-{core.serial():08x}"


def new_leg(core: Core, ask: Ask, channel_id: str) -> Channel:
    """A channel to an endpoint, in state Down: Asterisk allocates it before anything is sent."""
    endpoint = ask.need("endpoint", "Endpoint must be specified")
    technology, slash, resource = endpoint.partition("/")
    if not (technology and slash and resource):
        raise Refused(400, "Invalid endpoint specified")
    phone = find_phone(core, endpoint)
    if phone is None or not phone.next_script.dialable:
        if phone is not None:
            phone.take_script()
        raise Refused(500, "Allocation failed")
    if channel_id in core.channels:
        raise Refused(409, "Channel with given unique ID already exists")
    channel = Channel(
        core,
        channel_id or core.new_id(),
        _channel_name(core, endpoint),
        protocol_id=f"{core.serial():08x}@fake",
        creationtime=core.timestamp(),
        dialstring=resource,
    )
    set_variables(channel, ask)
    count = len(phone.calls)
    party = channel.party = Party(channel, endpoint if not count else f"{endpoint}#{count + 1}")
    party.on_dial = lambda: phone.take_script().begin(party)
    phone.calls.append(party)
    core.channels[channel.id] = channel
    return channel


def set_variables(channel: Channel, ask: Ask) -> None:
    variables = ask.args.get("variables")
    for name, value in (variables if isinstance(variables, dict) else {}).items():
        if isinstance(value, dict):
            set_variable(channel, name, str(value.get("value", "")), report=bool(value.get("report_events")))
        else:
            set_variable(channel, name, str(value), report=False)


def set_variable(channel: Channel, name: str, value: str, *, report: bool) -> None:
    channel.variables[name] = value
    if report:
        channel.reported.add(name)
    field, _, part = name.rstrip(")").partition("(")
    if field == "CONNECTEDLINE":
        channel.connected = _identity(channel.connected, part, value)
    elif field == "CALLERID":
        channel.caller = _identity(channel.caller, part, value)


def _identity(old: tuple[str, str], part: str, value: str) -> tuple[str, str]:
    part = part.partition(",")[0]
    if part == "all":
        name, _, rest = value.partition("<")
        return (name.strip(' "'), rest.rstrip("> ")) if rest else ("", value)
    if part.startswith("name") and "pres" not in part:
        return value, old[1]
    return (old[0], value) if part in ("num", "number") else old


def create(core: Core, ask: Ask) -> dict[str, Any]:
    """`/channels/create`: the leg enters Stasis a moment later; until then `/dial` is refused."""
    channel = new_leg(core, ask, ask.text("channelId"))
    app = ask.need("app", "Application must be specified")
    core.application(app).channels[channel.id] += 1
    args = tuple(ask.text("appArgs").split(",")) if ask.text("appArgs") else ()
    core.later(core.setup_s, _enter_or_end, channel, app, args)
    return channel.to_json()


def _enter_or_end(channel: Channel, app: str, args: tuple[str, ...]) -> None:
    if not channel.enter(app, args) and channel.ending is None and not channel.gone:
        channel.hang_up(0, soft=False)


def dial(core: Core, ask: Ask) -> None:
    channel = core.stasis_channel(ask.id)
    if channel.state != "Down":
        raise Refused(409, "Channel is not in the 'Down' state")
    if ask.text("caller"):
        core.channel(ask.text("caller"))
    _ring_out(core, channel, ask.number("timeout"))


def _ring_out(core: Core, channel: Channel, timeout_s: float) -> None:
    party = channel.party
    if party is None or channel.dial_timer is not None:
        raise Refused(409, "Channel is not in the 'Down' state")
    channel.dial_event("", channel.dialstring)
    channel.dial_timer = core.later(timeout_s or 86_400.0, _timed_out, channel)
    party.begin()


def _timed_out(channel: Channel) -> None:
    channel.timed_out = True
    tech_cause = 480 if channel.name.startswith("PJSIP/") else None
    channel.hang_up(TIMED_OUT, tech_cause=tech_cause, soft=True, asked=not channel.originated)


def originate(core: Core, ask: Ask) -> dict[str, Any]:
    """`POST /channels`: dialled at once, in Stasis only after the answer."""
    if not (app := ask.text("app")):
        ask.need("endpoint", "Endpoint must be specified")
        ask.need("extension", "Application or extension must be specified")
    channel = new_leg(core, ask, ask.id if ask.ids else ask.text("channelId"))
    channel.originated = True
    if caller_id := ask.text("callerId"):
        channel.caller = channel.connected = _identity(("", ""), "all", caller_id)
    if app:
        core.application(app).channels[channel.id] += 1
        args = tuple(ask.text("appArgs").split(",")) if ask.text("appArgs") else ()
        # Up is told of before: requests that need the application are refused for a moment after it.
        channel.on_answer = lambda: core.later(core.setup_s, _enter_or_end, channel, app, args)
    core.later(core.setup_s, _ring_unless_dropped, core, channel, ask.number("timeout", 30))
    return channel.to_json()


def _ring_unless_dropped(core: Core, channel: Channel, timeout_s: float) -> None:
    if channel.ending is None and not channel.gone:
        _ring_out(core, channel, timeout_s)
