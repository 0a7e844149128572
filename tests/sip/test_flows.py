"""Flows with real phones: what callers hear, what they type, and where they leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dcx_ari.services.publishing import NotPublished
from dcx_asterisk.phone import Phone
from dcx_asterisk.process import Asterisk
from dcx_asterisk.tree import Tree
from tests.sip.exchange import Exchange, exchange
from tests.sip.parties import until
from tests.sip.sounds import order, seconds

pytestmark = pytest.mark.sip

FIRST, SECOND, THIRD, WRONG, SILENT, DONE = 1100, 1300, 1500, 1700, 1900, 2100
TONES = {"first": FIRST, "second": SECOND, "third": THIRD, "wrong": WRONG, "silent": SILENT, "done": DONE}


def tone(hz: int, for_s: float = 8.0) -> str:
    return f"tone {hz} for {for_s}"


def menu(hz: int, **choices: str) -> dict[str, Any]:
    return {
        "type": "menu",
        "say": tone(hz),
        "choices": {digits.lstrip("_"): target for digits, target in choices.items()},
        "invalid_say": tone(WRONG, 0.6),
        "timeout_s": 1,
        "tries": 2,
        "on": {"any": "silent"},
    }


ENDS: dict[str, Any] = {
    "silent": {"type": "hangup", "say": tone(SILENT, 0.6)},
    "done": {"type": "hangup", "say": tone(DONE, 0.6)},
}
THREE: dict[str, Any] = {
    "start": "first",
    "nodes": {
        "first": menu(FIRST, _1="second", _2="done"),
        "second": menu(SECOND, _1="done", _2="third"),
        "third": menu(THIRD, _3="done", _4="first"),
        **ENDS,
    },
}


async def path_of(x: Exchange) -> str:
    (row,) = await x.over()
    return str(row["flow_path"])


async def type_fast(phone: Phone, digits: str) -> None:
    """Ten digits in a second: each event is as long as the next one lets it."""
    for digit in digits:
        await phone.command("sndcode", digit)
        await asyncio.sleep(0.1)


async def test_three_levels_a_wrong_digit_and_every_prompt_cut_short(x: Exchange) -> None:
    caller = await x.caller()
    await x.campaign(flow=THREE)
    await x.call(caller)
    await x.hear(caller, FIRST)
    await caller.digits("7")
    await x.hear(caller, WRONG)
    await x.hear(caller, FIRST)
    await caller.digits("1")
    await x.hear(caller, SECOND)
    await caller.digits("2")
    await x.hear(caller, THIRD)
    await caller.digits("3")
    await caller.wait("CALL_CLOSED", timeout_s=20)
    assert await path_of(x) == "first:1 second:2 third:3 done:end"
    assert order(caller.heard, TONES) == ["first", "wrong", "first", "second", "third", "done"]
    assert all(seconds(caller.heard, hz) < 7.5 for hz in (SECOND, THIRD))  # of 8 s: cut short


async def test_digits_typed_ahead_go_through_all_three_menus(x: Exchange) -> None:
    caller = await x.caller()
    await x.campaign(flow=THREE)
    await x.call(caller)
    await x.hear(caller, FIRST)
    await type_fast(caller, "123")
    await caller.wait("CALL_CLOSED", timeout_s=20)
    assert await path_of(x) == "first:1 second:2 third:3 done:end"


async def test_a_caller_who_presses_nothing(x: Exchange) -> None:
    caller = await x.caller()
    first = {**menu(FIRST, _1="done"), "say": tone(FIRST, 0.6), "timeout_say": tone(SECOND, 0.6)}
    await x.campaign(flow={"start": "first", "nodes": {"first": first, **ENDS}})
    await x.call(caller)
    await caller.wait("CALL_CLOSED", timeout_s=20)
    assert await path_of(x) == "first:any silent:end"
    assert order(caller.heard, TONES) == ["first", "second", "first", "silent"]


async def test_ten_digits_in_a_second_are_all_there(x: Exchange) -> None:
    caller = await x.caller()
    ask = {"type": "gather", "say": tone(FIRST), "tag": "typed", "min": 10, "max": 10, "tries": 1, "next": "done"}
    await x.campaign(flow={"start": "ask", "nodes": {"ask": ask, "done": ENDS["done"]}})
    call = await x.call(caller)
    await x.hear(caller, FIRST)
    await type_fast(caller, "9071532846")
    await until(lambda: "typed" in call.tags, f"ten digits are there ({list(call.caller.digits)})")
    assert call.tags["typed"] == "9071532846"
    await caller.wait("CALL_CLOSED", timeout_s=20)
    assert await path_of(x) == "ask:next done:end"


async def test_closed_hours(x: Exchange) -> None:
    caller = await x.caller()
    nodes = {
        "pick_up": {"type": "answer", "next": "hours"},
        "hours": {"type": "hours", "weekly": {}, "open": "silent", "closed": "done"},
        **ENDS,
    }
    await x.campaign(flow={"start": "pick_up", "nodes": nodes})
    await x.call(caller)
    await caller.wait("CALL_CLOSED", timeout_s=20)
    assert await path_of(x) == "pick_up:next hours:closed done:end"
    assert order(caller.heard, TONES) == ["done"]


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """Takes every connection and never answers; the port."""
    taken: list[asyncio.StreamWriter] = []

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for writer in taken:
            writer.close()
        server.close()


async def test_a_webhook_that_hangs_and_one_that_is_refused(
    asterisk: Asterisk, phones_tree: Tree, tmp_path: Path
) -> None:
    ask = {"type": "webhook", "timeout_s": 1, "next": "silent", "on": {"error": "then"}}
    async with silent_server() as port, exchange(asterisk, phones_tree, tmp_path, webhook_allow="127.0.0.1") as x:
        nodes = {
            "pick_up": {"type": "answer", "next": "hangs"},
            "hangs": {**ask, "url": f"http://127.0.0.1:{port}/"},
            "then": {**ask, "url": f"http://127.0.0.2:{port}/", "on": {"error": "done"}},
            **ENDS,
        }
        await x.campaign(flow={"start": "pick_up", "nodes": nodes})
        caller = await x.caller()
        await x.call(caller)
        await caller.wait("CALL_CLOSED", timeout_s=20)
        assert await path_of(x) == "pick_up:next hangs:error then:error done:end"
        failed = await x.query("SELECT data FROM call_events WHERE kind = 'webhook_failed' ORDER BY seq")
        assert "no answer within 1 s" in failed[0]["data"]
        assert "must not lead to a private, loopback" in failed[1]["data"]


async def test_sounds_and_voices_that_this_asterisk_does_not_have_are_refused(x: Exchange) -> None:
    for said, problem in (("no-such-file", "sound"), ([{"say": "Bye.", "voice": "hal"}], "voice")):
        node = {"type": "hangup", ("sound" if problem == "sound" else "say"): said}
        with pytest.raises(NotPublished, match=f"there is no {problem}"):
            await x.add("flows", name=problem, document={"start": "a", "nodes": {"a": node}}, status="published")
    end = {"type": "hangup", "sound": "silence/1", "say": None}
    assert await x.add("flows", name="ok", document={"start": "a", "nodes": {"a": end}}, status="published")


EVERYWHERE: dict[str, dict[str, Any]] = {
    "consent": {"type": "consent", "say": tone(FIRST), "refuse_digit": "9", "next": "done"},
    "play": {"type": "play", "say": tone(FIRST), "next": "done"},
    "menu": {**menu(FIRST, _1="done"), "on": {"any": "done"}},
    "gather": {"type": "gather", "say": tone(FIRST), "tag": "typed", "next": "done"},
    "callback": {"type": "callback", "ask_time": tone(FIRST), "next": "done", "on": {"any": "done"}},
    "forward": {"type": "forward", "to": ["sip:nobody@127.0.0.1:9"], "on": {"any": "done"}, "ring_tone": "music"},
    "hangup": {"type": "hangup", "say": tone(FIRST)},
}


async def test_callers_who_hang_up_in_every_node(x: Exchange) -> None:
    """One caller in each node at the same time; all are gone, and each row says where."""
    names = list(EVERYWHERE)
    callers = await asyncio.gather(*(x.caller(f"+1212555010{n}") for n in range(len(names))))
    for name, caller in zip(names, callers, strict=True):
        node = EVERYWHERE[name]
        start = {"type": "answer", "next": "here"}
        nodes = {"start": start, "here": node}
        if name != "hangup":
            nodes["done"] = {"type": "hangup"}
        await x.campaign(flow={"start": "start", "nodes": nodes})
        call = await x.call(caller)
        await until(lambda: call.node == "here", f"the caller comes to {name}")  # noqa: B023
        # A phone knows nothing to hang up before its call has been answered with something.
        await until(lambda: "CALL_ESTABLISHED" in [event.kind for event in caller.events], "the caller is answered")  # noqa: B023
        if name != "forward":
            await until(lambda: caller.hears(FIRST, -0.3) > 500, f"the caller hears {name}", every_s=0.05)  # noqa: B023
        await caller.hangup()
    rows = await x.over()
    assert [row["flow_path"] for row in rows] == ["start:next here"] * len(names)
    assert {row["ended_by"] for row in rows} == {"caller"}
