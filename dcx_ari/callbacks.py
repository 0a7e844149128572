"""Callers who want to be called back: the `Callbacks` port on the real store."""

from __future__ import annotations

import logging
from collections.abc import Callable

from dcx_ari.call.call import Call
from dcx_ari.services.callbacks import add_callback
from dcx_ari.services.errors import Conflict, Refused
from dcx_ari.store.db import Database
from dcx_ari.store.errors import StoreError
from dcx_ari.store.journal import Journal

log = logging.getLogger(__name__)


class StoreCallbacks:
    """Implements the `Callbacks` port."""

    def __init__(self, database: Database, journal: Journal, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._journal = journal
        self._now_ms = now_ms

    async def request(self, call: Call, number: str, due_at: int) -> bool:
        """A callback of the call. One that is open already is kept as it is."""
        try:
            await self._journal.durable()  # it names the call's row
            async with self._database.write() as session:
                wanted = {"call": call.id, "phone_number": number, "due_at": due_at}
                await add_callback(session, wanted, self._now_ms())
        except Conflict:
            return True
        except (Refused, StoreError) as error:
            log.error("a callback could not be kept: %s", type(error).__name__, extra={"call": call.id})
            return False
        return True
