"""What a caller hears while somebody is being rung."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from dcx_ari.call.call import Call
from dcx_ari.call.leg import Leg

RingTone = Literal["ringback", "music", "early_media"]

# Nobody misses ringing for so long, and a far end that is quicker spares the caller's phone a 180 before its 200.
_NOT_MISSED_S = 0.1


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


async def let_hear_soon(call: Call, tone: RingTone, legs: Sequence[Leg]) -> None:
    """As `let_hear`, but ringback only where the legs are not answered, or all over, within a tenth of a second."""
    if tone == "ringback" and await call.wait(lambda: _decided(legs), _NOT_MISSED_S):
        return
    await let_hear(call, tone)


def _decided(legs: Sequence[Leg]) -> bool:
    return any(leg.answered for leg in legs) or all(leg.settled for leg in legs)
