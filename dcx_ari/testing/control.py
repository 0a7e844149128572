"""A channel's command thread: one command at a time, in order; a playback occupies it until its end.

Asterisk answers `play`, `moh`, `hold` and the like at once and carries them out in turn; `answer`,
set-variable, `addChannel` and `removeChannel` answer only when carried out, so they wait behind a playback.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from dcx_ari.testing.wire import Refused

Action = Callable[[], bool | None]  # True: the thread stays occupied until `release`


class Control:
    def __init__(self) -> None:
        self._waiting: deque[tuple[Action, asyncio.Future[None] | None]] = deque()
        self._busy = False
        self._draining = False

    @property
    def idle(self) -> bool:
        return not self._busy and not self._waiting

    def post(self, action: Action) -> None:
        """Carry out in turn; nobody waits."""
        self._waiting.append((action, None))
        self._drain()

    def join(self, action: Action) -> asyncio.Future[None]:
        """Carry out in turn; the future ends with it, or with the action's `Refused`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((action, future))
        self._drain()
        return future

    def release(self) -> None:
        self._busy = False
        self._drain()

    def _drain(self) -> None:
        if self._draining:
            return
        self._draining = True
        try:
            while self._waiting and not self._busy:
                self._step(*self._waiting.popleft())
        finally:
            self._draining = False

    def _step(self, action: Action, future: asyncio.Future[None] | None) -> None:
        try:
            self._busy = bool(action())
        except Refused as refused:
            if future is not None and not future.done():
                future.set_exception(refused)
            return
        if future is not None and not future.done():
            future.set_result(None)
