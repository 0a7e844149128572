"""The outbox as its deliverer sees it: what is due, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnClause, delete, exists, func, insert, literal_column, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.store import models as m
from dcx_ari.store.db import Database

_ROW = m.OutboxRow
_ENDPOINT = m.WebhookEndpoint
PENDING: ColumnClause[str] = literal_column("'pending'")
"""Written out, not a parameter: the indexes on what is pending are used only then."""


@dataclass(frozen=True, slots=True)
class Due:
    """A row to deliver now, with what is needed for it. `url` None: its endpoint was removed."""

    seq: int
    id: str
    kind: str
    event: str
    payload: str
    attempts: int
    created_at: int
    recipients: dict[str, Any] | None
    endpoint_id: int | None
    url: str | None
    secrets: tuple[str, ...]
    failing_since: int | None


async def anything_due(database: Database, now: int) -> bool:
    """The cheap question, asked every second. Raises StoreError."""
    async with database.read_connection() as connection:
        return (await connection.execute(_ANYTHING, {"now": now})).first() is not None


_ANYTHING = text("SELECT 1 FROM outbox WHERE state = 'pending' AND next_at <= :now LIMIT 1")


async def due_rows(
    database: Database, now: int, limit: int, *, busy: Collection[int] = (), in_flight: Collection[int] = ()
) -> list[Due]:
    """Rows whose time has come and whose turn it is, oldest first; none of endpoints that are paused or `busy`, none
    of the rows `in_flight`. Raises StoreError.
    """
    row, endpoint = _ROW.__table__, _ENDPOINT.__table__  # type: ignore[attr-defined]
    earlier = row.alias("earlier")
    waits = exists().where(
        earlier.c.order_key == row.c.order_key, earlier.c.state == PENDING, earlier.c.seq < row.c.seq
    )
    query = (
        select(row, endpoint.c.id.label("known"), endpoint.c.url, endpoint.c.secret, endpoint.c.old_secret)
        .add_columns(endpoint.c.old_until, endpoint.c.failing_since)
        .select_from(row.outerjoin(endpoint, endpoint.c.id == row.c.endpoint_id))
        .where(row.c.state == PENDING, row.c.next_at <= now, ~waits)
        .where(or_(endpoint.c.id.is_(None), endpoint.c.status == "ACTIVE"))
        .order_by(row.c.next_at, row.c.seq)
        .limit(limit)
    )
    if busy:
        query = query.where(func.coalesce(row.c.endpoint_id, 0).not_in(sorted(busy)))
    if in_flight:
        query = query.where(row.c.seq.not_in(sorted(in_flight)))
    async with database.read_connection() as connection:
        return [_due(each, now) for each in (await connection.execute(query)).mappings()]


def _due(each: Any, now: int) -> Due:
    secrets = [each["secret"] or ""]
    if each["old_secret"] and (each["old_until"] or 0) > now:
        secrets.append(each["old_secret"])
    return Due(
        **{name: each[name] for name in ("seq", "id", "kind", "event", "payload", "attempts", "created_at")},
        recipients=each["recipients"],
        endpoint_id=each["endpoint_id"],
        url=each["secret"] if each["kind"] == "slack" else each["url"],  # see services.webhooks
        secrets=tuple(secrets),
        failing_since=each["failing_since"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What one attempt made of a row. `attempt` False: nothing was tried. Times are epoch ms."""

    row: Due
    at: int
    state: str
    next_at: int = 0
    status: int | None = None
    error: str | None = None
    answer: str | None = None
    took_ms: int = 0
    attempt: bool = True
    recipients: dict[str, Any] | None = None


async def record(connection: AsyncConnection, done: Sequence[Done]) -> None:
    """Write down what became of rows. One that a person has ended in the meantime stays as it is."""
    for each in done:
        values: dict[str, Any] = {
            "attempts": each.row.attempts + each.attempt,
            "last_status": each.status,
            "last_error": each.error,
            "state": each.state,
            "next_at": each.next_at,
            "ended_at": None if each.state == "pending" else each.at + each.took_ms,
        }
        if each.recipients is not None:
            values["recipients"] = each.recipients
        await connection.execute(
            update(_ROW).where(col(_ROW.seq) == each.row.seq, col(_ROW.state) == PENDING).values(values)
        )
    tried = [each for each in done if each.attempt]
    if tried:
        attempts = [
            {
                "outbox_seq": each.row.seq,
                "at": each.at,
                "took_ms": each.took_ms,
                "status": each.status,
                "error": each.error,
                "answer": each.answer,
            }
            for each in tried
        ]
        await connection.execute(insert(m.OutboxAttempt), attempts)


async def endpoint_succeeded(connection: AsyncConnection, endpoint_id: int) -> None:
    where = (col(_ENDPOINT.id) == endpoint_id, col(_ENDPOINT.failing_since).is_not(None))
    await connection.execute(update(_ENDPOINT).where(*where).values(failing_since=None))


async def endpoint_failed(connection: AsyncConnection, endpoint_id: int, at: int) -> None:
    where = (col(_ENDPOINT.id) == endpoint_id, col(_ENDPOINT.failing_since).is_(None))
    await connection.execute(update(_ENDPOINT).where(*where).values(failing_since=at))


async def disable_endpoint(session: AsyncSession, endpoint_id: int, reason: str, at: int) -> bool:
    """Switch an endpoint off, unless it is off already; engines read the configuration anew."""
    where = (col(_ENDPOINT.id) == endpoint_id, col(_ENDPOINT.status) == "ACTIVE")
    values = {
        "status": "INACTIVE",
        "disabled_reason": reason,
        "version": _ENDPOINT.version + 1,
        "updated_at": at,
    }
    if not (await session.exec(update(_ENDPOINT).where(*where).values(values))).rowcount:
        return False
    row = m.ConfigVersion
    await session.exec(update(row).values(version=row.version + 1, updated_at=at))
    return True


async def end_stale(session: AsyncSession, before: int, at: int) -> int:
    """Rows written before `before` that still wait: for a paused endpoint, or for a mail server. How many."""
    where = (col(_ROW.state) == PENDING, col(_ROW.created_at) < before)
    values = {"state": "dead", "ended_at": at, "last_error": func.coalesce(_ROW.last_error, "waited too long")}
    return int((await session.exec(update(_ROW).where(*where).values(values))).rowcount)


async def purge(session: AsyncSession, before: int) -> int:
    """Remove rows that ended before `before` (epoch ms), with their attempts."""
    return int((await session.exec(delete(_ROW).where(col(_ROW.ended_at) < before))).rowcount)
