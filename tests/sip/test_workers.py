"""Two workers: one is killed, drained, replaced, and nobody who talks notices."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from dcx_asterisk.phone import Phone
from dcx_asterisk.tree import Tree
from tests.sip.command import Home
from tests.sip.parties import CALLER_HZ, STEP_S, Parties
from tests.sip.rows import Rows

pytestmark = pytest.mark.sip

BUYER_HZ = 900.0
MENU = {
    "start": "menu",
    "nodes": {
        "menu": {
            "type": "menu",
            "say": "Press one.",
            "choices": {"1": "sell"},
            "timeout_s": 60,
            "on": {"timeout": "end", "invalid": "end"},
        },
        "sell": {"type": "route", "on": {"any": "end"}},
        "end": {"type": "hangup"},
    },
}


async def workers(home: Home) -> dict[str, dict[str, Any]]:
    listed = await home.run("workers", "list", "--json")
    assert listed.status == 0, listed
    return {row["slot"]: row for row in json.loads(listed.out)}


async def eventually(rows: Rows, sql: str, what: str, **values: Any) -> None:
    """Until the query finds something."""
    try:
        async with asyncio.timeout(STEP_S):
            while not await rows.query(sql, **values):
                await asyncio.sleep(0.05)
    except TimeoutError:
        found = await rows.query("SELECT id, worker, stage, ended_at FROM calls")
        raise AssertionError(f"{what}: {found}") from None


OPEN_ELSEWHERE = "SELECT count(*) AS found FROM calls WHERE ended_at IS NULL AND worker <> :slot HAVING count(*) = :n"
OPEN_AT_STAGE = "SELECT count(*) AS found FROM calls WHERE ended_at IS NULL AND stage = :stage HAVING count(*) = :n"


async def test_calls_outlive_every_worker(rows: Rows, phones_tree: Tree, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    async with AsyncExitStack() as stack:
        stack.callback(home.kill_asterisk)
        parties = Parties(tree=phones_tree, folder=tmp_path, stack=stack, sip_port=home.sip_port)
        first, second = await parties.phones(first=(BUYER_HZ, "auto"), second=(BUYER_HZ, "auto"))
        talker, chooser = await asyncio.gather(parties.caller("+12125550101"), parties.caller("+12125550102"))
        straight = await rows.campaign()
        await rows.buyer("First", first, concurrency_limit=1, conversion_rules=_CONVERTS_AT_ONCE)
        by_menu = await rows.campaign(flow=MENU)
        await rows.buyer("Second", second, concurrency_limit=1, conversion_rules=_CONVERTS_AT_ONCE)

        async def talk() -> None:
            await asyncio.gather(parties.hear(first, CALLER_HZ), parties.hear(talker, BUYER_HZ))

        async with home.up("up", "--workers", "2") as up:
            assert "2 workers" in up.ready
            await asyncio.gather(parties.dial(talker, straight), parties.dial(chooser, by_menu))
            await talk()
            await eventually(rows, OPEN_AT_STAGE, "the menu", stage="menu", n=1)
            known = await workers(home)
            assert {row["state"] for row in known.values()} == {"up"}

            for slot in ("dcx-0", "dcx-1"):
                pid = (await workers(home))[slot]["pid"]
                os.kill(pid, signal.SIGKILL)
                await eventually(rows, OPEN_ELSEWHERE, f"after the end of {slot}", slot=slot, n=2)
                await talk()
                await _back(home, slot, pid)
            await chooser.digits("1")
            await asyncio.gather(parties.hear(second, CALLER_HZ), parties.hear(chooser, BUYER_HZ))

            before = await workers(home)
            said = await home.run("workers", "restart", timeout_s=120)
            assert said.status == 0, said
            after = await workers(home)
            assert all(after[slot]["pid"] != before[slot]["pid"] for slot in before)
            await talk()
            await asyncio.gather(parties.hear(second, CALLER_HZ), parties.hear(chooser, BUYER_HZ))

            said = await home.run("drain", "dcx-0", timeout_s=120)
            assert said.status == 0, said
            await eventually(rows, OPEN_ELSEWHERE, "after the drain", slot="dcx-0", n=2)
            assert (await workers(home))["dcx-0"]["state"] == "gone"
            await talk()
            await _new_call(parties, rows, chooser, second, by_menu)  # the other takes new calls

            await asyncio.gather(talker.hangup(), chooser.hangup())
            await eventually(
                rows, "SELECT count(*) AS found FROM calls HAVING count(*) = count(ended_at)", "all are over"
            )
            closed = await rows.query("SELECT status, revenue_cents FROM calls ORDER BY started_at")
            assert {row["status"] for row in closed} == {"COMPLETED"}
            assert [row["revenue_cents"] for row in closed[:2]] == [1000, 1000]  # the third was too short, perhaps
            assert await rows.query("SELECT * FROM cap_holds WHERE state = 'held'") == []
            assert (await home.run("caps", "verify")).status == 0
            assert (await up.end()).status == 0
        assert not home.asterisk_runs


_CONVERTS_AT_ONCE = [{"kind": "duration", "threshold_s": 1, "revenue_cents": 1000}]


async def _back(home: Home, slot: str, former: int) -> None:
    async with asyncio.timeout(60):
        while (row := (await workers(home))[slot])["pid"] == former or row["state"] != "up":
            await asyncio.sleep(0.2)


async def _new_call(parties: Parties, rows: Rows, caller: Phone, buyer: Phone, number: str) -> None:
    await caller.hangup()
    await buyer.wait("CALL_CLOSED", timeout_s=STEP_S)
    await eventually(rows, "SELECT 1 FROM calls WHERE ended_at IS NOT NULL", "the first is over")
    await parties.dial(caller, number)
    await eventually(rows, OPEN_AT_STAGE, "the menu", stage="menu", n=1)
    await caller.digits("1")
    await asyncio.gather(parties.hear(buyer, CALLER_HZ), parties.hear(caller, BUYER_HZ))


async def test_the_last_calls_get_time_to_end(rows: Rows, phones_tree: Tree, tmp_path: Path) -> None:
    home = Home(tmp_path / "home", {"DCX_DRAIN_S": "60"})
    async with AsyncExitStack() as stack:
        stack.callback(home.kill_asterisk)
        parties = Parties(tree=phones_tree, folder=tmp_path, stack=stack, sip_port=home.sip_port)
        (buyer,) = await parties.phones(buyer=(BUYER_HZ, "auto"))
        caller = await parties.caller()
        number = await rows.campaign()
        await rows.buyer("Acme", buyer)
        async with home.up() as up:
            await parties.dial(caller, number)
            await asyncio.gather(parties.hear(buyer, CALLER_HZ), parties.hear(caller, BUYER_HZ))
            up.process.send_signal(signal.SIGTERM)
            await eventually(rows, "SELECT 1 FROM workers WHERE state = 'draining'", "it drains")
            await asyncio.gather(parties.hear(buyer, CALLER_HZ), parties.hear(caller, BUYER_HZ))
            await caller.hangup()
            async with asyncio.timeout(STEP_S):
                assert await up.process.wait() == 0
        (row,) = await rows.query("SELECT status, ended_by FROM calls")
        assert row == {"status": "COMPLETED", "ended_by": "caller"}
        (worker,) = await rows.query("SELECT state FROM workers")
        assert worker["state"] == "gone"


async def test_calls_that_do_not_end_are_ended_and_told_of(rows: Rows, phones_tree: Tree, tmp_path: Path) -> None:
    home = Home(tmp_path / "home", {"DCX_DRAIN_S": "1"})
    async with AsyncExitStack() as stack:
        stack.callback(home.kill_asterisk)
        parties = Parties(tree=phones_tree, folder=tmp_path, stack=stack, sip_port=home.sip_port)
        (buyer,) = await parties.phones(buyer=(BUYER_HZ, "auto"))
        caller = await parties.caller()
        number = await rows.campaign()
        await rows.buyer("Acme", buyer)
        async with home.up() as up:
            await parties.dial(caller, number)
            await asyncio.gather(parties.hear(buyer, CALLER_HZ), parties.hear(caller, BUYER_HZ))
            said = await up.end()
        assert said.status == 3
        assert "1 calls were still up after 1 s and have been ended" in said.err
        (row,) = await rows.query("SELECT status, ended_by FROM calls")
        assert row == {"status": "COMPLETED", "ended_by": "system"}
