"""What a process was told to do about its end, by signals."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Orders:
    """`stop`: end, in good order. `hand_over`: end now and leave the calls as they are, somebody takes them. `alone`:
    nobody takes them, all workers end.
    """

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    hand_over: asyncio.Event = field(default_factory=asyncio.Event)
    alone: asyncio.Event = field(default_factory=asyncio.Event)


@contextmanager
def orders_from_signals(orders: Orders) -> Iterator[None]:
    """SIGTERM asks to stop, Ctrl-C that all workers do, SIGHUP to hand over; a second Ctrl-C or SIGTERM ends the
    process at once, as if we did not listen.
    """
    loop = asyncio.get_running_loop()

    def asked(number: int) -> None:
        if orders.stop.is_set() and number != signal.SIGHUP:
            loop.remove_signal_handler(number)
            signal.raise_signal(number)
        if number == signal.SIGHUP:
            orders.hand_over.set()
        elif number == signal.SIGINT:
            orders.alone.set()
        orders.stop.set()

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, asked, number)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
