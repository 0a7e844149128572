"""Lists of rows: pages, filters, sort, and queries that make no sense."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from dcx_ari.services import rows
from dcx_ari.services.errors import Invalid, Refused, UnknownKey
from dcx_ari.services.listing import Query, list_rows
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import ConfigVersion

pytestmark = [pytest.mark.unit, pytest.mark.databases]
R = RESOURCES
A = "+15551230001"


@pytest.fixture(scope="module")
def template(dbms: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, made once and copied for each test."""
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def db(tmp_path: Path, template: Path):
    shutil.copy(template, tmp_path / "dcx.db")
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db")
    yield opened
    await opened.close()


async def add(db: Database, kind: str, **values: Any) -> dict[str, Any]:
    async with db.write() as session:
        return await rows.create(session, R[kind], values)


async def edit(db: Database, kind: str, key: str, **values: Any) -> dict[str, Any]:
    async with db.write() as session:
        return await rows.change(session, R[kind], key, values)


async def version(db: Database) -> int:
    async with db.read() as session:
        return (await session.exec(select(ConfigVersion.version))).one()


async def test_pages_cover_all_rows_once(db: Database):
    async with db.write() as session:
        for n in range(25):
            await rows.create(session, R["buyers"], {"name": f"B{n}", "endpoint_value": A, "tier": n % 3})
    for sort_by, descending in (("id", False), ("tier", True), ("name", False)):
        seen: list[Any] = []
        cursor = None
        async with db.read() as session:
            for _ in range(4):
                query = Query(sort_by=sort_by, descending=descending, limit=7, cursor=cursor)
                page = await list_rows(session, R["buyers"], query)
                seen += [(each[sort_by], each["id"]) for each in page.items]
                assert page.total == 25
                if (cursor := page.next_cursor) is None:
                    break
        assert cursor is None
        assert seen == sorted(seen, reverse=descending)
        assert len({each[1] for each in seen}) == 25


async def test_filters_and_across_keys_or_inside(db: Database):
    await add(db, "campaigns", name="C")
    for n, status in enumerate(("ACTIVE", "INACTIVE", "ACTIVE")):
        await add(db, "numbers", phone_number=f"+1555123000{n}", status=status, campaign="C" if n else None)
    async with db.read() as session:
        two = Query(filters={"status": ["ACTIVE", "INACTIVE"], "campaign": ["C"]})
        assert (await list_rows(session, R["numbers"], two)).total == 2
        one = Query(filters={"status": ["ACTIVE"], "campaign": ["C"]})
        assert (await list_rows(session, R["numbers"], one)).total == 1
        assert (await list_rows(session, R["numbers"], Query(filters={"created_from": ["2999-01-01"]}))).total == 0
        assert (await list_rows(session, R["numbers"], Query(search="0002"))).total == 1
        assert (await list_rows(session, R["numbers"], Query(search="%"))).total == 0


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (Query(filters={"nope": ["1"]}), UnknownKey),
        (Query(sort_by="nope"), UnknownKey),
        (Query(sort_by="filters"), UnknownKey),
        (Query(limit=0), Invalid),
        (Query(limit=1001), Invalid),
        (Query(cursor="@@@"), Invalid),
        (Query(cursor="WzEsIDIsIDNd"), Invalid),
        (Query(cursor="WyJ4IiwgMV0"), Invalid),
        (Query(filters={"tier": ["x"]}), Invalid),
        (Query(filters={"created_from": ["yesterday"]}), Invalid),
    ],
)
async def test_bad_queries(db: Database, query: Query, error: type[Refused]):
    async with db.read() as session:
        with pytest.raises(error):
            await list_rows(session, R["buyers"], query)
