"""Processes that are killed in the middle of calls: what is left is cleared up, and calls go on."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from dcx_asterisk.instance import Instance
from dcx_asterisk.ports import free_ports
from dcx_asterisk.process import running, start
from dcx_asterisk.tree import Tree
from tests.sip.command import Home
from tests.sip.exchange import exchange
from tests.sip.parties import CALLER_HZ, STEP_S, Parties, until
from tests.sip.rows import Rows

pytestmark = pytest.mark.sip

BUYER_HZ = 700


async def test_calls_go_on_after_asterisk_was_killed(phones_tree: Tree, tmp_path: Path) -> None:
    sip, ari, ami, rtp = free_ports(4, spacing=20)
    instance = Instance(
        home=tmp_path / "asterisk", sip_port=sip, ari_port=ari, ami_port=ami, rtp_ports=(rtp, rtp + 19), retry_s=1
    )
    async with running(instance) as first, exchange(first, phones_tree, tmp_path) as x:
        caller, (phone,) = await x.caller(), await x.phones(acme=(BUYER_HZ, "auto"))
        await x.campaign(record=True)
        trunk = await x.add("trunks", name="out", host="127.0.0.1", port=phone.port)
        await x.trunk_leads_to(trunk, phone.port)
        await x.buyer("Acme", phone, endpoint_value="+15550101001", trunk_id=trunk, concurrency_limit=1)
        call = await x.call(caller)
        await x.stage(call, "talking")
        await x.hear(phone, CALLER_HZ)
        await asyncio.sleep(1)  # Asterisk writes recordings in blocks
        os.kill(first.pid, signal.SIGKILL)
        assert first.process is not None
        await first.process.wait()
        await until(lambda: not x.engine.exchange.connected, "the engine notices")
        assert "Asterisk" in (await x.engine.not_ready() or "")
        for each in (caller, phone):
            await each.hangup()  # nobody is there any more to tell them
            await each.wait("CALL_CLOSED")
        second = await start(instance, die_with_parent=True)
        try:
            await until(lambda: x.engine.exchange.connected, "the engine connects again", 40)
            assert await x.engine.not_ready() is None
            (row,) = await x.over()
            assert row["status"] == "COMPLETED"
            await x.call(caller)  # the one slot of the buyer is free again, the trunks are there again
            await asyncio.gather(*(each.wait("CALL_ESTABLISHED") for each in (caller, phone)))
            await asyncio.gather(x.hear(phone, CALLER_HZ), x.hear(caller, BUYER_HZ))
            await caller.hangup()
            rows = await x.over()
            assert [row["status"] for row in rows] == ["COMPLETED"] * 2
            first_one, second_one = await x.query("SELECT id, state FROM recordings ORDER BY started_at")
            assert second_one["state"] == "ready"
            kept = first_one["state"] == "ready" or list((instance.spool / "monitor").glob(f"{first_one['id']}-?x.wav"))
            assert kept  # what the killed Asterisk had written is not thrown away
        finally:
            await x.engine.trunks.sync([])
            await second.stop()


async def at_stage(rows: Rows, caller: str, stage: str) -> None:
    async with asyncio.timeout(STEP_S):
        while not await rows.query("SELECT 1 FROM calls WHERE caller = :c AND stage = :s", c=caller, s=stage):
            await asyncio.sleep(0.05)


async def test_calls_go_on_after_the_engine_was_killed(rows: Rows, phones_tree: Tree, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    async with AsyncExitStack() as stack:
        stack.callback(home.kill_asterisk)
        parties = Parties(tree=phones_tree, folder=tmp_path, stack=stack, sip_port=home.sip_port)
        talker, silent = await parties.phones(talker=(BUYER_HZ, "auto"), silent=BUYER_HZ)
        one, two = await asyncio.gather(parties.caller("+12125550101"), parties.caller("+12125550102"))
        talk = await rows.campaign(record=True)
        talked = await rows.buyer("Talker", talker, concurrency_limit=1, daily_cap=2)
        ring = await rows.campaign()
        rung = await rows.buyer("Silent", silent, concurrency_limit=1, daily_cap=2, ring_timeout_s=60)

        async with home.up() as first:
            await asyncio.gather(parties.dial(one, talk), parties.dial(two, ring))
            await asyncio.gather(at_stage(rows, one.name, "talking"), silent.wait("CALL_INCOMING"))
            await asyncio.gather(parties.hear(talker, CALLER_HZ), parties.hear(one, BUYER_HZ))
            first.process.kill()
            await first.process.wait()
        asterisk = home.asterisk_pid
        assert asterisk is not None  # it was not touched: those who talk, talk
        await asyncio.sleep(0.6)
        await asyncio.gather(parties.hear(talker, CALLER_HZ), parties.hear(one, BUYER_HZ))
        (held,) = await rows.query("SELECT count(*) AS held FROM cap_holds WHERE state = 'held'")
        assert held["held"] > 0

        async with home.up() as second:
            assert asterisk == home.asterisk_pid
            await asyncio.gather(parties.hear(talker, CALLER_HZ), parties.hear(one, BUYER_HZ))
            assert await rows.query("SELECT * FROM calls WHERE ended_at IS NOT NULL") == []
            await silent.wait("CALL_CLOSED")  # the leg that rang is given up, and the buyer rung again
            await silent.wait("CALL_INCOMING")
            await asyncio.gather(talker.hangup(), two.hangup())
            await asyncio.gather(*(phone.wait("CALL_CLOSED", timeout_s=STEP_S) for phone in (one, two)))
            async with asyncio.timeout(STEP_S):
                while await rows.query("SELECT * FROM calls WHERE ended_at IS NULL"):
                    await asyncio.sleep(0.05)
            calls = await rows.query("SELECT * FROM calls ORDER BY caller")
            assert [(call["status"], call["ended_by"]) for call in calls] == [
                ("COMPLETED", "buyer"),
                ("ABANDONED", "caller"),
            ]
            async with asyncio.timeout(STEP_S):
                while await rows.query("SELECT * FROM recordings WHERE state <> 'ready'"):
                    await asyncio.sleep(0.05)
            (recording,) = await rows.query("SELECT * FROM recordings")
            assert recording["duration_ms"] > 1500  # from before the kill to the end
            assert await rows.query("SELECT * FROM cap_holds WHERE state = 'held'") == []
            assert await used(rows) == {talked: 1}
            verified = await home.run("caps", "verify")
            assert verified.status == 0, verified

            await parties.dial(one, talk)  # the buyer's one slot is free again
            await asyncio.gather(*(phone.wait("CALL_ESTABLISHED", timeout_s=STEP_S) for phone in (one, talker)))
            await asyncio.gather(parties.hear(talker, CALLER_HZ), parties.hear(one, BUYER_HZ))
            await one.hangup()
            await talker.wait("CALL_CLOSED")
            assert (await second.end()).status == 0
        assert not home.asterisk_runs
        assert await used(rows) == {talked: 2}
        assert rung not in await used(rows)
        assert await rows.query("SELECT * FROM calls WHERE ended_at IS NULL") == []
        verified = await home.run("caps", "verify")
        assert verified.status == 0, verified


async def used(rows: Rows) -> dict[int, int]:
    """Connects of today by buyer."""
    found = await rows.query(
        "SELECT scope_id, used FROM cap_counters "
        "WHERE scope = 'buyer' AND metric = 'connect' AND period = 'day' AND used > 0"
    )
    return {row["scope_id"]: row["used"] for row in found}
