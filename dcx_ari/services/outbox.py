"""The outbox for people: what waits, what was delivered, what died; try again, or let go."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, get_args

from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.services import audit
from dcx_ari.services.errors import Conflict, Invalid, NotFound, UnknownKey
from dcx_ari.services.listing import MAX_LIMIT, Page, decode_cursor, encode_cursor
from dcx_ari.services.render import plain
from dcx_ari.store.models import OutboxAttempt, OutboxRow
from dcx_ari.store.models.outbox import OutboxKind, OutboxState
from dcx_ari.store.outbox import TOLD

_ROW = OutboxRow
FILTERS: Mapping[str, str] = {
    "state": f"one of {', '.join(get_args(OutboxState))}",
    "kind": f"one of {', '.join(get_args(OutboxKind))}",
    "event": "such as call.completed",
    "endpoint_id": "id of a webhook endpoint",
    "call_id": "id of a call",
}
"""Filters of the list, each with what its values are."""
_ALLOWED = {"state": get_args(OutboxState), "kind": get_args(OutboxKind)}
_SHOWN = (
    *("id", "kind", "event", "endpoint_id", "call_id", "state", "attempts", "created_at", "next_at", "ended_at"),
    *("last_status", "last_error"),
)
_ATTEMPT = ("at", "took_ms", "status", "error", "answer")


async def list_messages(
    session: AsyncSession, filters: Mapping[str, Sequence[str]], *, limit: int = 100, cursor: str | None = None
) -> Page:
    """Newest first, without their payloads. Raises UnknownKey, Invalid."""
    if not 1 <= limit <= MAX_LIMIT:
        raise Invalid("limit", f"must be 1 to {MAX_LIMIT}")
    where = [_condition(name, values) for name, values in filters.items()]
    total = (await session.exec(select(func.count()).select_from(_ROW).where(*where))).one()
    query = select(_ROW).where(*where).order_by(col(_ROW.seq).desc()).limit(limit + 1)
    if cursor is not None:
        seq = decode_cursor(cursor)[1]
        if not isinstance(seq, int):
            raise Invalid("cursor", "does not belong to this list")
        query = query.where(col(_ROW.seq) < seq)
    rows = (await session.exec(query)).all()
    more = len(rows) > limit
    rows = rows[:limit]
    return Page([_shown(row) for row in rows], encode_cursor(None, rows[-1].seq or 0) if more else None, total)


async def get(session: AsyncSession, message_id: str) -> dict[str, Any]:
    """With payload and attempts; files attached to a mail are named, not shown. Raises NotFound."""
    row = await _find(session, message_id)
    query = select(OutboxAttempt).where(col(OutboxAttempt.outbox_seq) == row.seq).order_by(col(OutboxAttempt.id))
    tries = [
        {name: plain(name if name != "at" else "tried_at", getattr(each, name)) for name in _ATTEMPT}
        for each in (await session.exec(query)).all()
    ]
    payload = json.loads(row.payload)
    if row.event == "invitation":  # its link makes a user of whoever has it
        payload["text"] = audit.HIDDEN
    if row.kind == "email":
        payload["attachments"] = [{"name": each["name"], "type": each["type"]} for each in payload["attachments"]]
    return {**_shown(row), "order_key": row.order_key, "recipients": row.recipients, "payload": payload, "tries": tries}


async def retry(session: AsyncSession, message_id: str) -> dict[str, Any]:
    """Send it again, whatever became of it: same id, same content; a mail only to those who do not have it.

    Raises NotFound.
    """
    row = await _find(session, message_id)
    again = row.recipients
    if row.kind == "email" and row.state != "pending":
        again = {to: state for to, state in (again or {}).items() if state.startswith("sent")}
        if set(again) == set(json.loads(row.payload)["to"]):
            raise Conflict("state", "everybody has this mail")
    row.state, row.attempts, row.next_at, row.ended_at, row.recipients = "pending", 0, now_ms(), None, again
    session.add(row)
    await session.flush()
    session.info[TOLD] = True
    await audit.record(session, "outbox.retried", "outbox", row.id)
    return _shown(row)


async def retry_dead(session: AsyncSession, *, endpoint_id: int | None = None) -> int:
    """Send all dead messages again, or those of one endpoint; how many. Mails only to those who do not have them."""
    where = [col(_ROW.state) == "dead"]
    if endpoint_id is not None:
        where.append(col(_ROW.endpoint_id) == endpoint_id)
    values = {"state": "pending", "attempts": 0, "next_at": now_ms(), "ended_at": None, "recipients": None}
    mails = (await session.exec(select(_ROW.id).where(*where, col(_ROW.kind) == "email"))).all()
    count = (await session.exec(update(_ROW).where(*where, col(_ROW.kind) != "email").values(values))).rowcount
    for mail in mails:
        with suppress(Conflict):
            await retry(session, mail)
            count += 1
    if count:
        session.info[TOLD] = True
        await audit.record(
            session, "outbox.retried", "outbox", None, None, {"messages": count, "endpoint": endpoint_id}
        )
    return int(count)


async def discard(session: AsyncSession, message_id: str) -> dict[str, Any]:
    """Never send it (again). Raises NotFound, Conflict."""
    row = await _find(session, message_id)
    if row.state in ("delivered", "discarded"):
        raise Conflict("state", f"is {row.state} already")
    row.state, row.ended_at = "discarded", now_ms()
    session.add(row)
    await session.flush()
    await audit.record(session, "outbox.discarded", "outbox", row.id)
    return _shown(row)


async def counts(session: AsyncSession) -> dict[str, int]:
    """Messages by state; all states are there."""
    query = select(_ROW.state, func.count()).group_by(col(_ROW.state))
    return {**dict.fromkeys(get_args(OutboxState), 0), **dict((await session.exec(query)).all())}


def _condition(name: str, values: Sequence[str]) -> Any:
    if name not in FILTERS:
        raise UnknownKey(name, f"is not one of {', '.join(FILTERS)}")
    allowed = _ALLOWED.get(name)
    for value in values:
        if allowed is not None and value not in allowed:
            raise Invalid(name, f"must be one of {', '.join(allowed)}")
        if name == "endpoint_id" and not (value.isascii() and value.isdigit() and len(value) <= 9):
            raise Invalid(name, "must be the id of a webhook endpoint")
    return getattr(_ROW, name).in_([int(value) if name == "endpoint_id" else value for value in values])


async def _find(session: AsyncSession, message_id: str) -> OutboxRow:
    row = (await session.exec(select(_ROW).where(col(_ROW.id) == message_id[:100]))).first()
    if row is None:
        raise NotFound("message", f"there is no message {message_id[:50]!r}")
    return row


def _shown(row: OutboxRow) -> dict[str, Any]:
    values = {name: plain(name, getattr(row, name)) for name in _SHOWN}
    if row.state != "pending" or not row.next_at:
        values["next_at"] = None
    return values
