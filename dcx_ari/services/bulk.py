"""Many rows of one kind paused, activated or deleted at once, each with its own result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services import rows
from dcx_ari.services.errors import Conflict, Invalid, Refused
from dcx_ari.services.find import find_id, missing
from dcx_ari.services.parse import check_text, suggest
from dcx_ari.services.resources import Resource
from dcx_ari.services.short_ids import short_id
from dcx_ari.store.db import Database

Action = Literal["pause", "activate", "delete"]
ACTIONS: tuple[Action, ...] = get_args(Action)
MOST = 1_000
LONGEST_REASON = 1_000


@dataclass(frozen=True, slots=True)
class Order:
    """What to do with which rows: ids, short ids or keys, each once."""

    action: Action
    keys: tuple[str | int, ...]
    reason: str | None = None
    atomic: bool = False


class NotAll(Conflict):
    """All or nothing was asked for, and some rows were refused: nothing was changed. `results` says which."""

    def __init__(self, results: Sequence[Mapping[str, Any]]) -> None:
        self.results = list(results)
        refused = sum(not each["ok"] for each in results)
        super().__init__("atomic", f"nothing was changed: {refused} of {len(results)} rows were refused")

    def as_json(self) -> dict[str, Any]:
        return {**super().as_json(), "results": self.results}


def ids_field(resource: Resource) -> str:
    """`campaign_ids`: where the body names the rows."""
    return f"{rows.kind_of(resource)}_ids"


def actions_of(resource: Resource) -> tuple[Action, ...]:
    return ACTIONS if resource.pausable else ("delete",)


def read_order(resource: Resource, data: Mapping[str, Any]) -> Order:
    """From `{campaign_ids: […], action, reason, atomic}`. Raises Invalid."""
    field = ids_field(resource)
    known = (field, "action", "reason", "atomic")
    for name, value in data.items():
        if name not in known:
            raise Invalid(name, f"is not known here{suggest(name, known)}")
        check_text(name, value)
    reason, atomic = data.get("reason"), data.get("atomic", False)
    if reason is not None and not isinstance(reason, str):
        raise Invalid("reason", "must be text")
    if not isinstance(atomic, bool):
        raise Invalid("atomic", "must be true or false")
    return order(resource, data.get("action"), data.get(field), reason=reason, atomic=atomic)


def order(resource: Resource, action: Any, keys: Any, *, reason: str | None = None, atomic: bool = False) -> Order:
    """A checked order. Raises Invalid."""
    field, allowed = ids_field(resource), actions_of(resource)
    if action not in allowed:
        raise Invalid("action", f"must be one of {', '.join(allowed)}" if action is not None else "is required")
    if not isinstance(keys, (list, tuple)) or not keys:
        raise Invalid(field, "must be a list of ids, at least one")
    if len(keys) > MOST:
        raise Invalid(field, f"must not have more than {MOST} entries")
    for number, key in enumerate(keys):
        if isinstance(key, bool) or not isinstance(key, (int, str)) or not str(key).strip():
            raise Invalid(f"{field}.{number}", f"must be the id or the {resource.key or 'id'} of a {resource.singular}")
    if reason is not None and len(reason) > LONGEST_REASON:
        raise Invalid("reason", f"must have at most {LONGEST_REASON} characters")
    return Order(action, tuple(dict.fromkeys(keys)), (reason or "").strip() or None, atomic)


class _Undo(Exception):
    """Takes a transaction back."""


async def carry_out(database: Database, resource: Resource, wanted: Order, *, dry_run: bool = False) -> dict[str, Any]:
    """In a transaction of its own, see `in_session`; with `dry_run` it is taken back in the end."""
    result: dict[str, Any] = {}
    try:
        async with database.write() as session:
            result = await in_session(session, resource, wanted)
            if dry_run:
                raise _Undo
    except _Undo:
        pass
    return result


async def in_session(session: AsyncSession, resource: Resource, wanted: Order) -> dict[str, Any]:
    """Rows that are refused stay as they are; with `atomic` all do. The reason goes into the audit log.

    `results` has for each row what was `given`, its `id` and `short_id`, `ok`, and the error where it was refused.
    Raises NotAll.
    """
    results: list[dict[str, Any]] = []
    done: dict[int, dict[str, Any]] = {}
    for key in wanted.keys:
        row_id = await find_id(session, resource, key)
        if row_id in done:
            results.append({**done[row_id], "given": key})
            continue
        result = await _one(session, resource, wanted, key, row_id)
        results.append(result)
        if row_id is not None:
            done[row_id] = result
    failed = sum(not each["ok"] for each in results)
    if failed and wanted.atomic:
        raise NotAll(results)
    counts = {"succeeded": len(results) - failed, "failed": failed}
    return {"action": wanted.action, "atomic": wanted.atomic, **counts, "results": results}


async def _one(
    session: AsyncSession, resource: Resource, wanted: Order, key: str | int, row_id: int | None
) -> dict[str, Any]:
    named = {"given": key, "id": row_id, "short_id": None if row_id is None else short_id(resource, row_id)}
    try:
        if row_id is None:
            raise await missing(session, resource, key)
        async with session.begin_nested():
            await _act(session, resource, wanted, row_id)
    except Refused as error:
        return {**named, "ok": False, **error.as_json()}
    return {**named, "ok": True, "error": None}


async def _act(session: AsyncSession, resource: Resource, wanted: Order, row_id: int) -> None:
    if wanted.action == "delete":
        await rows.remove(session, resource, row_id, reason=wanted.reason)
    else:
        await rows.set_paused(session, resource, row_id, wanted.action == "pause", reason=wanted.reason)
