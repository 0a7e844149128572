"""Recordings whose process was killed are found, others are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcx_ari.store.models import Call, Recording
from dcx_ari.unfinished import GRACE_MS, finish_recordings
from tests.unit.rows_kit import migrated, opened

pytestmark = [pytest.mark.unit, pytest.mark.databases]

NOW = 1_800_000_000_000


@pytest.fixture(scope="module")
def template(dbms: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("template"))


async def test_only_those_of_calls_long_over_are_finished(template: Path, tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    class Recorder:
        def finish(self, call_id: str, recording_id: str) -> None:
            asked.append((call_id, recording_id))

    calls = {"old": NOW - GRACE_MS - 1, "just": NOW - GRACE_MS + 1, "live": None}
    async with opened(template, tmp_path) as database:
        async with database.write() as session:
            session.add_all(Call(id=name, started_at=1, ended_at=ended) for name, ended in calls.items())
            await session.flush()
            for name in calls:
                for state in ("recording", "processing", "ready", "failed"):
                    session.add(Recording(id=f"{name}.{state}", call_id=name, state=state, started_at=1))
        assert await finish_recordings(database, Recorder(), NOW) > NOW
        assert asked == [("old", "old.processing"), ("old", "old.recording")]
        assert await finish_recordings(database, None, NOW) > NOW
