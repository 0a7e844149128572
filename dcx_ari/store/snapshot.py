"""The configuration tables as one immutable snapshot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from dcx_ari.ari.trunks import TrunkAccount
from dcx_ari.decide.snapshot import TABLES, Snapshot, build
from dcx_ari.store import models
from dcx_ari.store.db import Database
from dcx_ari.store.types import Json


@dataclass(frozen=True, slots=True)
class Loaded:
    """One consistent read: the snapshot, the flow documents as stored, the trunks with their credentials."""

    snapshot: Snapshot
    flows: tuple[Mapping[str, Any], ...]
    trunks: tuple[TrunkAccount, ...]


async def config_version(database: Database) -> int:
    """The number that grows with every change of a configuration row."""
    async with database.read() as session:
        result = await session.execute(text("SELECT version FROM config_version"))
        return int(result.scalar_one())


async def load(database: Database, company_zone: str, previous: Snapshot | None = None) -> Loaded:
    """Read everything in one transaction. What did not change is taken over from `previous`."""
    async with database.read() as session:
        connection = await session.connection()
        version = int((await connection.execute(text("SELECT version FROM config_version"))).scalar_one())
        tables = {name: await _rows(connection, name) for name in TABLES}
        flows = await _rows(connection, models.Flow.__tablename__)
    snapshot = build(tables, version=version, company_zone=company_zone, previous=previous)
    return Loaded(snapshot, tuple(flows), tuple(_account(row) for row in tables["trunks"]))


async def _rows(connection: AsyncConnection, name: Any) -> list[dict[str, Any]]:
    """Rows as plain mappings: the driver's own types, JSON columns read, nothing validated a second time."""
    table: Table = SQLModel.metadata.tables[str(name)]
    columns = ", ".join(column.name for column in table.columns)
    result = await connection.execute(text(f"SELECT {columns} FROM {name}"))  # noqa: S608 — names of our own
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
