"""Make, change, copy, pause and remove configuration rows: one mechanism for every kind.

Each function works in the caller's transaction (`async with database.write() as session`), raises a Refused
before anything is written, and counts `config_version` up in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.clock import now_ms
from dcx_ari.services import audit
from dcx_ari.services.checking import checked
from dcx_ari.services.errors import Conflict, Invalid, Stale
from dcx_ari.services.find import find, find_id, missing
from dcx_ari.services.listing import shown_rows
from dcx_ari.services.render import fetched, plain, reader
from dcx_ari.services.resources import RESOURCES, Resource, ref_name
from dcx_ari.store import models as m
from dcx_ari.store.models.base import ConfigRow

_SHORT = 60


async def get(session: AsyncSession, resource: Resource, key: str | int) -> dict[str, Any]:
    """The row as JSON values. Raises NotFound."""
    row_id = await find_id(session, resource, key)
    if row_id is None:
        raise await missing(session, resource, key)
    return await _by_id(session, resource, row_id)


async def shown(session: AsyncSession, resource: Resource, row: ConfigRow) -> dict[str, Any]:
    """A row that is flushed, as lists show it."""
    return await _by_id(session, resource, row.id or 0)


async def _by_id(session: AsyncSession, resource: Resource, row_id: int) -> dict[str, Any]:
    statement = reader(resource).statement.where(col(resource.model.id) == row_id)
    (found,) = await shown_rows(session, resource, await fetched(session, statement))
    return found


async def create(
    session: AsyncSession,
    resource: Resource,
    data: Mapping[str, Any],
    *,
    strict: bool = False,
    reason: str | None = None,
) -> dict[str, Any]:
    """A new row from field values; references may be given by name. Raises Invalid, Conflict."""
    values = await checked(session, resource, data, {}, None, strict=strict)
    now = now_ms()
    row = resource.model(**values, created_at=now, updated_at=now)
    session.add(row)
    await _changed(session, resource, now)
    if resource.wrote is not None:
        await resource.wrote(session, row, data.keys())
    made = await shown(session, resource, row)
    await audit.record(
        session, f"{kind_of(resource)}.created", kind_of(resource), row.id, None, _columns(resource, made), reason
    )
    return made


def _columns(resource: Resource, row: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is worked out for readers, such as counts."""
    return {name: row[name] for name in reader(resource).names}


def kind_of(resource: Resource) -> str:
    """`traffic_source`: the kind of row in the audit log."""
    return resource.singular.replace(" ", "_").replace("-", "_")


async def change(
    session: AsyncSession,
    resource: Resource,
    key: str | int,
    data: Mapping[str, Any],
    *,
    strict: bool = False,
    version: int | None = None,
    action: str = "updated",
    reason: str | None = None,
) -> dict[str, Any]:
    """Set the fields given in `data`. `version`: refuse with Stale if the row is no longer of that version.

    A change that changes nothing leaves the row's version alone. `reason` is for the audit log.
    """
    row = await find(session, resource, key, lock=True)
    _check_version(resource, row, version, _wanted(resource, data))
    before = {name: getattr(row, name) for name in resource.writable}
    values = await checked(session, resource, data, before, row.id, strict=strict)
    changed = {name: value for name, value in values.items() if value != before[name]}
    if changed:
        for name, value in changed.items():
            setattr(row, name, value)
        now = now_ms()
        row.version += 1
        row.updated_at = now
        await _changed(session, resource, now)
        hidden = dict.fromkeys(resource.secrets & set(changed), audit.HIDDEN)
        old = {name: before[name] for name in changed if name not in hidden}
        kind = kind_of(resource)
        await audit.record(session, f"{kind}.{action}", kind, row.id, old, {**changed, **hidden}, reason)
        if resource.told is not None:
            await resource.told(session, row, changed, reason)
    if resource.wrote is not None:
        await resource.wrote(session, row, data.keys())
    return await shown(session, resource, row)


def _wanted(resource: Resource, data: Mapping[str, Any]) -> list[str]:
    """The columns that `data` is about, of those that may be shown."""
    named = {ref_name(column): column for column in resource.refs}
    wanted = [named.get(name, name) for name in data]
    return [name for name in resource.writable if name in wanted and name not in resource.secrets]


def _check_version(resource: Resource, row: ConfigRow, version: int | None, wanted: Iterable[str] = ()) -> None:
    """Raises Stale, saying how the row is now."""
    if version is None or row.version == version:
        return
    values = {name: plain(name, getattr(row, name)) for name in wanted}
    current = {"version": row.version, "updated_at": plain("updated_at", row.updated_at), "values": values}
    now = "; ".join(f"{name} is {_shortly(value)} now" for name, value in values.items())
    raise Stale("version", f"is {row.version} now, not {version}: read it again{f' ({now})' if now else ''}", current)


def _shortly(value: Any) -> str:
    text = "empty" if value in (None, "") else str(value)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


async def remove(
    session: AsyncSession,
    resource: Resource,
    key: str | int,
    *,
    version: int | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    """Delete a row and what belongs to it. Raises NotFound, Stale; Conflict if other rows need it."""
    row = await find(session, resource, key, lock=True)
    _check_version(resource, row, version)
    await _check_unused(session, resource, row)
    gone = await shown(session, resource, row)
    await session.exec(sql_delete(resource.model).where(col(resource.model.id) == row.id))
    await _changed(session, resource, now_ms())
    await audit.record(
        session, f"{kind_of(resource)}.deleted", kind_of(resource), row.id, _columns(resource, gone), None, reason
    )
    return gone


async def set_paused(
    session: AsyncSession, resource: Resource, key: str | int, paused: bool, *, reason: str | None = None
) -> dict[str, Any]:
    """Pause: no new calls; those that are up go on."""
    if not resource.pausable:
        raise Invalid("status", f"{resource.name} cannot be paused")
    status, action = ("INACTIVE", "paused") if paused else ("ACTIVE", "resumed")
    return await change(session, resource, key, {"status": status}, action=action, reason=reason)


async def copy(
    session: AsyncSession,
    resource: Resource,
    key: str | int,
    data: Mapping[str, Any] | None = None,
    *,
    reason: str | None = None,
) -> dict[str, Any]:
    """A new row like an old one: inactive, named `X (Copy)`, then `X (Copy 2)`; its links are copied too."""
    if resource.key != "name":
        raise Invalid(resource.argument, f"{resource.name} cannot be copied")
    old = await find(session, resource, key)
    values = {name: getattr(old, name) for name in resource.writable}
    values["name"] = await _free_name(session, resource, values["name"])
    if resource.pausable:
        values["status"] = "INACTIVE"
    if "is_default" in values:
        values["is_default"] = False
    made = await create(session, resource, {**values, **(data or {})}, reason=reason)
    for link_name, column in resource.copies.items():
        link = RESOURCES[link_name]
        query = select(link.model).where(getattr(link.model, column) == old.id)
        for row in (await session.exec(query)).all():
            taken = {name: getattr(row, name) for name in link.writable}
            await create(session, link, {**taken, column: made["id"]})
    return made


async def _free_name(session: AsyncSession, resource: Resource, name: str) -> str:
    column: Any = getattr(resource.model, "name")  # noqa: B009  not every ConfigRow has one
    taken = set((await session.exec(select(column).where(column.startswith(name, autoescape=True)))).all())
    number = 1
    while (wanted := f"{name} (Copy)" if number == 1 else f"{name} (Copy {number})") in taken:
        number += 1
    return wanted


async def _check_unused(session: AsyncSession, resource: Resource, row: ConfigRow) -> None:
    """Refuses, by name, while other rows hold on to this one (foreign keys with RESTRICT)."""
    for other in RESOURCES.values():
        for column, target in other.refs.items():
            if target != resource.name or not _restricts(other, column):
                continue
            model: Any = other.model
            where = getattr(model, column) == row.id
            count = (await session.exec(select(func.count()).select_from(model).where(where))).one()
            if count:
                shown_key = getattr(model, other.key or "id")
                first = (await session.exec(select(shown_key).where(where).order_by(model.id).limit(3))).all()
                users = ", ".join(map(str, first)) + (", …" if count > len(first) else "")
                raise Conflict(resource.singular, f"is still used by {count} of {other.name}: {users}")


def _restricts(resource: Resource, column: str) -> bool:
    table = resource.model.metadata.tables[resource.table]
    return any(key.ondelete == "RESTRICT" for key in table.columns[column].foreign_keys)


async def _changed(session: AsyncSession, resource: Resource, at_ms: int) -> None:
    """Write the change and count the configuration's version up (where routing depends on it), in one transaction."""
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict("row", f"clashes with another row: {str(error.orig).splitlines()[0]}") from None
    await count_up(session, resource, at_ms)


async def count_up(session: AsyncSession, resource: Resource, at_ms: int) -> None:
    """The configuration has a new version, if routing depends on rows of this kind."""
    if resource.routing:
        row = m.ConfigVersion
        await session.exec(update(row).values(version=row.version + 1, updated_at=at_ms))
