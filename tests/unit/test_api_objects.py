"""What kinds of rows have of their own, over HTTP: answers, refusals, and who may ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from access_kit import Client, key_of, serving
from objects_kit import add, make_template, open_copy

from dcx_ari.home_settings import BadLine, read_file, write_setting
from dcx_ari.settings import SettingsError, read_settings
from dcx_ari.store.db import Database
from dcx_ari.store.models import Call

pytestmark = pytest.mark.unit
A, B = "+15551230001", "+15551230002"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    opened = open_copy(template, tmp_path)
    yield opened
    await opened.close()


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serving(db) as made:
        yield made


async def ask(client: Client, key: dict[str, str], method: str, path: str, **options: Any) -> tuple[int, Any]:
    async with client.request(method, path, headers=key, **options) as response:
        text = await response.text()
        return response.status, await response.json() if text else None


async def test_every_route_answers(client: Client, db: Database):
    admin = await key_of(db, "admin")
    await add(db, "buyers", name="Acme", endpoint_value=A)
    await add(db, "schedules", name="Office", weekly={"mon": [["09:00", "17:00"]]})
    await add(db, "contacts", phone_number=B, first_name="Ann")
    async with db.write() as session:
        session.add(Call(id="c1", started_at=1_794_657_600_000, caller=B, buyer_id=1))
    monday = "/api/schedules/Office/test?at=2026-11-09T10:00:00%2B00:00"
    for plus in (monday, monday.replace("%2B", "+")):
        status, told = await ask(client, admin, "GET", plus)
        assert (status, told["state"], told["at"]) == (200, "closed", "2026-11-09T10:00:00.000Z")
    assert (await ask(client, admin, "GET", "/api/schedules/Office/test?at=soon"))[0] == 422
    assert (await ask(client, admin, "GET", "/api/schedules/overview"))[1]["total"] == 1
    assert (await ask(client, admin, "GET", "/api/buyers/Acme/conversion-stats"))[1]["total"]["calls"] == 1
    assert (await ask(client, admin, "GET", "/api/buyers/Acme/snapshots"))[1]["data"] == []
    assert (await ask(client, admin, "GET", "/api/buyers/Acme/snapshots?from_date=x"))[0] == 422
    assert [row["id"] for row in (await ask(client, admin, "GET", f"/api/contacts/{B}/calls"))[1]["data"]] == ["c1"]
    assert (await ask(client, admin, "GET", "/api/state-rules/alerts"))[1] == {"data": [], "next_cursor": None}
    assert (await ask(client, admin, "GET", "/api/state-rules/alerts?day=3"))[0] == 400
    rule = {"calls": 5, "minutes": 10, "block_minutes": 60}
    velocity = "/api/suppressions/velocity"
    _, kept = await ask(client, admin, "PUT", velocity, json=rule)
    assert kept == (await ask(client, admin, "GET", velocity))[1] == {**kept, **rule, "enabled": True}
    assert (await ask(client, admin, "PUT", velocity, json={**rule, "calls": True}))[0] == 422
    assert (await ask(client, admin, "DELETE", velocity))[1]["enabled"] is False


async def test_views_over_http(client: Client, db: Database):
    admin, viewer = await key_of(db, "admin"), await key_of(db, "viewer", "viewer")
    for name, status in (("One", "ACTIVE"), ("Two", "INACTIVE")):
        await add(db, "campaigns", name=name, status=status)
    view = {"resource": "campaigns", "name": "off", "filters": {"status": ["INACTIVE"]}}
    status, made = await ask(client, viewer, "POST", "/api/saved-views", json=view)
    assert (status, made["mine"]) == (201, True)
    listed = await ask(client, viewer, "GET", "/api/campaigns?view=off")
    assert [row["name"] for row in listed[1]["data"]] == ["Two"]
    assert (await ask(client, admin, "GET", "/api/campaigns?view=off"))[0] == 404
    one = f"/api/saved-views/{made['id']}"
    assert (await ask(client, viewer, "PATCH", one, json={"shared": True}))[0] == 403
    assert (await ask(client, viewer, "PATCH", one, json={"name": 7}))[0] == 422
    assert (await ask(client, viewer, "DELETE", one))[0] == 204
    shared = {**view, "shared": True}
    assert (await ask(client, admin, "POST", "/api/saved-views", json=shared))[0] == 201
    assert (await ask(client, viewer, "GET", "/api/campaigns?view=off"))[1]["total"] == 1
    assert (await ask(client, viewer, "GET", "/api/saved-views"))[1]["data"][0]["mine"] is False
    assert (await ask(client, viewer, "DELETE", "/api/saved-views/off"))[0] == 409


async def test_who_may_ask_what(client: Client, db: Database):
    for name, number in (("Acme", A), ("Best", B)):
        await add(db, "buyers", name=name, endpoint_value=number)
    await add(db, "sources", name="Ads")
    agent, viewer = await key_of(db, "agent", "agent"), await key_of(db, "viewer", "viewer")
    acme = await key_of(db, "acme", "viewer", buyer_id=1)
    assert (await ask(client, acme, "GET", "/api/buyers/1/conversion-stats"))[0] == 200
    assert (await ask(client, acme, "GET", "/api/buyers/2/conversion-stats"))[0] == 404
    assert (await ask(client, acme, "GET", "/api/traffic-sources/1/numbers"))[0] == 404
    for path in ("/api/state-rules/alerts", "/api/suppressions/velocity", "/api/schedules/overview"):
        assert (path, (await ask(client, acme, "GET", path))[0]) == (path, 403)
    for method, path in (
        ("PATCH", "/api/traffic-sources/1/toggle-status"),
        ("POST", "/api/traffic-sources/1/numbers"),
        ("DELETE", "/api/suppressions/velocity"),
    ):
        assert (path, (await ask(client, viewer, method, path))[0]) == (path, 403)
    assert (await ask(client, agent, "GET", "/api/buyers/1/conversion-stats"))[0] == 403


def test_settings_kept_with_the_home(tmp_path: Path):
    assert read_file(tmp_path / "none") == {}
    write_setting(tmp_path, "DCX_TIMEZONE", "America/Chicago")
    path = write_setting(tmp_path, "DCX_API_PORT", "9999")
    write_setting(tmp_path, "DCX_TIMEZONE", "America/Denver")
    path.write_text(path.read_text() + "\n# a remark\n")
    assert read_file(tmp_path) == {"DCX_API_PORT": "9999", "DCX_TIMEZONE": "America/Denver"}
    settings = read_settings({}, home=tmp_path)
    assert (settings.timezone, settings.api_port, settings.home) == ("America/Denver", 9999, tmp_path)
    assert read_settings({"DCX_TIMEZONE": "UTC", "DCX_HOME": str(tmp_path)}).timezone == "UTC"
    for line, words in (
        ("TIMEZONE=UTC", "line 1"),
        ("DCX_TIMEZONE", "line 1"),
        ("DCX_TIMEZON=UTC", "DCX_TIMEZON is no setting"),
        ("DCX_HOME=/x", "DCX_HOME is no setting"),
        ("DCX_TIMEZONE=Mars/X", "IANA"),
    ):
        path.write_text(line)
        with pytest.raises(SettingsError, match=words):
            read_settings({}, home=tmp_path)
    path.write_bytes(b"\xff")
    with pytest.raises(BadLine, match="UTF-8"):
        read_file(tmp_path)
