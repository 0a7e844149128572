"""Is this a row that may be written? The same rules for one row and for many at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.errors import Conflict
from dcx_ari.services.find import resolve_refs
from dcx_ari.services.parse import check_key, check_names, check_text, parse_fields
from dcx_ari.services.resources import Resource


class Lookups(Protocol):
    """The rules that need other rows. Whoever writes thousands of rows looks them up together."""

    async def refs(self, session: AsyncSession, resource: Resource, data: Mapping[str, Any]) -> dict[str, Any]:
        """Ids in place of the names of other rows. Raises Invalid."""

    async def unique(
        self, session: AsyncSession, resource: Resource, values: Mapping[str, Any], row_id: int | None
    ) -> None:
        """Raises Conflict where another row has this key."""

    async def check(
        self, session: AsyncSession, resource: Resource, values: Mapping[str, Any], row_id: int | None
    ) -> None:
        """The rules of this kind of row. Raises Invalid, Conflict."""


class EachByItself:
    """Asks the database for every row."""

    async def refs(self, session: AsyncSession, resource: Resource, data: Mapping[str, Any]) -> dict[str, Any]:
        return await resolve_refs(session, resource, data)

    async def unique(
        self, session: AsyncSession, resource: Resource, values: Mapping[str, Any], row_id: int | None
    ) -> None:
        model: Any = resource.model
        for columns in (*(((resource.key,),) if resource.key else ()), *resource.unique):
            same = [getattr(model, name).is_not_distinct_from(values[name]) for name in columns]
            query = select(model.id).where(*same, model.id != (row_id or 0))
            if (await session.exec(query)).first() is not None:
                what = f"{values[columns[0]]!r} " if len(columns) == 1 else ""
                raise Conflict(columns[0], f"{what}is taken by another {resource.singular}")

    async def check(
        self, session: AsyncSession, resource: Resource, values: Mapping[str, Any], row_id: int | None
    ) -> None:
        await resource.check(session, values, row_id)


async def checked(
    session: AsyncSession,
    resource: Resource,
    data: Mapping[str, Any],
    before: Mapping[str, Any],
    row_id: int | None,
    *,
    strict: bool = False,
    lookups: Lookups | None = None,
) -> dict[str, Any]:
    """Parsed and checked values of all fields: what is given, over what was before (a new row: nothing).

    `strict`: JSON types count (the API); otherwise text is read (command line, CSV). Raises Invalid, Conflict.
    """
    look = lookups or EachByItself()
    for name, value in data.items():
        check_text(name, value)
    given = await look.refs(session, resource, data)
    check_names(resource, given)
    merged = {**before, **given}
    resource.prepare(merged, frozenset(given))
    values = parse_fields(resource.fields, merged, strict=strict)
    if values.get("name") != before.get("name"):
        check_key(resource, values)
    await look.unique(session, resource, values, row_id)
    await look.check(session, resource, values, row_id)
    return values
