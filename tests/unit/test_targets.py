"""Where webhooks may go, and that nothing else is connected to."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from dcx_ari.integrations.http import MAX_ANSWER, GuardedSession, NoAnswer
from dcx_ari.store.targets import Targets, UnsafeUrl, networks, public_url

pytestmark = pytest.mark.unit
LOOPBACK = Targets(networks("127.0.0.0/8, ::1"))

INNER = (
    *("127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),  # noqa: S104
    *("192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1"),
    *("fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1"),
    *("::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1"),
)


@pytest.mark.parametrize("address", INNER)
def test_inner_addresses_are_refused_in_every_disguise(address: str):
    assert not Targets().permits(address)
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(UnsafeUrl):
        Targets().check_url(f"http://{host}/")


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_public_addresses_pass(address: str):
    assert Targets().permits(address)


def test_an_inner_network_is_allowed_by_name_of_its_network_only():
    targets = Targets(networks("10.1.0.0/16, fd00::/8"))
    assert targets.permits("10.1.2.3")
    assert targets.permits("::ffff:10.1.2.3")
    assert targets.permits("fd12::1")
    assert not targets.permits("10.2.0.1")
    assert not targets.permits("127.0.0.1")


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.com/hook", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com", "https://"),
        *("https:///path", "https://user:pass@example.com/", "https://example.com:0/", "https://example.com:99999/"),
        *("https://example.com/#top", "https://exa mple.com/", "https://example.com/\r\nX: y", "https://exämple.com/"),
        *("http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/", "http://0/"),
        *("http://localhost/", "http://LOCALHOST./", "http://a.localhost/", "http://[::1", "https://e.com\\@10.0.0.1/"),
        "https://example.com/" + "a" * 2000,
    ],
)
def test_urls_that_cannot_be_used(url: str):
    with pytest.raises(UnsafeUrl):
        Targets().check_url(url)


@pytest.mark.parametrize("url", ["https://example.com/hook?a=1", "http://hooks.example.com:8443", "https://1.1.1.1/x"])
def test_urls_that_can(url: str):
    Targets().check_url(url)


async def test_a_name_that_leads_inside_is_refused_when_it_is_saved(monkeypatch: pytest.MonkeyPatch):
    async def unknown(*_: Any, **_options: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", unknown)
    await Targets().check("https://no-such-name.example.com/")  # may come to be later; connections ask again
    resolving(monkeypatch, ["10.0.0.7"])
    with pytest.raises(UnsafeUrl, match="DCX_WEBHOOK_ALLOW"):
        await Targets().check("https://intranet.example.com/")


def resolving(monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> None:
    """Every name leads to these addresses."""

    async def getaddrinfo(_loop: Any, _host: Any, port: Any, **_options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


async def serving(*routes: web.RouteDef) -> TestServer:
    app = web.Application()
    app.add_routes(routes)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    return server


async def test_a_name_that_changes_its_mind_is_not_connected_to(monkeypatch: pytest.MonkeyPatch):
    """DNS rebinding: the name was public when it was saved. The connection goes to the address that was asked about."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.host)
        return web.Response(text="secret")

    server = await serving(web.get("/", answer))
    resolving(monkeypatch, ["127.0.0.1"])
    url = f"http://public.example.com:{server.port}/"
    try:
        Targets().check_url(url)
        async with GuardedSession(Targets()) as http:
            with pytest.raises(NoAnswer, match="must not lead to a private") as refused:
                await http.request("GET", url)
        assert refused.value.refused
        assert asked == []
        async with GuardedSession(LOOPBACK) as http:
            assert (await http.request("GET", url)).body == b"secret"
    finally:
        await server.close()


async def test_of_two_addresses_only_the_permitted_one_is_used(monkeypatch: pytest.MonkeyPatch):
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text="here")

    server = await serving(web.get("/", answer))
    resolving(monkeypatch, ["10.255.255.1", "127.0.0.1"])
    try:
        async with GuardedSession(LOOPBACK) as http:
            assert (await http.request("GET", f"http://two.example.com:{server.port}/")).body == b"here"
    finally:
        await server.close()


async def test_redirects_are_answers_and_bodies_are_bounded():
    async def away(_request: web.Request) -> web.Response:
        raise web.HTTPFound("/large")

    async def large(_request: web.Request) -> web.Response:
        return web.Response(body=b"x" * (5 * MAX_ANSWER))

    async def packed(_request: web.Request) -> web.Response:
        return web.Response(body=b"\x1f\x8bnot unpacked", headers={"Content-Encoding": "gzip"})

    server = await serving(web.get("/", away), web.get("/large", large), web.get("/packed", packed))
    try:
        async with GuardedSession(LOOPBACK) as http:
            base = f"http://127.0.0.1:{server.port}"
            assert (await http.request("GET", base)).status == 302
            assert len((await http.request("GET", f"{base}/large")).body) == MAX_ANSWER
            assert (await http.request("GET", f"{base}/packed")).body == b"\x1f\x8bnot unpacked"
    finally:
        await server.close()


async def test_no_answer_has_a_reason():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        async with GuardedSession(LOOPBACK) as http:
            with pytest.raises(NoAnswer, match="cannot connect"):
                await http.request("GET", f"http://127.0.0.1:{port}/")

    async def never(request: web.Request) -> web.Response:
        await request.read()
        await released.wait()
        return web.Response()

    released = asyncio.Event()
    server = await serving(web.get("/", never))
    try:
        async with GuardedSession(LOOPBACK, timeout_s=0.05) as http:
            with pytest.raises(NoAnswer, match="in time"):
                await http.request("GET", f"http://127.0.0.1:{server.port}/")
    finally:
        released.set()
        await server.close()


def test_a_slack_url_is_not_shown():
    assert public_url("https://hooks.slack.com/services/T/B/X", "slack") == "https://hooks.slack.com/…"
    assert public_url("https://example.com/hook", "webhook") == "https://example.com/hook"
