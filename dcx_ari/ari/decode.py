"""From one frame of the event socket to a typed event; nothing a frame holds can stop the reader."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

import msgspec

from dcx_ari.ari.events import AnyEvent, Event, UnknownEvent

log = logging.getLogger(__name__)

_EVENTS: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_OBJECT: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


def decode_event(raw: bytes) -> Event | None:
    """The event in a frame.

    A type or a shape that the description does not know gives `UnknownEvent`. Bytes that are not UTF-8
    (carriers send Latin-1 names) are replaced by U+FFFD. A frame that is not a JSON object is logged and
    gives None.
    """
    try:
        return _EVENTS.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _leniently(raw)


def _leniently(raw: bytes) -> Event | None:
    repaired = raw.decode("utf-8", "replace").encode()
    try:
        fields = _OBJECT.decode(repaired)
    except msgspec.DecodeError as error:
        log.error("a frame of %d bytes from Asterisk is no JSON object: %s", len(raw), error)
        return None
    try:
        return _EVENTS.decode(repaired)
    except msgspec.DecodeError as error:
        kind = str(fields.get("type", ""))
        log.warning("an event %r does not fit the description: %s", kind, error)
        return UnknownEvent(
            application=str(fields.get("application", "")),
            timestamp=str(fields.get("timestamp", "")),
            kind=kind,
            raw=fields,
        )


def epoch_ms(date: str) -> int:
    """Epoch milliseconds of an ARI date.

    >>> epoch_ms("2026-11-20T10:00:00.123+0000")
    1795168800123
    """
    return round(datetime.fromisoformat(date).timestamp() * 1000)
