"""Who changed what: entries that can only be added, each with the hash of the one before it.

`record` keeps an entry until its transaction commits; then all of them are written at once, so that the chain's
end is locked for the last moment of the transaction only (two bulk changes do not wait for each other, and
cannot lock each other out).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import event, insert, select, update
from sqlalchemy.orm import Session, SessionTransaction
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.store.models.audit import AuditEntry, AuditHead

START = "0" * 64
"""What the first entry has for the hash of the one before it."""

Kind = Literal["key", "user", "cli", "system"]
HIDDEN = "(hidden)"
_SECRET = ("password", "secret", "token", "key_hash", "signing_key", "api_key")
_HASHED = (
    *("id", "at", "action", "resource_type", "resource_id", "actor_kind", "actor_id", "actor_name", "address"),
    *("reason", "changes"),
)
_LONGEST = 4_000
"""Characters of one value kept in an entry; a longer one is kept as its length and hash."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a key or a user of the API (`id` is the row's), an account of this machine, or DCX itself."""

    kind: Kind
    id: str | None = None
    name: str = ""
    address: str | None = None


SYSTEM = Actor("system", None, "dcx")


@dataclass
class _Pending:
    """Entries of one session that wait for its commit, each with the savepoints that it was recorded in."""

    entries: list[tuple[frozenset[int], dict[str, Any]]] = field(default_factory=list)


async def record(
    session: AsyncSession,
    action: str,
    resource_type: str,
    resource_id: str | int | None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    """Note a change by `session.info["actor"]` (DCX itself, if there is none); written when `session` commits.

    `action` is `campaign.created`, `buyer.paused`: the kind of row in the singular, a dot, what was done. Where
    both `before` and `after` are given, only the values that differ are kept; secrets are never kept.
    """
    actor: Actor = session.info.get("actor", SYSTEM)
    entry = {
        "at": now_ms(),
        "action": action,
        "resource_type": resource_type,
        "resource_id": None if resource_id is None else str(resource_id),
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "actor_name": actor.name,
        "address": actor.address,
        "reason": reason,
        "changes": _changes(before, after),
    }
    _pending(session.sync_session).entries.append((_savepoints(session.sync_session), entry))


def chained(previous: str, entry: Mapping[str, Any]) -> str:
    """The hash of an entry: of the hash before it and of its values, as canonical JSON."""
    text = canonical([previous, *(entry[name] for name in _HASHED)])
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(value: Any) -> str:
    """JSON in the one spelling that is hashed: keys sorted, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)


def _changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    if before is not None and after is not None:
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        before = {name: before[name] for name in names if name in before}
        after = {name: after[name] for name in names if name in after}
    sides = {"before": before, "after": after}
    return canonical({side: _shown(values) for side, values in sides.items() if values is not None})


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: HIDDEN if _is_secret(name) and value else _short(value) for name, value in values.items()}


def _is_secret(name: str) -> bool:
    return any(part in name for part in _SECRET) and not name.startswith("has_")


def _short(value: Any) -> Any:
    text = canonical(value)
    if len(text) <= _LONGEST:
        return value
    return {"characters": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, (set, frozenset, tuple)):
        return sorted(map(str, value))
    return str(value)


def _pending(session: Session) -> _Pending:
    found: _Pending | None = session.info.get("audit_pending")
    if found is None:
        found = session.info["audit_pending"] = _Pending()
        event.listen(session, "before_commit", _before_commit)
        event.listen(session, "after_soft_rollback", _after_rollback)
    return found


def _savepoints(session: Session) -> frozenset[int]:
    found, at = set(), session.get_nested_transaction()
    while at is not None:
        found.add(id(at))
        at = at.parent
    return frozenset(found)


def _before_commit(session: Session) -> None:
    """Write what is pending; a released savepoint is not yet a commit."""
    pending = _pending(session)
    if session.in_nested_transaction() or not pending.entries:
        return
    entries, pending.entries = [entry for _, entry in pending.entries], []
    _write(session, entries)


def _after_rollback(session: Session, previous: SessionTransaction) -> None:
    pending = _pending(session)
    if previous.nested:
        pending.entries = [each for each in pending.entries if id(previous) not in each[0]]
    else:
        pending.entries = []


def _write(session: Session, entries: Sequence[dict[str, Any]]) -> None:
    connection = session.connection()
    head: Any = AuditHead.__table__  # type: ignore[attr-defined]
    connection.execute(update(head).values(seq=head.c.seq + len(entries)))  # locks it: the next one waits here
    last, previous = connection.execute(select(head.c.seq, head.c.hash)).one()
    rows = []
    for number, entry in enumerate(entries, last - len(entries) + 1):
        row = {"id": number, **entry, "previous": previous}
        previous = row["hash"] = chained(previous, row)
        rows.append(row)
    connection.execute(insert(AuditEntry.__table__), rows)  # type: ignore[attr-defined]
    connection.execute(update(head).values(hash=previous))
