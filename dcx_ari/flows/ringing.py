"""What a caller hears while somebody is being rung."""

from __future__ import annotations

from typing import Literal

from dcx_ari.call.call import Call

RingTone = Literal["ringback", "music", "early_media"]


async def let_hear(call: Call, tone: RingTone) -> None:
    """Ringback or music; with early media nothing, the far end's own tone comes through the bridge."""
    match tone:
        case "ringback":
            await call.ring()
        case "music":
            await call.answer()
            await call.music()
        case "early_media":
            await call.quiet()
