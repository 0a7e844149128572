"""The journal's news: made with the facts, kept with them where the database is away."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from dcx_ari.call.ports import Inbound
from dcx_ari.store.errors import StoreError
from dcx_ari.store.journal import Journal, Statement
from dcx_ari.store.news import CallNews
from dcx_ari.store.outbox import to_text
from dcx_ari.store.receivers import Receiver

pytestmark = pytest.mark.unit
EVERYTHING = (Receiver("1", "standard", ("*",), endpoint_id=1),)


class Database:
    """Takes statements, or is away."""

    def __init__(self) -> None:
        self.away = False
        self.batches: list[Sequence[Statement]] = []

    async def commit(self, statements: Sequence[Statement]) -> None:
        if self.away:
            raise StoreError("away")
        self.batches.append(statements)

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Event and data of the rows for the outbox, in order."""
        rows = [row for batch in self.batches for sql, rows in batch if "INTO outbox" in sql for row in rows]
        return [(row[2], json.loads(row[7])["data"]) for row in rows]


async def test_news_wait_with_their_facts_for_a_database_that_is_away() -> None:
    database, rung = Database(), []
    journal = Journal(database.commit, "dcx-0", None, CallNews(lambda: EVERYTHING, lambda: 7, lambda: rung.append(1)))
    journal.opened("c1", Inbound("ch1", "+18005550199", "+12125550001", "", {}), 1_000)
    database.away = True
    with pytest.raises(StoreError):
        await journal.durable()
    journal.update("c1", campaign_id=3, ended_at=2_000, status="FAILED")
    journal.forget("c1")  # its end could not be written; what is known of it is kept
    assert (database.told(), rung) == ([], [])
    database.away = False
    await journal.close()
    (batch,) = database.batches
    assert [sql.split(" ")[2] for sql, _ in batch if sql.startswith("INSERT")].count("outbox") == 2
    [(first, _), (last, data)] = database.told()
    assert (first, last) == ("call.started", "call.completed")
    assert (data["caller"], data["campaign_id"], data["ended_at"]) == ("+12125550001", 3, "1970-01-01T00:00:02.000Z")
    assert rung == [1]


async def test_each_event_is_in_the_batch_of_its_fact() -> None:
    database = Database()
    journal = Journal(database.commit, "dcx-0", None, CallNews(lambda: EVERYTHING, lambda: 7))
    journal.opened("c1", Inbound("ch1", "+1", "+2", "", {}), 1_000)
    await journal.durable()
    journal.recording("c1", "c1.rec1", state="processing")
    await journal.durable()
    journal.recording("c1", "c1.rec1", state="ready", size_bytes=44, duration_ms=1_000, sha256="ab")
    await journal.close()
    tables = [[sql.split(" ")[2] for sql, _ in batch] for batch in database.batches]
    assert tables == [["calls", "outbox"], ["recordings"], ["recordings", "outbox"]]
    assert database.told()[1] == (
        "recording.ready",
        {
            "recording_id": "c1.rec1",
            "call_id": "c1",
            "duration_ms": 1_000,
            "size_bytes": 44,
            "sha256": "ab",
            "channels": 2,
        },
    )


def test_half_a_surrogate_does_not_stop_a_call() -> None:
    assert to_text({"caller": "\ud83d", "name": "ü"}) == '{"caller":"?","name":"ü"}'
