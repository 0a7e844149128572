"""A new call as the dialplan hands it over, parsed once.

The arguments of Stasis() are `in` and one URL-encoded query string (see asterisk/dcx_asterisk/config/
extensions.conf): whatever a caller sends, there is no comma or quote in it to be misread.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from dcx_ari.ari import events as ev
from dcx_ari.ari.models import Channel
from dcx_ari.call.ports import Inbound
from dcx_ari.decide.phone import normalise

_MAX_FIELDS = 32
_MAX_TEXT = 255
_OURS = ("to", "test")  # of the dialplan; what a caller sends comes as div, pai, from or x-…


def parse_inbound(event: ev.StasisStart) -> Inbound | None:
    """The call that `event` announces; None if it is not one that came in through our dialplan."""
    return inbound_of(event.channel, event.args)


def inbound_of(channel: Channel, args: Sequence[str]) -> Inbound | None:
    """The same for a channel that waits in our application with these arguments."""
    if len(args) < 2 or args[0] not in ("in", "phone"):
        return None
    try:
        pairs = parse_qsl(args[1], keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        pairs = []
    fields = {name.lower()[:64]: _clean(value) for name, value in pairs}
    headers = {name: value for name, value in fields.items() if name not in _OURS and value}
    if channel.protocol_id:
        headers["call-id"] = _clean(channel.protocol_id)
    return Inbound(
        channel_id=channel.id,
        dialled=normalise(fields.get("to", "")),
        caller=normalise(_clean(channel.caller.number)),
        caller_name=_clean(channel.caller.name),
        headers=headers,
        test=fields.get("test") == "1",
    )


def _clean(text: str) -> str:
    """Cut to length, without control characters: it will stand in logs, tables and SIP headers."""
    return "".join(c for c in text[:_MAX_TEXT] if c.isprintable())
