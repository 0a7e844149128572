"""Which resource an event is about."""

from __future__ import annotations

from dcx_ari.ari import events as ev


def resource_of(event: ev.Event) -> str | None:
    """The id of the channel, playback or recording that `event` tells of; None where nobody waits for it."""
    match event:
        case ev.Dial():
            return event.peer.id
        case ev.PlaybackStarted() | ev.PlaybackContinuing() | ev.PlaybackFinished():
            return event.playback.id
        case ev.RecordingStarted() | ev.RecordingFinished() | ev.RecordingFailed():
            return event.recording.name
        case ev.ChannelCreated() | ev.ChannelVarset() | ev.ChannelDialplan():
            return None
        case _:
            channel = getattr(event, "channel", None)
            return None if channel is None else channel.id
