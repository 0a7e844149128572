"""Who calls: our own books, and a service that is asked; over a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from dcx_ari.integrations.lookup import HttpLookUp, lookup_of
from dcx_ari.services import lookup
from dcx_ari.services.errors import Invalid
from dcx_ari.services.lookup import Found, look_up
from dcx_ari.settings import SettingsError
from dcx_ari.store.db import Database
from dcx_ari.store.models import Contact, Suppression
from tests.unit.call_log_kit import ANN, BOB, HOUR, NOON, add, as_kim, call, four_calls, scoped

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return four_calls(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def db(template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    async with as_kim(template, tmp_path) as opened:
        yield opened


async def test_what_is_not_known_is_null(db: Database):
    assert await look_up(db, "+14155550000", None, NOON) == {
        "phone": "+14155550000",
        "name": None,
        "call_history_count": 0,
        "last_call": None,
        "carrier": None,
        "is_mobile": None,
        "is_blocked": False,
    }
    for text in ("", "12", "anonymous", "+1212555010O"):
        with pytest.raises(Invalid, match="phone"):
            await look_up(db, text, None, NOON)


async def test_our_own_books_come_first(db: Database):
    await add(db, call("call0000t", NOON + HOUR, test=True), Suppression(phone_number=ANN, list_type="blacklist"))
    found = await look_up(db, "12125550100", None, NOON)
    assert (found["name"], found["call_history_count"], found["is_blocked"]) == ("ANN B", 2, True)
    assert found["last_call"] == "2026-03-02T17:00:00.002Z"
    await add(db, Contact(phone_number=ANN, first_name="Ann", last_name="Bee"))
    await add(db, Suppression(phone_number=ANN, list_type="whitelist"))
    found = await look_up(db, ANN, None, NOON)
    assert (found["name"], found["is_blocked"]) == ("Ann Bee", False)


async def test_whoever_is_tied_to_a_source_learns_of_his_own_calls_only(db: Database):
    async def ask(_phone: str) -> Found:
        return Found("Carrier", True, "Bob")

    await look_up(db, BOB, ask, NOON)
    found = await look_up(scoped(db, source_id=1), BOB, ask, NOON)
    assert (found["call_history_count"], found["carrier"], found["is_blocked"]) == (0, None, None)
    assert (await look_up(scoped(db, source_id=2), BOB, ask, NOON))["call_history_count"] == 1


async def test_a_service_is_asked_once_and_believed_for_a_while(db: Database):
    asked = []

    async def ask(phone: str) -> Found:
        asked.append(phone)
        return Found("Example Wireless", True, "B. Example")

    for when in (NOON, NOON + lookup.KEEP_MS - 1, NOON + lookup.KEEP_MS):
        found = await look_up(db, BOB, ask, when)
        assert (found["carrier"], found["is_mobile"], found["name"]) == ("Example Wireless", True, "B. Example")
    assert asked == [BOB, BOB]


async def test_a_service_that_fails_or_hangs_means_nothing_known(
    db: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async def broken(phone: str) -> Found:
        raise RuntimeError(f"no route to {phone}")

    async def silent(_phone: str) -> Found:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(lookup, "ASK_S", 0.01)
    for ask in (broken, silent):
        found = await look_up(db, BOB, ask, NOON)
        assert (found["carrier"], found["is_mobile"]) == (None, None)
    assert BOB not in caplog.text


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ('{"carrier": "X", "is_mobile": false, "name": "Y"}', Found("X", False, "Y")),
        ('{"carrier": "X", "line_type": "mobile"}', Found("X", True, None)),
        ('{"line_type": "satellite", "carrier": 7, "name": " \\u0007 "}', Found()),
        ("{}", Found()),
    ],
)
async def test_a_service_over_http(said: str, found: Found):
    seen: list[web.Request] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(text=said)

    app = web.Application()
    app.router.add_get("/v1/{phone}", serve)
    async with TestServer(app) as server:
        ask = lookup_of(str(server.make_url("/v1/")) + "{phone}?x=1", "k3y")
        assert ask is not None
        assert await ask(BOB) == found
    assert (seen[0].match_info["phone"], seen[0].headers["Authorization"]) == (BOB, "Bearer k3y")


@pytest.mark.parametrize("said", ["[]", "no json", '{"carrier": "' + "x" * 70_000 + '"}'])
async def test_an_answer_that_is_none_is_an_error(said: str):
    async def serve(_request: web.Request) -> web.Response:
        return web.Response(text=said)

    app = web.Application()
    app.router.add_get("/", serve)
    async with TestServer(app) as server:
        with pytest.raises(ValueError):  # noqa: PT011 — msgspec's errors are that
            await HttpLookUp(str(server.make_url("/")) + "?n={phone}")(BOB)


def test_a_setting_that_names_nothing_is_refused():
    assert lookup_of("") is None
    for setting in ("https://example.com/", "no-such-plugin"):
        with pytest.raises(SettingsError, match="DCX_LOOKUP"):
            lookup_of(setting)
