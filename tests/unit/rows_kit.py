"""Rows added, changed and listed through the services; a database made once and copied for each test."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dcx_ari.services import rows
from dcx_ari.services.listing import Page, Query, list_rows
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.migrate import migrate

A = "+15551230001"


def migrated(folder: Path) -> Path:
    """A database file with no rows, to be copied."""
    path = folder / "dcx.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@asynccontextmanager
async def opened(template: Path, folder: Path, **options: Any) -> AsyncIterator[Database]:
    path = shutil.copy(template, folder / "dcx.db")
    database = open_database(f"sqlite:///{path}", **options)
    try:
        yield database
    finally:
        await database.close()


async def add(database: Database, kind: str, **values: Any) -> dict[str, Any]:
    async with database.write() as session:
        return await rows.create(session, RESOURCES[kind], values)


async def edit(database: Database, kind: str, key: str | int, **values: Any) -> dict[str, Any]:
    async with database.write() as session:
        return await rows.change(session, RESOURCES[kind], key, values)


async def listed(database: Database, kind: str, search: str = "", /, **filters: str) -> Page:
    """`status="ACTIVE,INACTIVE"` as a filter."""
    wanted = {name: text.split(",") for name, text in filters.items()}
    async with database.read() as session:
        return await list_rows(session, RESOURCES[kind], Query(wanted, search))


def names(page: Page) -> list[str]:
    return [each["name"] for each in page.items]
