"""The configuration tables as one immutable snapshot.

After the first time only rows whose version changed are read: among 10,000 buyers a change then costs
milliseconds, most of them for the list of ids and versions.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel, col

from dcx_ari.ari.trunks import TrunkAccount
from dcx_ari.decide.snapshot import TABLES, Snapshot, amend, build
from dcx_ari.store import models
from dcx_ari.store.db import Database
from dcx_ari.store.types import Json

_ATTRIBUTES = {
    "traffic_sources": "sources",
    "buyer_groups": "groups",
    "buyer_group_members": "members",
    "campaign_buyers": "attachments",
    "suppression_lists": "suppressions",
}
"""Tables that a snapshot keeps under a shorter name."""
_PUBLISHED = (
    select(col(models.FlowVersion.flow_id), func.max(models.FlowVersion.number))
    .join(models.Flow, col(models.Flow.id) == col(models.FlowVersion.flow_id))
    .where(col(models.Flow.status) == "published")
    .group_by(col(models.FlowVersion.flow_id))
)
_FEW = 500  # more changed rows than this are read with the whole table


@dataclass(frozen=True, slots=True)
class Loaded:
    """One consistent read: the snapshot, the published flows by id with their newest version's number, the trunks with
    their credentials."""

    snapshot: Snapshot
    published: Mapping[int, int]
    trunks: tuple[TrunkAccount, ...]


async def config_version(database: Database) -> int:
    """The number that grows with every change of a configuration row."""
    async with database.read_connection() as connection:
        result = await connection.execute(text("SELECT version FROM config_version"))
        return int(result.scalar_one())


async def load(database: Database, company_zone: str, previous: Snapshot | None = None) -> Loaded:
    """Read in one transaction what differs from `previous` (None: everything). Raises StoreError."""
    async with database.read_connection() as connection:
        version = int((await connection.execute(text("SELECT version FROM config_version"))).scalar_one())
        trunks = await _rows(connection, models.Trunk.__tablename__)
        published = {row[0]: row[1] for row in await connection.execute(_PUBLISHED)}
        if previous is None or previous.company_zone != company_zone:
            tables = {name: await _rows(connection, name) for name in TABLES}
            snapshot = build(tables, version=version, company_zone=company_zone, previous=previous)
        else:
            changed, deleted = await _differences(connection, previous)
            snapshot = amend(previous, changed, deleted, version=version)
    return Loaded(snapshot, published, tuple(_account(row) for row in trunks))


async def load_versions(database: Database, wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], Any]:
    """Documents of flows by flow id and number; those that are not there are left out. Raises StoreError."""
    version = models.FlowVersion
    columns = (col(version.flow_id), col(version.number), col(version.document))
    keys = list(wanted)
    found: dict[tuple[int, int], Any] = {}
    async with database.read_connection() as connection:
        for start in range(0, len(keys), _FEW):
            few = tuple_(col(version.flow_id), col(version.number)).in_(keys[start : start + _FEW])
            for flow_id, number, document in await connection.execute(select(*columns).where(few)):
                found[flow_id, number] = document
    return found


async def _differences(
    connection: AsyncConnection, previous: Snapshot
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, list[int]]]:
    """Rows that are new or changed, and ids that are gone, by table."""
    changed: dict[str, list[dict[str, Any]]] = {}
    deleted: dict[str, list[int]] = {}
    for name in TABLES:
        known: Mapping[int, Any] = getattr(previous, _ATTRIBUTES.get(name, name))
        ids = await _changed_lately(connection, name, known)
        if ids is None:
            stored = {row[0]: row[1] for row in await _all(connection, f"SELECT id, version FROM {name}")}  # noqa: S608
            ids = [i for i, version in stored.items() if (row := known.get(i)) is None or row.version != version]
            if gone := [row_id for row_id in known if row_id not in stored]:
                deleted[name] = gone
        if ids:
            changed[name] = await _rows(connection, name, ids)
    return changed, deleted


async def _changed_lately(connection: AsyncConnection, name: str, known: Mapping[int, Any]) -> list[int] | None:
    """Ids of rows changed since the newest we know; None if these do not explain all that differs.

    Sums tell: a removed row, or a clock that was set back, leaves them different. Ids are never used again and
    versions only grow, so equal sums mean equal rows.
    """
    totals = f"SELECT count(*), coalesce(sum(id), 0), coalesce(sum(version), 0) FROM {name}"  # noqa: S608
    ((count, ids, versions),) = await _all(connection, totals)
    newest = max((row.updated_at for row in known.values()), default=0)
    lately = await _all(connection, f"SELECT id, version FROM {name} WHERE updated_at >= {newest:d}")  # noqa: S608
    count -= len(known)
    ids -= sum(known)
    versions -= sum(row.version for row in known.values())
    found = []
    for row_id, version in lately:
        row = known.get(row_id)
        if row is not None and row.version == version:
            continue
        found.append(row_id)
        versions -= version - (row.version if row is not None else 0)
        if row is None:
            count -= 1
            ids -= row_id
    return found if (count, ids, versions) == (0, 0, 0) else None


async def _all(connection: AsyncConnection, statement: str) -> list[tuple[int, ...]]:
    return [tuple(row) for row in (await connection.exec_driver_sql(statement)).fetchall()]


async def _rows(connection: AsyncConnection, name: Any, ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
    """Rows as plain mappings: the driver's own types, JSON columns read, nothing validated a second time."""
    table: Table = SQLModel.metadata.tables[str(name)]
    columns = ", ".join(column.name for column in table.columns)
    few = "" if ids is None or len(ids) > _FEW else f" WHERE id IN ({', '.join(map(str, ids))})"
    result = await connection.execute(text(f"SELECT {columns} FROM {name}{few}"))  # noqa: S608 — names of our own
    read_json = [column.name for column in table.columns if isinstance(column.type, Json)]
    rows = [dict(row) for row in result.mappings()]
    for row in rows:
        for column in read_json:
            if isinstance(row[column], str):  # SQLite keeps JSON as text
                row[column] = json.loads(row[column])
    return rows


def _account(row: Mapping[str, Any]) -> TrunkAccount:
    return TrunkAccount(
        id=row["id"],
        name=row["name"],
        host=row["host"],
        port=row["port"],
        transport=row["transport"],
        username=row["username"],
        password=row["password"],
        accept_from=tuple(row["accept_from"] or ()),
        active=row["status"] == "ACTIVE",
    )
