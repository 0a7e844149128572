"""The API's contract: complete, valid, and kept by the API under generated requests."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS, load_all_checks

from dcx_ari.api.app import make_app
from dcx_ari.api.openapi import document
from dcx_ari.api.routes import ROUTES
from dcx_ari.services.keys import create_key
from dcx_ari.store.db import open_database
from dcx_ari.testing.fake_asterisk import FakeAsterisk
from tests.sim.exchange import Voice, loaded_engine
from tests.unit.access_kit import migrated, serving, whole_app

pytestmark = pytest.mark.unit

SCHEMAS = Path(__file__).parents[2] / "schemas"
CONTRACT = json.loads((SCHEMAS / "openapi.json").read_text("utf-8"))
HOLDS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
load_all_checks()
EMPTY = migrated()


@contextmanager
def listening(folder: Path) -> Iterator[tuple[str, str]]:
    """The whole API on loopback, in a thread with a loop of its own; its address and an administrator's key."""
    ready, stop, told = threading.Event(), threading.Event(), {}

    async def serve() -> None:
        fake = FakeAsterisk("dcx-0")
        async with loaded_engine(folder, fake, Voice()) as engine:
            async with engine.database.write() as session:
                _, key = await create_key(session, "tester", "admin", rate_limit_per_minute=0)
            app = make_app(engine.database, home=folder, more=engine._more_routes())
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            told.update(url=f"http://127.0.0.1:{runner.addresses[0][1]}", key=key)
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.05)
            await runner.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(20)
        yield told["url"], told["key"]
    finally:
        stop.set()
        thread.join(20)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with listening(tmp_path_factory.mktemp("api")) as found:
        yield found


schema = schemathesis.openapi.from_dict(
    CONTRACT, config=schemathesis.Config.from_dict({"phases": {"coverage": {"enabled": False}}})
)
# Sockets are no requests with one answer.
requests = schema.exclude(path_regex="^/ws/")


@requests.parametrize()
@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_generated_requests_get_documented_answers(case: Any, api: tuple[str, str]) -> None:
    url, key = api
    response = case.call(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
    case.validate_response(response, checks=[CHECKS.get_one(name) for name in HOLDS])


async def test_every_route_is_in_it() -> None:
    database = open_database(f"sqlite+aiosqlite:///{EMPTY}")
    app = whole_app(database)
    made = json.loads(json.dumps(document(app[ROUTES].values())))
    await database.close()
    assert made == CONTRACT  # `make generate` writes it
    for route in app[ROUTES].values():
        path = re.sub(r"{([a-z_]+)(:[^}]*)?}", r"{\1}", route.path)
        here = CONTRACT["paths"].get(path, {}).get(route.method.lower())
        assert here is not None or any(f"/api/{path.split('/')[2]}" in str(tag) for tag in CONTRACT["tags"]), path
        if here is not None:
            assert here.get("x-permission") == route.permission


async def test_it_is_served_with_a_page_that_needs_no_network() -> None:
    database = open_database(f"sqlite+aiosqlite:///{EMPTY}")
    async with serving(database) as client:
        answer = await client.get("/api/openapi.json")
        assert (answer.status, (await answer.json())["openapi"]) == (200, "3.1.0")
        page = await client.get("/api/docs")
        text = await page.text()
        assert page.status == 200
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", text)
    await database.close()
