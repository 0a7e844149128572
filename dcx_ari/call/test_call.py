"""A test call: Asterisk calls one of our own numbers, through the same dialplan as a caller from a trunk.

Both halves of a Local channel: the far one goes through the context `dcx-test`, which marks the call as a test, and
comes to us like any other call; the near one is the caller, parked in `dcx-test-caller` for a bounded time.
"""

from __future__ import annotations

import asyncio
import secrets

from dcx_ari.call.exchange import Exchange

ANSWER_S = 180  # ringing and menus before the answer: longer than any route lasts by default
_ARRIVES_S = 5.0
_LOOK_S = 0.02


async def place_test_call(exchange: Exchange, number: str, caller: str, digits: str, seconds: int) -> str | None:
    """Place it; the id of the call, or None where it did not come back to us in time. Raises AriError.

    `number` is E.164, `caller` too or "" for withheld; `digits` are pressed after the answer (see SendDTMF); it
    hangs up `seconds` after the answer.
    """
    token = secrets.token_hex(8)
    far = f"test-{token}.line"
    await exchange.ari.channels.originate(
        endpoint=f"Local/{number}@dcx-test/n",
        context="dcx-test-caller",
        extension="s",
        priority=1,
        caller_id=f'"DCX test" <{caller}>' if caller else None,
        timeout_s=ANSWER_S,
        # The slot: the call has to come to us, not to another engine.
        variables={
            "DCX_TEST_S": str(seconds),
            "DCX_TEST_DIGITS": digits,
            "DCX_SLOT": exchange.app.rpartition("-")[2],
        },
        channel_id=f"test-{token}.caller",
        other_channel_id=far,
    )
    try:
        async with asyncio.timeout(_ARRIVES_S):
            while True:
                for call in exchange.calls.values():
                    if call.caller.id == far:
                        return call.id
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        return None
