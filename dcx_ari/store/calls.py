"""Queries on calls that the engine needs."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from dcx_ari.store.db import Database


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call row without an end."""

    id: str
    channel_id: str
    stage: str
    connected_at: int | None


async def open_calls(database: Database, worker: str) -> list[OpenCall]:
    """The calls of a worker (its application's name) that no process has closed."""
    async with database.read_connection() as connection:
        rows = await connection.execute(
            text("SELECT id, channel_id, stage, connected_at FROM calls WHERE worker = :worker AND ended_at IS NULL"),
            {"worker": worker},
        )
        return [OpenCall(row[0], row[1] or "", row[2], row[3]) for row in rows]
