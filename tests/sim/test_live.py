"""What a live view is told of real flows: every change within a second, and nothing worked out for nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dcx_ari.bus import Message
from dcx_ari.bus.memory import MemoryBus
from dcx_ari.decide.snapshot import build as snapshot
from dcx_ari.live import SWEEP_S, LiveCalls
from dcx_ari.services.live import TOPIC
from dcx_ari.testing.far_end import Answers
from tests.sim.exchange import Exchange, exchange

pytestmark = pytest.mark.sim


class Listener:
    """Hears the bus, and remembers when it heard what (seconds of virtual time)."""

    def __init__(self, x: Exchange) -> None:
        self.heard: list[tuple[float, Message]] = []
        self._x = x

    async def listen(self, ready: asyncio.Event) -> None:
        async with self._x.engine.live.watch() as messages:
            ready.set()
            async for message in messages:
                self.heard.append((asyncio.get_running_loop().time(), message))

    def seen(self, *fields: str) -> list[tuple[Any, ...]]:
        """These fields of every call told, in order, each once in a row."""
        found: list[tuple[Any, ...]] = []
        for _, call in self.changes():
            values = tuple(call[name] for name in fields)
            if not found or found[-1] != values:
                found.append(values)
        return found

    def changes(self) -> list[tuple[float, dict[str, Any]]]:
        return [(at, each) for at, message in self.heard for each in message.payload["changed"]]

    def removed(self) -> list[tuple[float, str]]:
        return [(at, call_id) for at, message in self.heard for call_id in message.payload["removed"]]


async def listening(x: Exchange) -> tuple[Listener, asyncio.Task[None]]:
    listener, ready = Listener(x), asyncio.Event()
    task = asyncio.create_task(listener.listen(ready))
    await ready.wait()
    return listener, task


async def test_a_call_from_ringing_to_its_end(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        await x.buyer("Acme", Answers(3.0, hangs_up_after=30.0))
        listener, task = await listening(x)
        x.call()
        (call,) = await x.over()
        await asyncio.sleep(2 * SWEEP_S)
        task.cancel()
        statuses = [status for (status,) in listener.seen("status")]
        assert statuses == ["ringing", "in-progress"]
        names = listener.seen("status", "campaign", "source", "number")
        assert names[-1] == ("in-progress", "Solar", "Radio", "+18005550199")
        with_buyer = [(each["status"], each["buyers"][0]["name"]) for _, each in listener.changes() if each["buyers"]]
        assert {("ringing", "Acme"), ("in-progress", "Acme")} == set(with_buyer)
        ((gone_at, gone),) = listener.removed()
        assert gone == call["id"]
        ended = (call["ended_at"] - x.engine.live.now_ms()) / 1000 + asyncio.get_running_loop().time()
        assert gone_at - ended <= 1.0 + SWEEP_S / 10
        (leg,) = await x.query("SELECT bridged_at FROM legs")
        offset = x.engine.live.now_ms() / 1000 - asyncio.get_running_loop().time()
        talking = [at + offset for at, each in listener.changes() if each["connected_at"] is not None]
        assert 0 <= talking[0] - leg["bridged_at"] / 1000 <= 1.0


async def test_nothing_is_worked_out_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with exchange(tmp_path) as x:
        looked: list[str] = []
        monkeypatch.setattr("dcx_ari.live.view_of", lambda call, _snapshot: looked.append(call.id) or {"id": call.id})
        await x.buyer("Acme", Answers(1.0, hangs_up_after=10.0))
        x.call()
        await x.over()
        assert looked == []
        x.call()
        await asyncio.sleep(5.0)
        assert len(x.engine.live.calls()) == 1  # who comes now sees it
        await x.over()


async def test_a_listener_who_comes_late_sees_what_is_up_and_its_end(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        await x.buyer("Acme", Answers(1.0, hangs_up_after=20.0))
        x.call()
        await asyncio.sleep(5.0)
        listener, task = await listening(x)
        (up,) = x.engine.live.calls()
        assert (up["status"], up["buyers"]) == ("in-progress", [{"id": 1, "name": "Acme"}])
        await x.over()
        await asyncio.sleep(2 * SWEEP_S)
        task.cancel()
        assert [call_id for _, call_id in listener.removed()] == [up["id"]]


async def test_a_call_that_only_a_snapshot_has_shown_is_removed_too() -> None:
    bus = MemoryBus()
    live = LiveCalls({}, lambda: snapshot({}, version=1), bus, lambda: 0)
    async with bus.subscribe([TOPIC]) as messages:
        live.touched("gone")
        running = asyncio.create_task(live.run())
        async with asyncio.timeout(30):
            assert (await anext(messages)).payload == {"changed": [], "removed": ["gone"]}
        running.cancel()
