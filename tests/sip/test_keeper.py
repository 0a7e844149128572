"""An Asterisk that dies, and one that lives and does not answer: `dcx up` starts another, and calls go on."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from dcx_asterisk.instance import Instance
from dcx_asterisk.ports import free_ports
from dcx_asterisk.process import adopt, start
from dcx_asterisk.tree import Tree
from tests.sip.command import Home
from tests.sip.parties import CALLER_HZ, Parties, until
from tests.sip.rows import Rows

pytestmark = pytest.mark.sip

BUYER_HZ = 700
NOTICED_S = 40.0  # 26 s is the rule; the rest is for the start, and for a machine that is busy


async def test_an_asterisk_that_dies_or_freezes_is_started_again(rows: Rows, phones_tree: Tree, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    async with AsyncExitStack() as stack:
        stack.callback(home.kill_asterisk)
        parties = Parties(tree=phones_tree, folder=tmp_path, stack=stack, sip_port=home.sip_port)
        (talker,) = await parties.phones(talker=(BUYER_HZ, "auto"))
        caller = await parties.caller("+12125550101")
        await rows.buyer("Talker", talker, concurrency_limit=1)
        web = await stack.enter_async_context(aiohttp.ClientSession())

        async def ready() -> tuple[int, str]:
            try:
                async with web.get(f"{home.api}/ready", timeout=aiohttp.ClientTimeout(total=10)) as answer:
                    return answer.status, await answer.text()
            except aiohttp.ClientError as error:
                return 0, str(error)

        async def ready_is(status: int, words: str, within_s: float = NOTICED_S) -> None:
            async with asyncio.timeout(within_s):
                while True:
                    last = await ready()
                    if last[0] == status and words in last[1]:
                        return
                    await asyncio.sleep(0.1)

        async def talk() -> None:
            await parties.dial(caller, rows.number)
            await asyncio.gather(*(each.wait("CALL_ESTABLISHED", timeout_s=20) for each in (caller, talker)))
            await asyncio.gather(parties.hear(talker, CALLER_HZ), parties.hear(caller, BUYER_HZ))

        async def end() -> None:
            await asyncio.gather(*(each.hangup() for each in (caller, talker)))
            await asyncio.gather(*(each.wait("CALL_CLOSED", timeout_s=20) for each in (caller, talker)))

        async with home.up() as up:
            first = home.asterisk_pid
            assert first is not None
            await talk()
            os.kill(first, signal.SIGKILL)
            await until(lambda: home.asterisk_pid not in (first, None), "another Asterisk runs", NOTICED_S)
            await ready_is(200, "ready")
            await end()  # nobody was there to tell the phones
            await talk()  # the trunks are there again, the buyer's one slot is free
            second = home.asterisk_pid
            assert second is not None

            os.kill(second, signal.SIGSTOP)
            began = time.monotonic()
            await ready_is(503, "Asterisk")
            why = (await ready())[1]
            assert "did not answer" in why or "not connected" in why
            await until(lambda: home.asterisk_pid not in (second, None), "another Asterisk runs", NOTICED_S)
            noticed = time.monotonic() - began
            await ready_is(200, "ready")
            await end()
            await talk()
            await end()
            said = await up.end()
        print(f"noticed and replaced after {noticed:.1f} s")
        assert f"process {first}) has died" in said.err
        assert f"process {second}) lives, but has not answered" in said.err
        assert not home.asterisk_runs
        calls = await rows.query("SELECT status, ended_at FROM calls ORDER BY started_at")
        assert [call["status"] for call in calls] == ["COMPLETED"] * 3
        assert all(call["ended_at"] for call in calls)


async def test_a_frozen_asterisk_of_before_is_replaced(tmp_path: Path) -> None:
    sip, ari, ami, rtp = free_ports(4, spacing=10)
    instance = Instance(home=tmp_path / "asterisk", sip_port=sip, ari_port=ari, ami_port=ami, rtp_ports=(rtp, rtp + 9))
    first = await start(instance, die_with_parent=True)
    os.kill(first.pid, signal.SIGSTOP)
    second = await start(instance, die_with_parent=True)
    try:
        assert not second.adopted
        assert second.pid != first.pid
        assert not first.alive
        assert await adopt(instance, second.tree) is not None
    finally:
        await second.stop()
