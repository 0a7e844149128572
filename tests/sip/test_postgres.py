"""A whole call on PostgreSQL, which dies while the two talk."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from dcx_asterisk.fetch import ensure
from dcx_asterisk.process import Asterisk
from dcx_asterisk.servers import Postgres
from dcx_asterisk.tree import Tree
from tests.sip.exchange import exchange
from tests.sip.parties import CALLER_HZ, until

pytestmark = [pytest.mark.sip, pytest.mark.pg]

BUYER_HZ = 700


@pytest.fixture
def server() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="dcx-tests-", ignore_cleanup_errors=True) as folder:
        made = Postgres(Path(folder), ensure("servers"), durable=True)
        made.start()
        yield made
        made.stop(signal.SIGQUIT)


async def test_a_call_outlives_the_database(
    asterisk: Asterisk, phones_tree: Tree, tmp_path: Path, server: Postgres
) -> None:
    async with exchange(asterisk, phones_tree, tmp_path, database_url=server.url) as x, aiohttp.ClientSession() as web:

        async def ready() -> tuple[int, str]:
            async with web.get(f"http://127.0.0.1:{x.settings.api_port}/ready") as answer:
                return answer.status, await answer.text()

        (phone,) = await x.phones(acme=BUYER_HZ)
        caller = await x.caller()
        number = await x.campaign(record=True)
        rules = [{"kind": "duration", "threshold_s": 1, "timer_start": "bridge"}]
        await x.buyer("Acme", phone, revenue_cents=1500, conversion_rules=rules, daily_cap=5)
        assert (await ready())[0] == 200
        call = await x.call(caller, number)
        await phone.wait("CALL_INCOMING")
        await phone.accept()
        await x.stage(call, "talking")
        await x.hear(caller, BUYER_HZ)

        server.stop(signal.SIGKILL)
        status, why = await ready()
        assert (status, "cannot be reached" in why) == (503, True)
        await asyncio.sleep(1.5)  # sold meanwhile, with nobody to book it
        await x.hear(caller, BUYER_HZ)  # they talk on
        await x.hear(phone, CALLER_HZ)
        await phone.hangup()
        await caller.wait("CALL_CLOSED")
        server.start()

        await until(lambda: not x.engine.exchange.calls, "the call is put away", 60)
        (row,) = await x.over()
        assert (await ready())[0] == 200
        assert (row["status"], row["converted"], row["revenue_cents"]) == ("COMPLETED", True, 1500)
        (leg,) = await x.query("SELECT result FROM legs")
        assert leg["result"] == "answered"
        (recording,) = await x.query("SELECT state FROM recordings")
        assert recording["state"] == "ready"
        events = await x.query("SELECT seq FROM call_events ORDER BY seq")
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert x.engine.journal.refused == 0
