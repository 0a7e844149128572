"""What the ledger is to be told of one call, in order: kept while the database is away."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from dcx_ari.store.errors import StoreError

log = logging.getLogger(__name__)

Work = Callable[[], Awaitable[object]]
"""Idempotent, as everything is that the ledger is asked: it may have been done when its answer was lost."""


class Owed:
    """Talking people do not wait for a database; the books wait for it, and are complete at the end of the call."""

    def __init__(self) -> None:
        self._works: deque[Work] = deque()
        self._paying = asyncio.Lock()

    def __bool__(self) -> bool:
        return bool(self._works)

    async def add(self, work: Work, call_id: str) -> None:
        """Do it now, after what is still owed; or with the next `add` or `pay`, where the database is away.

        Raises what `work` raises, other than StoreError.
        """
        self._works.append(work)
        try:
            await self.pay()
        except StoreError as error:
            log.error("the ledger will be told later: %s", error, extra={"call": call_id})

    async def pay(self) -> None:
        """Do all that is owed. Raises StoreError: then the rest is kept."""
        async with self._paying:
            while self._works:
                try:
                    await self._works[0]()
                except (StoreError, asyncio.CancelledError):
                    raise
                except BaseException:
                    self._works.popleft()  # it will never succeed
                    raise
                self._works.popleft()
