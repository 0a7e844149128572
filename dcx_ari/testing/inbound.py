"""Calls that come in: the channel, and what DCX's dialplan does with it (asterisk/…/extensions.conf)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from dcx_ari.testing.channels import Channel
from dcx_ari.testing.parties import Caller

if TYPE_CHECKING:
    from dcx_ari.testing.core import Core

RETRY_S = 0.25
MOST_TRACKING_HEADERS = 8


def stasis_args(dialled: str, headers: Mapping[str, str], kind: str = "in") -> tuple[str, str]:
    """The arguments that the dialplan gives to Stasis().

    >>> stasis_args("+18005550199", {"X-Track": "a,b"})
    ('in', 'to=%2B18005550199&x-track=a%2Cb')
    """
    known = {name.lower(): value for name, value in headers.items()}
    fields = {"to": dialled}
    if "diversion" in known:
        fields["div"] = known["diversion"]
    if "p-asserted-identity" in known:
        fields["pai"] = known["p-asserted-identity"]
        fields["from"] = known.get("from", "")
    tracking = [name for name in known if name.startswith("x-")]
    fields.update({name[:40]: known[name] for name in tracking[:MOST_TRACKING_HEADERS]})
    return kind, "&".join(f"{quote(name, safe='')}={quote(value[:128], safe='')}" for name, value in fields.items())


def inbound_channel(
    core: Core, dialled: str, caller: tuple[str, str], trunk: str, headers: Mapping[str, str]
) -> Channel:
    channel = Channel(
        core,
        core.new_id(),
        f"PJSIP/{trunk}-{core.serial():08x}",
        state="Ring",
        caller=caller,
        context="from-trunk",
        exten=dialled,
        protocol_id=f"{core.serial():08x}@caller",
        creationtime=core.timestamp(),
        headers=dict(headers),
        in_dialplan=True,
    )
    core.channels[channel.id] = channel
    return channel


def dialplan(person: Caller, app: str, args: tuple[str, ...], deadline: float) -> None:
    """Try the application, again and again, while the caller hears ringing; then the fallback."""
    channel = person.channel
    if channel.gone or channel.ending is not None:
        return
    if channel.enter(app, args):
        return
    core = channel.core
    if core.now < deadline:
        channel.ringing = True
        channel.heard_changed()
        core.later(RETRY_S, dialplan, person, app, args, deadline)
    else:
        person.turned_away = True
        channel.hang_up(41, soft=False)
