"""Saved views: a list's filters, order and columns under a name, for oneself or for all.

Everybody has his own (`owner`); one that is shared may be used by all and changed by its owner, or by whoever may
manage settings. Where two have one name, one's own is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlmodel import col, delete, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.services import audit
from dcx_ari.services.errors import Conflict, Invalid, NotFound, Stale
from dcx_ari.services.listing import Query
from dcx_ari.services.parse import parse_fields, suggest
from dcx_ari.services.render import plain
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.models import SavedView, SavedViewFields

ViewFields = SavedViewFields
_FIELDS = tuple(SavedViewFields.model_fields)
_MOST = 500
"""Views of one owner."""


def kinds() -> tuple[str, ...]:
    """What a view can be of."""
    return (*RESOURCES, "calls")


def owner_of(session: AsyncSession) -> str:
    """`key:3`, `user:5`, `cli:ann`: whoever the session is for."""
    actor: audit.Actor = session.info.get("actor", audit.SYSTEM)
    return f"{actor.kind}:{actor.id or actor.name}"


async def list_views(session: AsyncSession, resource: str = "") -> list[dict[str, Any]]:
    """One's own and the shared ones, by kind and name; of one kind where it is named. Raises Invalid."""
    seen = _seen(session)
    if resource:
        seen.append(col(SavedView.resource) == _kind(resource))
    order = (col(SavedView.resource), col(SavedView.name), col(SavedView.id))
    found = (await session.exec(select(SavedView).where(*seen).order_by(*order))).all()
    return [_shown(session, row) for row in found]


async def get_view(session: AsyncSession, key: str | int, resource: str = "") -> dict[str, Any]:
    """By id; or by name, of a kind of row. Raises NotFound, Invalid where the name is not enough."""
    return _shown(session, await _find(session, key, resource))


async def create_view(session: AsyncSession, data: Mapping[str, Any], *, strict: bool = False) -> dict[str, Any]:
    """Raises Invalid, Conflict."""
    values = _parsed(data, strict=strict)
    await _check_free(session, values, None)
    now = now_ms()
    row = SavedView(owner=owner_of(session), created_at=now, updated_at=now, **values)
    session.add(row)
    await session.flush()
    shown = _shown(session, row)
    await audit.record(session, "saved_view.created", "saved_view", row.id, None, shown)
    return shown


async def change_view(
    session: AsyncSession,
    key: str | int,
    data: Mapping[str, Any],
    *,
    resource: str = "",
    strict: bool = False,
    version: int | None = None,
    manager: bool = True,
) -> dict[str, Any]:
    """Set what is given. `manager`: may change what others share. Raises NotFound, Invalid, Conflict, Stale."""
    row = await _find(session, key, resource, lock=True)
    _check_mine(session, row, manager=manager)
    if version is not None and row.version != version:
        raise Stale("version", f"is {row.version} now, not {version}: read it again")
    before = {name: getattr(row, name) for name in _FIELDS}
    values = _parsed({**before, **data}, strict=strict)
    if values == before:
        return _shown(session, row)
    await _check_free(session, values, row)
    for name, value in values.items():
        setattr(row, name, value)
    row.version += 1
    row.updated_at = now_ms()
    await session.flush()
    await audit.record(session, "saved_view.updated", "saved_view", row.id, before, values)
    return _shown(session, row)


async def remove_view(
    session: AsyncSession, key: str | int, *, resource: str = "", manager: bool = True
) -> dict[str, Any]:
    """Raises NotFound, Conflict."""
    row = await _find(session, key, resource, lock=True)
    _check_mine(session, row, manager=manager)
    shown = _shown(session, row)
    await session.exec(delete(SavedView).where(col(SavedView.id) == row.id))
    await audit.record(session, "saved_view.deleted", "saved_view", row.id, shown, None)
    return shown


async def with_view(session: AsyncSession, resource: str, query: Query) -> Query:
    """What the query's view asks for, and what the query says besides; a filter that both have is the query's.

    Raises NotFound, Invalid.
    """
    if not query.view:
        return query
    row = await _of_kind(session, query.view, resource)
    usual = Query()
    changes: dict[str, Any] = {"filters": {**row.filters, **query.filters}, "view": ""}
    if row.search and not query.search:
        changes["search"] = row.search
    if row.sort_by and query.sort_by == usual.sort_by and not query.descending:
        changes |= {"sort_by": row.sort_by, "descending": row.sort_desc}
    return replace(query, **changes)


async def columns_of(session: AsyncSession, resource: str, name: str) -> tuple[str, ...]:
    """The columns that a view shows, in its order; none: the usual ones. Raises NotFound, Invalid."""
    row = await _of_kind(session, name, resource)
    placed = [each for each in row.column_order if not row.visible_columns or each in row.visible_columns]
    return tuple(dict.fromkeys([*placed, *row.visible_columns]))


async def _of_kind(session: AsyncSession, name: str, resource: str) -> SavedView:
    row = await _find(session, name, resource)
    if row.resource != _kind(resource):
        raise Invalid("view", f"{row.name!r} is a view of {row.resource}")
    return row


async def _find(session: AsyncSession, key: str | int, resource: str = "", *, lock: bool = False) -> SavedView:
    text = str(key).strip()
    if text.isascii() and text.isdigit():
        named: list[Any] = [col(SavedView.id) == int(text)] if len(text) < 10 else [col(SavedView.id) == -1]
    else:
        named = [col(SavedView.name) == text] if text.isprintable() else [col(SavedView.id) == -1]
        if resource:
            named.append(col(SavedView.resource) == _kind(resource))
    query = select(SavedView).where(*named, *_seen(session)).order_by(col(SavedView.id))
    found = (await session.exec(query.with_for_update() if lock else query)).all()
    owner = owner_of(session)
    mine = [row for row in found if row.owner == owner] or list(found)
    if not mine:
        others = [*_seen(session), *([col(SavedView.resource) == _kind(resource)] if resource else [])]
        known = (await session.exec(select(SavedView.name).where(*others))).all()
        raise NotFound("view", f"there is no view {text!r}{suggest(text, known)}")
    if len({row.resource for row in mine}) > 1:
        raise Invalid("view", f"{text!r} is a view of {', '.join(row.resource for row in mine)}: say which")
    return mine[0]


def _seen(session: AsyncSession) -> list[Any]:
    return [or_(col(SavedView.owner) == owner_of(session), col(SavedView.shared).is_(True))]


def _check_mine(session: AsyncSession, row: SavedView, *, manager: bool) -> None:
    if row.owner != owner_of(session) and not manager:
        raise Conflict("view", f"{row.name!r} is somebody else's: save one of your own")


def _kind(resource: str) -> str:
    """The name of a kind of row from its name or path."""
    for each in RESOURCES.values():
        if resource in (each.name, each.path, *each.aliases):
            return each.name
    if resource != "calls":
        raise Invalid("resource", f"must be one of {', '.join(kinds())}{suggest(resource, kinds())}")
    return resource


def _parsed(data: Mapping[str, Any], *, strict: bool) -> dict[str, Any]:
    for name in data:
        if name not in _FIELDS:
            raise Invalid(name, f"is not a field of views{suggest(name, _FIELDS)}")
    values = parse_fields(SavedViewFields, data, strict=strict)
    values["resource"] = _kind(values["resource"])
    for name in ("visible_columns", "column_order"):
        if len(values[name]) > 200 or any(len(each) > 100 for each in values[name]):
            raise Invalid(name, "must be at most 200 names of columns")
    if len(str(values["filters"])) > 10_000:
        raise Invalid("filters", "must not be longer than 10000 characters")
    return values


async def _check_free(session: AsyncSession, values: Mapping[str, Any], row: SavedView | None) -> None:
    owner = row.owner if row is not None else owner_of(session)
    mine = (await session.exec(select(SavedView).where(col(SavedView.owner) == owner))).all()
    if row is None and len(mine) >= _MOST:
        raise Conflict("view", f"there are {_MOST} already: remove some")
    for other in mine:
        if other is not row and (other.resource, other.name) == (values["resource"], values["name"]):
            raise Conflict("name", f"{values['name']!r} is taken by another view of {values['resource']}")


def _shown(session: AsyncSession, row: SavedView) -> dict[str, Any]:
    shown = {"id": row.id, **{name: plain(name, getattr(row, name)) for name in _FIELDS}}
    shown["mine"] = row.owner == owner_of(session)
    for name in ("version", "created_at", "updated_at"):
        shown[name] = plain(name, getattr(row, name))
    return shown
