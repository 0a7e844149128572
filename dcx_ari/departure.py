"""How a worker leaves: no new calls, then the live ones go on to others, come to their end, or are ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

from dcx_ari.call.exchange import Exchange
from dcx_ari.failure import EngineFailed
from dcx_ari.orders import Orders
from dcx_ari.store.errors import StoreError

log = logging.getLogger(__name__)

SETTLE_S = 10.0
"""How long a call may ring or be in a menu before it is handed over as it is: the caller would hear it again."""
_LOOK_S = 0.1
_ASK_S = 1.0
TALKING = "talking"


@dataclass(frozen=True, slots=True)
class Left:
    """How a worker left: the calls that others have to take over, and those that were ended for it. `failed`: why it
    had to leave without having been told to.
    """

    handed_over: int = 0
    ended: int = 0
    leave_alone: bool = False  # the calls in Asterisk are not ours any more
    failed: str = ""


async def depart(exchange: Exchange, others: Callable[[], Awaitable[bool]], limit_s: float, orders: Orders) -> Left:
    """Take no new calls and wait for the live ones. Where there are other workers, those who talk are left to them,
    and so are, after `SETTLE_S`, the rest. Without, calls have `limit_s` seconds to end; what is left then, is ended.
    When told to hand over, they are left to our own next process if nobody else is there.
    """
    exchange.drain()
    loop = asyncio.get_running_loop()
    began = asked = loop.time()
    shared = await _taken_by_others(others, orders)
    if exchange.calls and limit_s > 0 and not shared and not orders.hand_over.is_set():
        log.warning("waiting for the end of %d calls, %g s at most", len(exchange.calls), limit_s)
    while exchange.calls:
        now = loop.time()
        if now - asked >= _ASK_S:
            shared, asked = await _taken_by_others(others, orders), now
        talking = all(call.stage_name == TALKING for call in exchange.calls.values())
        if (shared and (talking or now - began >= SETTLE_S)) or (orders.hand_over.is_set() and not shared):
            return Left(len(exchange.calls), leave_alone=True)
        if now - began >= limit_s and not shared:
            return Left(ended=len(exchange.calls))
        await asyncio.sleep(_LOOK_S)
    return Left(leave_alone=orders.hand_over.is_set())


async def _taken_by_others(others: Callable[[], Awaitable[bool]], orders: Orders) -> bool:
    """A database that is away: nobody can take over what it does not show."""
    if orders.alone.is_set():
        return False
    try:
        return await others()
    except StoreError as error:
        log.warning("whether others can take the calls is unknown: %s", error)
        return False


async def until_stopped(stopped: asyncio.Task[Any], serving: Collection[asyncio.Task[None]]) -> None:
    """Until `stopped` is done; the other tasks are to last. Raises EngineFailed when one of them ends first."""
    done, _ = await asyncio.wait([stopped, *serving], return_when=asyncio.FIRST_COMPLETED)
    for task in done - {stopped}:
        error = task.exception()
        if isinstance(error, EngineFailed):
            raise error
        raise EngineFailed(f"{task.get_name()} stopped: {error or 'without a reason'}") from error
