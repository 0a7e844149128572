"""Run a flow for a call and end the call, whatever happens.

The order of the end is Asterisk's: recording first, then channels, then bridges (a bridge with a recorder or
snoop still in it can leak or crash). Every step is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from dcx_ari.ari.errors import AriError, Gone
from dcx_ari.call.bridging import close_bridge, stop_recording
from dcx_ari.call.call import Call
from dcx_ari.call.errors import CallEnded
from dcx_ari.call.leg import Ended, Leg
from dcx_ari.decide.causes import Cause

log = logging.getLogger(__name__)

_CHANNELS_GONE_S = 5.0
_STEP_S = 3.0

Flow = Callable[[Call], Awaitable[None]]


async def run_call(call: Call, flow: Flow, close: Callable[[Call], Awaitable[None]]) -> None:
    """The life of a call's task. `close` writes the row's end and settles what is held.

    A cancelled task (shutdown) ends its call in the same way, then stays cancelled.
    """
    try:
        await flow(call)
        call.note("flow_ended")
    except CallEnded:
        call.ended_by = "system" if call.failure_reason == "node_lost" else "caller"
    except asyncio.CancelledError:
        call.ended_by = "system"
        raise
    except Exception:
        # One call's fault ends that call, not the engine.
        log.exception("flow failed", extra={"call": call.id})
        call.failure_reason = "error"
        call.note("error")
    finally:
        await _end(call, close)


async def _end(call: Call, close: Callable[[Call], Awaitable[None]]) -> None:
    ending = asyncio.ensure_future(_finish(call, close))
    while not ending.done():  # a second cancellation must not leave a channel or an open row behind
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([ending])
    ending.result()


async def _finish(call: Call, close: Callable[[Call], Awaitable[None]]) -> None:
    await _step(call, stop_recording(call))
    legs = [leg for leg in (*call.legs.values(), call.caller) if leg.live]
    listened = (_step(call, each.close()) for each in list(call.listened))
    await asyncio.gather(*(_step(call, _hangup(call, leg)) for leg in legs), *listened)
    if not await call.wait_any(lambda: all(not leg.live for leg in legs), _CHANNELS_GONE_S):
        await asyncio.gather(*(_step(call, _verify_gone(call, leg)) for leg in legs if leg.live))
    for bridge_id in list(call.bridges):
        await _step(call, close_bridge(call, bridge_id))
    for leg in call.legs.values():
        if leg.dialled_at is not None:
            call.ports.journal.leg(call.id, leg)
    await close(call)


async def _step(call: Call, work: Awaitable[None]) -> None:
    """One bounded step of the end; its failure must not stop the steps after it."""
    try:
        async with asyncio.timeout(_STEP_S):
            await work
    except (AriError, TimeoutError) as error:
        log.warning("clean-up step failed: %s", error, extra={"call": call.id})
        call.note("cleanup_failed", error=str(error) or "timeout")


async def _hangup(call: Call, leg: Leg) -> None:
    cause = call.hangup_cause if leg is call.caller and not leg.answered else Cause.NORMAL
    if leg is not call.caller and not leg.answered:
        leg.cancelled = leg.cancelled or leg.failed is None
    try:
        await call.ari.channels.hangup(leg.id, reason_code=str(cause))
    except Gone:
        leg.end(Ended(cause, None), call.ports.now_ms())


async def _verify_gone(call: Call, leg: Leg) -> None:
    """The end of a channel was not reported in time: ask."""
    try:
        await call.ari.channels.get(leg.id)
    except Gone:
        leg.end(Ended(Cause.NORMAL, None), call.ports.now_ms())
        return
    log.error("channel %s did not end", leg.id, extra={"call": call.id})
    call.note("channel_stuck", leg=leg.id)
