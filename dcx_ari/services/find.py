"""Find a row by id or by key, and turn references into ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.errors import Invalid, NotFound
from dcx_ari.services.parse import suggest
from dcx_ari.services.resources import RESOURCES, Resource, ref_name
from dcx_ari.services.scope import conditions, scope_of
from dcx_ari.services.short_ids import MAX_ID, id_of
from dcx_ari.store.fields import e164
from dcx_ari.store.models.base import ConfigRow


async def find(session: AsyncSession, resource: Resource, key: str | int, *, lock: bool = False) -> ConfigRow:
    """The row with this id, short id or key. Raises NotFound, with the nearest key where there is one."""
    row_id = await find_id(session, resource, key)
    row = await session.get(resource.model, row_id, with_for_update=lock or None) if row_id else None
    if row is None:
        raise await missing(session, resource, key)
    return row


async def missing(session: AsyncSession, resource: Resource, key: str | int) -> NotFound:
    """The error that says so."""
    return NotFound(resource.singular, f"there is no {resource.singular} {key!r}{await _near(session, resource, key)}")


async def find_id(session: AsyncSession, resource: Resource, key: str | int) -> int | None:
    """The id of the row with this id, short id or key, or None; also None for a row outside the session's scope.

    Digits alone are an id: no name is only digits, and none looks like a short id of its kind.
    """
    text = str(key).strip()
    model: Any = resource.model
    number = id_of(resource, text)
    if text.isascii() and text.isdigit():
        number = int(text) if len(text) <= 10 else MAX_ID + 1
        text = f"+{text}"  # a phone number whose + was left out, as in a URL
    if number is not None and number <= MAX_ID:
        found = await _one(session, resource, model.id == number)
        if found is not None:
            return found
    if resource.key is None or "\x00" in text or not text.isprintable():
        return None
    if resource.key == "phone_number":
        try:
            text = e164(text)
        except ValueError:
            return None
    return await _one(session, resource, getattr(model, resource.key) == text)


async def _one(session: AsyncSession, resource: Resource, where: Any) -> int | None:
    model: Any = resource.model
    allowed = conditions(scope_of(session), resource)
    found: int | None = (await session.exec(select(model.id).where(where, *allowed))).first()
    return found


async def _near(session: AsyncSession, resource: Resource, key: str | int) -> str:
    if resource.key is None or str(key).isdigit():
        return ""
    column: Any = getattr(resource.model, resource.key)
    allowed = conditions(scope_of(session), resource)
    return suggest(str(key), (await session.exec(select(column).where(*allowed).order_by(column).limit(2000))).all())


async def resolve_refs(session: AsyncSession, resource: Resource, data: Mapping[str, Any]) -> dict[str, Any]:
    """`campaign: "Demo"` or `campaign_id: "Demo"` -> `campaign_id: 3`. Raises Invalid if there is none."""
    values = dict(data)
    for column, target_name in resource.refs.items():
        target = RESOURCES[target_name]
        for name in (ref_name(column), column):
            if name not in values:
                continue
            wanted = values.pop(name) if name != column else values[name]
            found = await _resolve(session, target, name, wanted)
            if name == column and name in data and ref_name(column) in data and values[column] != found:
                raise Invalid(name, f"and {ref_name(column)} name different rows")
            values[column] = found
    return values


async def _resolve(session: AsyncSession, target: Resource, name: str, wanted: Any) -> int | None:
    if wanted is None:
        return None
    if isinstance(wanted, bool) or not isinstance(wanted, (int, str)):
        raise Invalid(name, f"must be the id or the {target.key or 'id'} of a {target.singular}")
    found = await find_id(session, target, wanted)
    if found is None:
        raise Invalid(name, f"there is no {target.singular} {wanted!r}{await _near(session, target, wanted)}")
    return found


async def names_of(session: AsyncSession, resource: Resource, rows: Iterable[ConfigRow]) -> dict[str, dict[int, str]]:
    """For each reference column the keys of the rows that `rows` point at, by id."""
    found: dict[str, dict[int, str]] = {}
    listed = list(rows)
    for column, target_name in resource.refs.items():
        ids = {getattr(row, column) for row in listed} - {None}
        found[column] = await keys_of(session, RESOURCES[target_name], ids)
    return found


async def keys_of(session: AsyncSession, resource: Resource, ids: Iterable[int]) -> dict[int, str]:
    wanted = sorted(ids)
    if not wanted or resource.key is None:
        return {}
    model: Any = resource.model
    found: dict[int, str] = {}
    for start in range(0, len(wanted), 500):  # SQLite allows 32766 parameters, older ones 999
        part = wanted[start : start + 500]
        query = select(model.id, getattr(model, resource.key)).where(col(model.id).in_(part))
        found.update({int(row[0]): str(row[1]) for row in (await session.exec(query)).all()})
    return found
