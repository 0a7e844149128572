"""When calls came on the company's clock: at the door, and rewritten in the database."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from dcx_ari.call.ports import Inbound
from dcx_ari.decide.local_time import LocalTime, local_time
from dcx_ari.store.db import open_database
from dcx_ari.store.journal import Journal
from dcx_ari.store.local_times import write_local_times
from dcx_ari.store.migrate import migrate

pytestmark = pytest.mark.unit

ZONES = ("America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "UTC")


_PARTS = "SELECT started_at, local_day, local_hour, local_weekday, local_minute FROM calls"


def at(text: str, zone: str = "America/New_York", fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


def test_both_passes_of_a_repeated_hour_show_the_same_clock():
    zone = ZoneInfo("America/New_York")
    first, second = at("2026-11-01T01:30"), at("2026-11-01T01:30", fold=1)
    assert second - first == 3_600_000
    assert local_time(first, zone) == local_time(second, zone) == LocalTime(20261101, 1, 7, 90)


@given(st.integers(1_500_000_000_000, 1_900_000_000_000), st.sampled_from(ZONES))
def test_the_parts_are_those_of_the_wall_clock(at_ms: int, name: str):
    here = datetime.fromtimestamp(at_ms // 1000, ZoneInfo(name))
    day = int(here.strftime("%Y%m%d"))
    assert local_time(at_ms, ZoneInfo(name)) == (day, here.hour, here.isoweekday(), here.hour * 60 + here.minute)


async def test_rewriting_gives_each_call_the_parts_of_its_arrival(tmp_path: Path):
    """Three days in spring, three in autumn, every 7 minutes: over both changes of the clock, zone after zone."""
    starts = [*range(at("2026-02-14T00:00"), at("2026-02-17T00:00"), 420_001)]
    for day in ("2026-03-07", "2026-10-31", "2026-04-04", "2026-10-03"):
        starts += range(at(f"{day}T00:00"), at(f"{day}T00:00") + 3 * 86_400_000, 420_001)
    database = open_database(f"sqlite:///{tmp_path}/dcx.db")
    await migrate(database)
    async with database.write_connection() as connection:
        rows = [{"id": f"c{start}", "at": start} for start in starts]
        await connection.execute(text("INSERT INTO calls (id, started_at) VALUES (:id, :at)"), rows)
        for zone in map(ZoneInfo, ZONES):
            await connection.run_sync(write_local_times, zone)
            found = await connection.execute(text(_PARTS))
            assert [row for row in found if tuple(row[1:]) != local_time(row[0], zone)] == []
    await database.close()
    assert len(starts) > 2000


async def test_a_call_keeps_when_it_came_on_the_companys_clock_and_from_where(tmp_path: Path):
    written = []

    async def commit(statements):
        written.extend(statements)

    journal = Journal(commit, "dcx-0", ZoneInfo("America/Los_Angeles"), cities={"212": "New York"})
    start = at("2026-07-04T23:59", "America/Los_Angeles")
    journal.opened("c1", Inbound("chan", "+15550100", "+12125550199", "", {}), start)
    await journal.close()
    [(sql, [row])] = written
    names = sql.partition("(")[2].partition(")")[0].split(", ")
    values = dict(zip(names, row, strict=True))
    parts = (values["local_day"], values["local_hour"], values["local_weekday"], values["local_minute"])
    assert parts == (20260704, 23, 6, 1439)
    assert values["caller_city"] == "New York"
