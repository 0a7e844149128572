"""The audit log read: filtered, page by page, and checked for whether its chain is whole."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.audit import START, chained
from dcx_ari.services.errors import Invalid, UnknownKey
from dcx_ari.services.listing import MAX_LIMIT, Page, Query, decode_cursor, encode_cursor, moment_of
from dcx_ari.services.parse import check_text, suggest
from dcx_ari.services.times import rfc3339
from dcx_ari.store.db import Database
from dcx_ari.store.models import AuditEntry, AuditHead

FILTERS: Mapping[str, str] = {
    "user_id": "Changes by this user",
    "key_id": "Changes with this API key",
    "actor": "key, user, cli or system; or with an id or name behind a colon: cli:root",
    "action": "Such as campaign.created; campaign.* is all about campaigns",
    "resource_type": "Kind of row, such as campaign",
    "resource_id": "Id of the row",
    "resource": "Kind and id at once: campaign:5",
    "ip_address": "From this address",
    "from": "Not before this date (UTC) or time",
    "to": "Before this date or time",
}
_BATCH = 1_000
_ACTION = re.compile(r"[a-z_]+(\.[a-z_]+|\.\*)?")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`broken_at`: the first entry that is not as it was written, and why; None: the chain is whole."""

    entries: int
    head: str
    broken_at: int | None = None
    reason: str = ""
    seen: bool = True
    """Whether the hash that was asked for is in the chain."""


async def list_entries(session: AsyncSession, query: Query) -> Page:
    """Newest first. Raises UnknownKey, Invalid."""
    conditions = [_condition(key, values) for key, values in query.filters.items()]
    if query.limit is not None and not 1 <= query.limit <= MAX_LIMIT:
        raise Invalid("limit", f"must be 1 to {MAX_LIMIT}")
    total = (await session.exec(select(func.count()).select_from(AuditEntry).where(*conditions))).one()
    if query.cursor is not None:
        at, entry_id = decode_cursor(query.cursor)
        if at is not None or type(entry_id) is not int or not 0 < entry_id < 2**63:
            raise Invalid("cursor", "does not belong to this list")
        conditions.append(col(AuditEntry.id) < entry_id)
    statement = select(AuditEntry).where(*conditions).order_by(col(AuditEntry.id).desc())
    if query.limit is not None:
        statement = statement.limit(query.limit + 1)
    rows = list((await session.exec(statement)).all())
    more = query.limit is not None and len(rows) > query.limit
    rows = rows[: query.limit] if more else rows
    return Page([shown(row) for row in rows], encode_cursor(None, rows[-1].id) if more else None, total)


def shown(row: AuditEntry) -> dict[str, Any]:
    """A28.5: `user_id, action, resource_type, resource_id, changes, ip_address`, and who else it may have been."""
    number = int(row.actor_id) if row.actor_kind == "user" and row.actor_id else None
    return {
        "id": row.id,
        "created_at": rfc3339(row.at),
        "user_id": number,
        "actor": {"kind": row.actor_kind, "id": row.actor_id, "name": row.actor_name},
        "action": row.action,
        "resource_type": row.resource_type,
        "resource_id": row.resource_id,
        "changes": {"before": None, "after": None, **json.loads(row.changes)},
        "ip_address": row.address,
        "reason": row.reason,
        "hash": row.hash,
    }


async def verify(database: Database, wanted: str | None = None) -> Verdict:
    """Read all of the log and work out the hashes again. `wanted`: a hash noted earlier must be among them.

    Whoever can write to the database can also write a whole new chain: only a hash that was noted elsewhere
    shows that.
    """
    previous, last, seen = START, 0, wanted in (None, START)
    async with database.read() as session:
        head = (await session.exec(select(AuditHead).where(col(AuditHead.id) == 1))).first()
        while True:
            batch = select(AuditEntry).where(col(AuditEntry.id) > last).order_by(col(AuditEntry.id)).limit(_BATCH)
            rows = (await session.exec(batch)).all()
            for row in rows:
                if (reason := _fault(row, last, previous)) is not None:
                    return Verdict(last, previous, last + 1, reason, seen)
                previous, last = row.hash, row.id
                seen = seen or row.hash == wanted
            session.expunge_all()
            if len(rows) < _BATCH:
                break
    if head is None or (head.seq, head.hash) != (last, previous):
        return Verdict(last, previous, last + 1, "the newest entries are missing", seen)
    return Verdict(last, previous, None, "", seen)


def _fault(row: AuditEntry, last: int, previous: str) -> str | None:
    if row.id != last + 1:
        return "is missing"
    if row.previous != previous:
        return "does not follow the one before it"
    return None if chained(previous, row.model_dump()) == row.hash else "was altered"


def _condition(key: str, values: Any) -> Any:
    """One filter; several values mean any of them."""
    if key not in FILTERS:
        raise UnknownKey(key, f"is not a filter of the audit log{suggest(key, FILTERS)}")
    for value in values:
        check_text(key, value)
    if key in ("from", "to"):
        at = moment_of(key, values[-1])
        return col(AuditEntry.at) >= at if key == "from" else col(AuditEntry.at) < at
    found = [_one(key, value) for value in values]
    joined = found[0]
    for each in found[1:]:
        joined = joined | each
    return joined


def _one(key: str, value: str) -> Any:
    row = AuditEntry
    if key in ("user_id", "key_id"):
        return (col(row.actor_kind) == key.removesuffix("_id")) & (col(row.actor_id) == value)
    if key == "action":
        if not _ACTION.fullmatch(value):
            raise Invalid(key, "must look like campaign.created or campaign.*")
        return (
            col(row.action).startswith(value[:-1], autoescape=True) if value.endswith("*") else col(row.action) == value
        )
    if key in ("resource", "actor"):
        kind, colon, name = value.partition(":")
        if key == "resource":
            return (col(row.resource_type) == kind) & ((col(row.resource_id) == name) if colon else True)
        who = (col(row.actor_id) == name) | (col(row.actor_name) == name)
        return (col(row.actor_kind) == kind) & who if colon else col(row.actor_kind) == kind
    column = {"ip_address": row.address, "resource_type": row.resource_type, "resource_id": row.resource_id}[key]
    return col(column) == value
