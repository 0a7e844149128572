"""An engine that serves until it is told to stop: what `dcx run` and each worker of `dcx up` do."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys

from dcx_ari.access import AsteriskAccess
from dcx_ari.app import engine
from dcx_ari.departure import Left
from dcx_ari.notify import READY, STOPPING, notify
from dcx_ari.orders import Orders, orders_from_signals
from dcx_ari.settings import Settings
from dcx_ari.slots import only_process
from dcx_ari.supervisor import ENDED_CALLS

_TAKEN_OVER_S = 5.0
log = logging.getLogger("dcx_ari.serving")


async def serve(settings: Settings, access: AsteriskAccess) -> int:
    """Run the engine until Ctrl-C, SIGTERM or SIGHUP; says `ready` when a call can be taken. The exit status."""
    # The thread that writes the database asks for the interpreter thousands of times a second; with the default
    # of 5 ms each time could cost that much of a caller's patience; 0.5 ms still cost 0.1 ms of each setup.
    sys.setswitchinterval(0.0001)
    orders = Orders()
    # The lock comes last: while it is free, another worker can take the calls of the process before us.
    with only_process(settings, wait_s=_TAKEN_OVER_S), orders_from_signals(orders):
        async with engine(settings, access) as made:
            running = asyncio.create_task(made.run(orders, grace_s=settings.drain_s))
            ready = asyncio.create_task(made.until_ready())
            await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
            if ready.done() and not running.done() and ready.exception() is None:
                _settle_memory()
                print(_ready_line(settings), flush=True)
                notify(READY)
            elif ready.done() and not running.done():
                orders.stop.set()
            ready.cancel()
            left = await running
            notify(STOPPING)
            if left.leave_alone:
                _end_at_once(left)
            if ready.done() and not ready.cancelled() and (error := ready.exception()) is not None:
                raise error
    if left.ended and settings.drain_s:
        log.error("%d calls were still up after %d s and have been ended", left.ended, settings.drain_s)
        return ENDED_CALLS
    return 0


def _end_at_once(left: Left) -> None:
    """What goes on in Asterisk is not ours any more: nothing that a call would do at its end may happen."""
    log.info("handed over %d calls", left.handed_over)
    if left.failed:
        print(f"Error: {left.failed}. Its calls go on, and wait for the next process.", file=sys.stderr)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(1 if left.failed else 0)


def _settle_memory() -> None:
    """Keep what lives as long as the process out of the collector's sight: a full collection would stop every
    call for some 50 ms to look at it again. What a call makes is freed by its reference counts, so that looking for
    cycles every 700 objects, many times a call, finds nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _ready_line(settings: Settings) -> str:
    return (
        f"ready: SIP {settings.sip_host}:{settings.sip_port}, API http://{settings.api_host}:{settings.api_port}, "
        f"home {settings.home}"
    )
