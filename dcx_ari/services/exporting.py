"""Rows as a CSV file, a part at a time: what a list shows, all pages of it.

Every part is a query of its own that goes on behind the last row of the one before (keyset), so that neither a
million rows nor a reader that is slow keeps a transaction open. A row that changes meanwhile is told as it is when
its turn comes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.cells import to_cell
from dcx_ari.services.csv_layout import CREATED_BY, exported, template
from dcx_ari.services.errors import Invalid
from dcx_ari.services.listing import Query, part
from dcx_ari.services.parse import suggest
from dcx_ari.services.resources import Resource
from dcx_ari.services.rows import kind_of
from dcx_ari.services.scope import scope_of
from dcx_ari.store.db import Database
from dcx_ari.store.models.audit import AuditEntry

CHUNK = 500


def lines(rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows of cells as CSV text (RFC 4180, UTF-8)."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


async def export_rows(
    database: Database, resource: Resource, query: Query, columns: Sequence[str] = ()
) -> AsyncIterator[bytes]:
    """The rows of the list that `query` asks for (its limit and cursor aside), header first.

    `columns`: only these, in this order. Raises UnknownKey, Invalid before the first part.
    """
    names = _chosen(resource, columns)
    where = replace(query, limit=CHUNK, cursor=None)
    head = [names]
    while True:
        async with database.read() as session:
            items, cursor = await part(session, resource, where)
            creators = await _creators(session, resource, items) if CREATED_BY in names else {}
        for item in items:
            item[CREATED_BY] = creators.get(str(item["id"]))
        yield lines([*head, *([to_cell(item.get(name)) for name in names] for item in items)])
        if cursor is None:
            return
        head, where = [], replace(where, cursor=cursor)


def template_csv(resource: Resource) -> bytes:
    """The header of an import."""
    return lines([template(resource)])


def _chosen(resource: Resource, columns: Sequence[str]) -> list[str]:
    known = exported(resource)
    for name in columns:
        if name not in known:
            raise Invalid("columns", f"{name[:50]!r} is not a column of {resource.name}{suggest(name, known)}")
    return list(columns) or known


async def _creators(session: AsyncSession, resource: Resource, items: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Who made the rows, by id, as far as the audit log knows; no name of ours goes to buyers and sources."""
    if not scope_of(session).everything:
        return {}
    kind, entry = kind_of(resource), AuditEntry
    ids = [str(item["id"]) for item in items]
    made = select(entry.resource_id, entry.actor_name).where(
        col(entry.resource_type) == kind, col(entry.resource_id).in_(ids), col(entry.action) == f"{kind}.created"
    )
    return {str(row_id): name for row_id, name in (await session.exec(made)).all()}
