"""Pages of a list: every row once and in order, whatever is added while somebody turns them; empty values last."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows_kit import A, add, migrated, opened
from sqlalchemy import insert

from dcx_ari.services.errors import Invalid
from dcx_ari.services.listing import Query, list_rows, sort_names, view
from dcx_ari.services.render import fetched, reader
from dcx_ari.services.resources import RESOURCES
from dcx_ari.services.rows import get, remove
from dcx_ari.store.db import Database
from dcx_ari.store.models import Buyer

pytestmark = pytest.mark.unit
BUYERS = RESOURCES["buyers"]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def db(tmp_path: Path, template: Path):
    async with opened(template, tmp_path) as database:
        yield database


CAPS = st.one_of(st.none(), st.integers(0, 3))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.lists(CAPS, min_size=1, max_size=12),
    later=st.lists(CAPS, max_size=6),
    limit=st.integers(1, 4),
    descending=st.booleans(),
    sort_by=st.sampled_from(["id", "name", "daily_cap", "created_at"]),
)
def test_no_row_is_lost_or_doubled_while_rows_are_added(
    template: Path,
    first: list[int | None],
    later: list[int | None],
    limit: int,
    descending: bool,
    sort_by: str,
):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_turn_pages(template, Path(folder), first, later, Query({}, "", sort_by, descending, limit)))


async def _turn_pages(
    template: Path, folder: Path, first: list[int | None], later: list[int | None], query: Query
) -> None:
    async with opened(template, folder) as database:
        there = await _put(database, first)
        seen: list[dict[str, Any]] = []
        cursor, coming = None, list(later)
        for _ in range(len(first) + len(later) + 1):
            async with database.read() as session:
                asked = Query({}, "", query.sort_by, query.descending, query.limit, cursor)
                page = await list_rows(session, BUYERS, asked)
            assert len(page.items) <= (query.limit or 0)
            assert page.total == len(there) + len(later) - len(coming)
            seen += page.items
            if (cursor := page.next_cursor) is None:
                break
            if coming:
                await _put(database, [coming.pop()], len(there) + len(later) - len(coming))
    assert cursor is None
    ids = [row["id"] for row in seen]
    assert len(set(ids)) == len(ids)
    assert there <= set(ids)
    assert ids == [row["id"] for row in _in_order(seen, query)]


def _in_order(rows: list[dict[str, Any]], query: Query) -> list[dict[str, Any]]:
    full = [row for row in rows if row[query.sort_by] is not None]
    empty = [row for row in rows if row[query.sort_by] is None]
    ordered = sorted(full, key=lambda row: (row[query.sort_by], row["id"]), reverse=query.descending)
    return ordered + sorted(empty, key=lambda row: row["id"], reverse=query.descending)


async def _put(database: Database, caps: list[int | None], start: int = 0) -> set[int]:
    """Buyers whose names are in another order than their ids."""
    found = set()
    table: Any = Buyer.__table__  # type: ignore[attr-defined]
    async with database.write_connection() as connection:
        for number, cap in enumerate(caps, start):
            row = {"name": f"{number * 7 % 13}-{number}", "endpoint_value": A, "daily_cap": cap}
            made = await connection.execute(insert(table).values(**row, created_at=number * 5 % 7))
            found.add(made.inserted_primary_key[0])
    return found


async def test_every_column_that_may_be_empty_can_be_sorted_by(db: Database):
    await add(db, "trunks", name="T", host="sip.example")
    for number in range(3):
        await add(db, "buyers", name=f"B{number}", endpoint_value=A, trunk="T" if number else None)
    async with db.read() as session:
        for number, name in enumerate(sort_names(BUYERS)):
            cursor, ids = None, []
            for _ in range(2):
                page = await list_rows(session, BUYERS, Query({}, "", name, number % 2 == 0, 2, cursor))
                ids += [row["id"] for row in page.items]
                cursor = page.next_cursor
            assert (sorted(ids), cursor) == ([1, 2, 3], None)
        page = await list_rows(session, BUYERS, Query(sort_by="trunk_id"))
    assert [row["id"] for row in page.items] == [2, 3, 1]


async def test_a_cursor_fits_its_own_list_only(db: Database):
    for number in range(3):
        await add(db, "buyers", name=f"B{number}", endpoint_value=A, daily_cap=number)
    async with db.read() as session:
        cursor = (await list_rows(session, BUYERS, Query(sort_by="daily_cap", limit=1))).next_cursor
        for other in (Query(limit=1), Query(sort_by="daily_cap", descending=True), Query(sort_by="weight")):
            with pytest.raises(Invalid, match="does not belong"):
                await list_rows(session, BUYERS, Query({}, "", other.sort_by, other.descending, 1, cursor))


async def test_a_page_behind_the_last_row_still_has_the_total(db: Database):
    for number in range(2):
        await add(db, "campaigns", name=f"C{number}")
    async with db.write() as session:
        page = await list_rows(session, RESOURCES["campaigns"], Query(limit=1))
        await remove(session, RESOURCES["campaigns"], "C1")
        last = await list_rows(session, RESOURCES["campaigns"], Query(limit=1, cursor=page.next_cursor))
    assert (last.items, last.total, last.next_cursor) == ([], 1, None)


async def test_the_view_has_the_rows_of_the_list_in_its_order(db: Database):
    """What the export reads."""
    await add(db, "campaigns", name="C")
    for number in range(5):
        await add(db, "numbers", phone_number=f"+1555123000{number}", campaign="C" if number % 2 else None)
    numbers = RESOURCES["numbers"]
    query = Query({"status": ["ACTIVE"]}, "", "campaign_id", True)
    async with db.read() as session:
        rows = await fetched(session, await view(session, numbers, query))
        page = await list_rows(session, numbers, query)
        assert [reader(numbers).row(row) for row in rows] == page.items
        assert [row["campaign"] for row in page.items] == ["C", "C", None, None, None]
        assert page.items[0] == await get(session, numbers, page.items[0]["id"])
