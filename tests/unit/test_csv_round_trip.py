"""What goes out comes in again: exported, imported, exported, it is the same file."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcx_ari.services.csv_layout import exported
from dcx_ari.services.exporting import export_rows
from dcx_ari.services.importing import Report, import_csv
from dcx_ari.services.listing import Query, list_rows
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database
from tests.unit.objects_kit import add, make_template, open_copy

pytestmark = pytest.mark.unit
BUYERS = RESOURCES["buyers"]
OF_THE_DATABASE = ("id", "short_id", "version", "created_at", "updated_at", "created_by")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    opened = open_copy(template, tmp_path)
    yield opened
    await opened.close()


async def load(db: Database, data: bytes, kind: str = "buyers") -> Report:
    return await import_csv(db, RESOURCES[kind], io.BytesIO(data))


@pytest.mark.parametrize("kind", sorted(RESOURCES))
async def test_every_kind_is_exported_and_read_back(db: Database, kind: str):
    """Export, import, export: nothing changed, and the two files are one."""
    await _one_of_each(db)
    if kind == "scheduled-reports":
        await add(db, kind, name="Monday", recipients=["ann@example.com", "bob@example.com"])
    first = await _exported(db, kind)
    report = await load(db, first, kind)
    async with db.read() as session:
        total = (await list_rows(session, RESOURCES[kind], Query())).total
    assert (report.unchanged, report.failed, report.rows) == (total, 0, total), report.errors
    assert await _exported(db, kind) == first


async def _exported(db: Database, kind: str) -> bytes:
    return b"".join([part async for part in export_rows(db, RESOURCES[kind], Query())])


async def _one_of_each(db: Database) -> None:
    await add(db, "trunks", name="=T", host="a.example.com", accept_from=["10.0.0.0/8", "192.0.2.1"])
    flow = await add(db, "flows", name="F", document={"start": "end", "nodes": {"end": {"type": "hangup"}}})
    schedule = await add(db, "schedules", name="S", weekly={"mon": [["09:00", "17:00"]]})
    await add(db, "sources", name="Web", notes='a\r\nb, "c"; d', payout={"model": "flat", "cents": 5})
    await add(db, "campaigns", name="@Auto", flow_id=flow["id"], schedule_id=schedule["id"])
    await add(db, "numbers", phone_number="+18005550001", campaign="@Auto", traffic_source="Web", notes="-x\ty")
    buyer = {"skills": ["es", "fr"], "filters": [{"tag": "zip", "op": "exists"}], "trunk": "=T", "tier": -10}
    await add(db, "buyers", name="Ärzte 'n=1", endpoint_value="+15551230001", whisper="=1+1", **buyer)
    await add(db, "groups", name="Team")
    await add(db, "group-members", group="Team", buyer=1)
    await add(db, "campaign-buyers", campaign="@Auto", buyer=1, weight=3)
    await add(db, "campaign-buyers", campaign="@Auto", group="Team")
    await add(db, "suppressions", phone_number="+12125550001", expires_at="2030-01-01T00:00:00.250Z")
    await add(db, "suppressions", phone_number="+12125550001", buyer=1)
    await add(db, "states", state_code="FL")
    await add(db, "contacts", phone_number="+12125550001", first_name="+Ann", tags=["vip", "a,b"])
    await add(db, "call-tags", name="follow-up")


_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20) | st.text("'=+-@\t\r\n,;\"a", max_size=9)
_NAME = _TEXT.map(str.strip).filter(lambda text: text.isprintable() and text and not text.isdigit())
_ROW = st.fixed_dictionaries(
    {"notes": _TEXT, "tier": st.integers(-1_000, 1_000), "weight": st.integers(0, 100)},
    optional={
        "whisper": _TEXT.filter(bool) | st.none(),
        "skills": st.lists(st.from_regex(r"[A-Za-z0-9_.-]{1,9}", fullmatch=True), max_size=3),
        "daily_cap": st.integers(0, 10**9) | st.none(),
        "timezone": st.sampled_from([None, "America/New_York"]),
        "duplicate": st.sampled_from([None, {"window_days": "forever"}, {"window_days": 7}]),
        "filters": st.lists(_TEXT.map(lambda text: {"tag": "zip", "op": "==", "value": text}), max_size=2),
    },
)


@given(st.dictionaries(_NAME, _ROW, max_size=6))
@settings(max_examples=10, deadline=None)
def test_rows_of_any_kind_of_text_reach_another_exchange(template: Path, rows: dict[str, dict[str, Any]]):
    async def there_and_back() -> tuple[bytes, bytes]:
        with TemporaryDirectory() as here, TemporaryDirectory() as there:
            mine, other = open_copy(template, Path(here)), open_copy(template, Path(there))
            try:
                for number, (name, values) in enumerate(rows.items()):
                    await add(mine, "buyers", name=name, endpoint_value=f"+1555123{number:04d}", **values)
                sent = await _exported(mine, "buyers")
                report = await load(other, sent)
                assert (report.created, report.failed) == (len(rows), 0), report.errors
                return sent, await _exported(other, "buyers")
            finally:
                await mine.close()
                await other.close()

    sent, back = asyncio.run(there_and_back())
    own = [exported(BUYERS).index(name) for name in OF_THE_DATABASE]
    first, second = (list(csv.reader(io.StringIO(data.decode(), newline=""))) for data in (sent, back))
    assert [_without(row, own) for row in first] == [_without(row, own) for row in second]


def _without(row: list[str], places: list[int]) -> list[str]:
    return [cell for place, cell in enumerate(row) if place not in places]
