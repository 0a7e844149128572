"""What a flow's webhook gets from a real server: an answer, or a reason in few words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from dcx_ari.call.ports import Question, WebFailed
from dcx_ari.integrations.questions import Questions
from dcx_ari.store.targets import Targets, networks

pytestmark = pytest.mark.unit

ALLOWED = Targets(networks("127.0.0.1"))


async def _answers(request: web.Request) -> web.StreamResponse:
    match request.path:
        case "/echo":
            body = await request.json() if request.can_read_body else None
            headers = {
                "method": request.method,
                "key": request.headers.get("X-Key"),
                "cookie": request.headers.get("Cookie"),
            }
            return web.json_response({"body": body, **headers}, headers={"Set-Cookie": "a=b"})
        case "/junk":
            return web.Response(text="<html>ok</html>")
        case "/deep":
            return web.Response(text="[" * 60_000)
        case "/nan":
            return web.Response(text="9" * 6000)
        case "/large":
            return web.Response(text='"' + "x" * 70_000 + '"')
        case "/away":
            return web.Response(status=302, headers={"Location": "/echo"})
        case "/slow":
            await asyncio.sleep(30)
    return web.Response(status=500, text='{"secret": 1}')


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", _answers)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def ask(url: str, method: str = "POST", body: Any = None, timeout_s: float = 20.0) -> Question:
    return Question(method, url, {"X-Key": "k"}, body, timeout_s)


async def test_an_answer_and_no_cookies_kept() -> None:
    async with serving() as base, Questions(ALLOWED) as questions:
        expected = {"body": {"a": ["é", 1]}, "method": "PUT", "key": "k", "cookie": None}
        for _ in range(2):
            assert await questions.ask(ask(f"{base}/echo", "PUT", {"a": ["é", 1]})) == expected
        assert (await questions.ask(ask(f"{base}/echo", "GET")))["body"] is None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/junk", "no JSON"),
        ("/deep", "no JSON"),
        ("/nan", "no JSON"),
        ("/large", "larger than 64 KiB"),
        ("/away", "status 302"),
        ("/else", "status 500"),
    ],
)
async def test_what_is_no_answer(path: str, reason: str) -> None:
    async with serving() as base, Questions(ALLOWED) as questions:
        with pytest.raises(WebFailed, match=reason) as failed:
            await questions.ask(ask(base + path))
        assert "secret" not in str(failed.value)


async def test_a_server_that_takes_too_long() -> None:
    async with serving() as base, Questions(ALLOWED) as questions:
        with pytest.raises(WebFailed, match="no answer"):
            await questions.ask(ask(f"{base}/slow", timeout_s=0.2))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/",
        "http://localhost:9/",
        "http://[::1]:9/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://2130706433/",
        "http://[::ffff:127.0.0.1]/",
        "file:///etc/passwd",
        "http://user:pass@example.com/",
    ],
)
async def test_inner_addresses_are_never_asked(url: str) -> None:
    async with Questions(Targets()) as questions:
        with pytest.raises(WebFailed, match="url: "):
            await questions.ask(ask(url))


async def test_nobody_there() -> None:
    async with serving() as base:
        pass
    async with Questions(ALLOWED) as questions:
        with pytest.raises(WebFailed, match="cannot connect"):
            await questions.ask(ask(f"{base}/echo"))
