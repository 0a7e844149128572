"""A call on a real Asterisk, recorded, and played again without it.

`DCX_KEEP_TAPE=<file>` keeps the tape; so was tests/sim/tapes/real_call.jsonl made.
"""

import asyncio
import os
from pathlib import Path

import pytest

from dcx_ari.testing import Answers, run
from dcx_ari.testing.tape import TapePlayer, TapeRecorder, load
from tests.contract.real_site import RealSite, real_site
from tests.contract.trial import answer_and_connect
from tests.contract.world import APP

pytestmark = pytest.mark.ari

FIRST_PORT = 25000


async def _record(site: RealSite, tape: Path) -> list[str]:
    buyer = await site.endpoint(Answers(after=0.3))
    recorder = TapeRecorder(site.second(APP), tape)
    running = asyncio.create_task(answer_and_connect(recorder, "call-one", buyer))
    await asyncio.sleep(0.5)
    caller = await site.dial_in("+18005550199", "+12125550123")
    await asyncio.sleep(1)
    await caller.press("1")
    await asyncio.sleep(2)
    await caller.hang_up()
    seen = await running
    await recorder.close()
    return seen


async def _replay(tape: Path) -> list[str]:
    player = TapePlayer(load(tape))
    seen = await answer_and_connect(player, "another", "PJSIP/whoever")
    await player.finished()
    await player.close()
    return seen


async def test_a_real_call_is_recorded_and_replayed(tmp_path: Path) -> None:
    tape = Path(os.environ.get("DCX_KEEP_TAPE", tmp_path / "call.jsonl"))
    async with real_site(tmp_path / "asterisk", FIRST_PORT) as site:
        recorded = await _record(site, tape)
    assert "ChannelDestroyed ….leg2" in recorded
    assert await asyncio.to_thread(lambda: run(_replay(tape))) == recorded
