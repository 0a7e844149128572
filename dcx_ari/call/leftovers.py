"""Put away what another process left of a call in Asterisk."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from dcx_ari.ari.errors import AriError, Gone
from dcx_ari.call.bridging import close_bridge
from dcx_ari.call.call import GENERATION, Call
from dcx_ari.decide.causes import Cause

_UNSEEN = 12  # prompts that one node may have begun since its stage was written


async def put_away(call: Call, release: Iterable[str], clear: Iterable[str]) -> None:
    """End channels and bridges of the call that nobody needs any more."""

    async def end(channel_id: str) -> None:
        with contextlib.suppress(AriError):
            await call.ari.channels.hangup(channel_id, reason_code=str(Cause.NORMAL))

    await asyncio.gather(*(end(name) for name in release))
    for bridge_id in clear:
        with contextlib.suppress(AriError):
            await close_bridge(call, bridge_id)


async def quieten(call: Call, last_play: object) -> None:
    """End what the caller hears: the next prompt would wait behind it. `last_play` is the number of the last prompt
    that the call's row knows of."""
    known = last_play if isinstance(last_play, int) else (call.generation - 1) * GENERATION
    ids = [f"{call.id}.play{number}" for number in range(max(1, known - 1), known + _UNSEEN)]

    async def stop(playback_id: str) -> None:
        with contextlib.suppress(Gone):
            await call.ari.playbacks.stop(playback_id)

    await asyncio.gather(*(stop(each) for each in ids))
    with contextlib.suppress(AriError):
        await call.ari.channels.ring_stop(call.caller.id)
        await call.ari.channels.stop_moh(call.caller.id)
