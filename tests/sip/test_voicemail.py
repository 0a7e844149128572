"""A real phone leaves a message; what is kept is what it said."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcx_ari.media.tones import heard
from dcx_asterisk.process import Asterisk
from dcx_asterisk.tree import Tree
from tests.sip.exchange import exchange
from tests.sip.parties import CALLER_HZ, until
from tests.sip.test_flows import FIRST, tone

pytestmark = pytest.mark.sip


async def test_a_voicemail_is_recorded_and_heard_back(asterisk: Asterisk, phones_tree: Tree, tmp_path: Path) -> None:
    async with exchange(asterisk, phones_tree, tmp_path) as x:
        node = {"type": "voicemail", "say": tone(FIRST, 0.6), "max_s": 20, "silence_s": 10}
        await x.campaign(flow={"start": "vm", "nodes": {"vm": node}})
        caller = await x.caller()
        call = await x.call(caller)
        await x.hear(caller, FIRST)
        spool = asterisk.instance.spool / "recording"
        await until(
            lambda: any(each.stat().st_size > 40_000 for each in spool.glob(f"{call.id}.vm1.wav")),
            "two seconds are recorded",
        )
        await caller.hangup()
        (row,) = await x.over()
        assert (row["status"], row["flow_path"]) == ("VOICEMAIL", "vm")
        (kept,) = await x.query("SELECT * FROM voicemails")
        assert (kept["audio"], kept["duration_ms"] >= 1500) == ("ready", True)
        assert heard(x.settings.home / kept["path"], CALLER_HZ, 0.3, 1.3) > 1000
        assert list(spool.glob(f"{call.id}*")) == []
