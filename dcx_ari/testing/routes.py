"""Which handler answers which request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dcx_ari.testing import bridges, dialling, external, playbacks, recordings, system, verbs
from dcx_ari.testing.wire import Ask, Refused

if TYPE_CHECKING:
    from dcx_ari.testing.core import Core

Handler = Callable[["Core", Ask], Any]

ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "channels"): verbs.list_all,
    ("POST", "channels"): dialling.originate,
    ("POST", "channels/create"): dialling.create,
    ("POST", "channels/externalMedia"): external.external_media,
    ("POST", "channels/*"): dialling.originate,
    ("GET", "channels/*"): verbs.get,
    ("DELETE", "channels/*"): verbs.hang_up,
    ("POST", "channels/*/dial"): dialling.dial,
    ("POST", "channels/*/answer"): verbs.answer,
    ("POST", "channels/*/ring"): verbs.ring,
    ("DELETE", "channels/*/ring"): verbs.stop_ring,
    ("POST", "channels/*/progress"): verbs.progress,
    ("POST", "channels/*/hold"): verbs.hold,
    ("DELETE", "channels/*/hold"): verbs.unhold,
    ("POST", "channels/*/moh"): verbs.start_moh,
    ("DELETE", "channels/*/moh"): verbs.stop_moh,
    ("POST", "channels/*/silence"): verbs.silence,
    ("DELETE", "channels/*/silence"): verbs.silence,
    ("POST", "channels/*/mute"): verbs.mute,
    ("DELETE", "channels/*/mute"): verbs.unmute,
    ("POST", "channels/*/dtmf"): verbs.send_digits,
    ("POST", "channels/*/play"): verbs.play,
    ("POST", "channels/*/play/*"): verbs.play,
    ("POST", "channels/*/record"): verbs.record,
    ("GET", "channels/*/variable"): verbs.get_variable,
    ("POST", "channels/*/variable"): verbs.set_variable,
    ("GET", "channels/*/variables"): verbs.get_variables,
    ("POST", "channels/*/variables"): verbs.set_variables,
    ("POST", "channels/*/continue"): verbs.go_on,
    ("POST", "channels/*/move"): verbs.move,
    ("POST", "channels/*/redirect"): verbs.redirect,
    ("POST", "channels/*/snoop"): verbs.snoop,
    ("POST", "channels/*/snoop/*"): verbs.snoop,
    ("GET", "channels/*/rtp_statistics"): verbs.statistics,
    ("GET", "bridges"): bridges.list_all,
    ("POST", "bridges"): bridges.create,
    ("POST", "bridges/*"): bridges.create,
    ("GET", "bridges/*"): bridges.get,
    ("DELETE", "bridges/*"): bridges.destroy,
    ("POST", "bridges/*/addChannel"): bridges.add_channel,
    ("POST", "bridges/*/removeChannel"): bridges.remove_channel,
    ("POST", "bridges/*/moh"): bridges.start_moh,
    ("DELETE", "bridges/*/moh"): bridges.stop_moh,
    ("POST", "bridges/*/play"): bridges.play,
    ("POST", "bridges/*/play/*"): bridges.play,
    ("POST", "bridges/*/record"): bridges.record,
    ("GET", "bridges/*/variable"): bridges.get_variable,
    ("POST", "bridges/*/variable"): bridges.set_variable,
    ("GET", "bridges/*/variables"): bridges.get_variables,
    ("POST", "bridges/*/variables"): bridges.set_variables,
    ("GET", "playbacks/*"): playbacks.get,
    ("DELETE", "playbacks/*"): playbacks.stop,
    ("POST", "playbacks/*/control"): playbacks.control,
    ("GET", "recordings/live/*"): recordings.get,
    ("DELETE", "recordings/live/*"): recordings.discard,
    ("POST", "recordings/live/*/stop"): recordings.stop,
    ("POST", "recordings/live/*/pause"): recordings.pause,
    ("DELETE", "recordings/live/*/pause"): recordings.unpause,
    ("POST", "recordings/live/*/mute"): recordings.mute,
    ("DELETE", "recordings/live/*/mute"): recordings.unmute,
    ("GET", "recordings/stored"): recordings.list_stored,
    ("GET", "recordings/stored/*"): recordings.stored,
    ("DELETE", "recordings/stored/*"): recordings.delete_stored,
    ("GET", "applications"): system.list_applications,
    ("GET", "applications/*"): system.get_application,
    ("POST", "applications/*/subscription"): system.subscribe,
    ("DELETE", "applications/*/subscription"): system.unsubscribe,
    ("PUT", "applications/*/eventFilter"): system.event_filter,
    ("GET", "asterisk/ping"): system.ping,
    ("GET", "asterisk/info"): system.info,
    ("GET", "asterisk/variable"): system.get_variable,
    ("POST", "asterisk/variable"): system.set_variable,
    ("GET", "asterisk/config/dynamic/*/*/*"): system.get_object,
    ("PUT", "asterisk/config/dynamic/*/*/*"): system.put_object,
    ("DELETE", "asterisk/config/dynamic/*/*/*"): system.delete_object,
    ("GET", "endpoints"): system.list_endpoints,
    ("GET", "endpoints/*"): system.list_endpoints,
    ("GET", "endpoints/*/*"): system.get_endpoint,
}


def _index() -> dict[tuple[str, int], list[tuple[list[str], Handler]]]:
    index: dict[tuple[str, int], list[tuple[list[str], Handler]]] = {}
    for (method, pattern), handler in ROUTES.items():
        parts = pattern.split("/")
        index.setdefault((method, len(parts)), []).append((parts, handler))
    return index


_INDEX = _index()


def route(method: str, path: str) -> tuple[Handler, tuple[str, ...]]:
    """The handler, and the decoded variable parts of the path."""
    parts = path.split("/")
    for pattern, handler in _INDEX.get((method, len(parts)), []):
        if _fits(pattern, parts):
            ids = tuple(unquote(p) for e, p in zip(pattern, parts, strict=True) if e == "*")
            return handler, ids
    if any(_fits(pattern.split("/"), parts) for _, pattern in ROUTES):
        raise Refused(405, "Invalid method")
    raise Refused(404, "Resource not found")


def _fits(pattern: list[str], parts: list[str]) -> bool:
    return len(pattern) == len(parts) and all(
        expected in ("*", part) for expected, part in zip(pattern, parts, strict=True)
    )
