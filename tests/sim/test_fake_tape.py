"""Tapes: a call recorded once can be played to the same code again, under other ids."""

import asyncio
from pathlib import Path

import pytest

from dcx_ari.ari.errors import AriError, EndpointUnavailable
from dcx_ari.ari.resources import Ari
from dcx_ari.testing import Answers, FakeAsterisk, virtual_now
from dcx_ari.testing.tape import TapeMismatch, TapePlayer, TapeRecorder, load
from tests.contract.trial import answer_and_connect
from tests.contract.world import LONG
from tests.sim.kit import BUYER

pytestmark = pytest.mark.sim


async def record(path: Path) -> list[str]:
    fake = FakeAsterisk()
    fake.sound(LONG, 30.0)
    fake.phone(BUYER, Answers(after=3.0))
    recorder = TapeRecorder(fake, path)
    running = asyncio.create_task(answer_and_connect(recorder, "call-one", BUYER))
    await asyncio.sleep(0)
    caller = fake.call()
    await caller.press("1", after=5)
    caller.hang_up(after=60)
    seen = await running
    await recorder.close()
    return seen


async def test_a_tape_replays_under_other_ids(tmp_path: Path) -> None:
    recorded = await record(tmp_path / "call.jsonl")
    began = virtual_now()
    player = TapePlayer(load(tmp_path / "call.jsonl"))
    replayed = await answer_and_connect(player, "another", BUYER)
    await player.finished()
    await player.close()
    assert replayed == recorded
    assert len(replayed) > 15
    assert virtual_now() - began == pytest.approx(65, abs=0.1)
    assert player.ids["call-one.leg2"] == "another.leg2"


async def test_a_tape_of_a_real_call_replays() -> None:
    """Recorded by tests/ari/test_tape.py on Asterisk 22.10.1 (DCX_KEEP_TAPE)."""
    player = TapePlayer(load(Path(__file__).parent / "tapes" / "real_call.jsonl"))
    seen = await answer_and_connect(player, "another", BUYER)
    await player.finished()
    await player.close()
    assert "PlaybackFinished ….menu" in seen
    assert seen[-1] == "ChannelDestroyed ….leg2"


async def test_other_requests_than_the_tape_has_are_a_mismatch(tmp_path: Path) -> None:
    await record(tmp_path / "call.jsonl")
    player = TapePlayer(load(tmp_path / "call.jsonl"))
    with pytest.raises(TapeMismatch):
        await Ari(player).channels.start_moh("whoever")


async def test_a_request_that_is_never_made_is_a_mismatch(tmp_path: Path) -> None:
    await record(tmp_path / "call.jsonl")
    player = TapePlayer(load(tmp_path / "call.jsonl"), patience_s=30)

    async def does_nothing() -> None:
        async for session in player.sessions():
            async for _ in session:
                pass

    idle = asyncio.create_task(does_nothing())
    await asyncio.sleep(0)
    with pytest.raises(TapeMismatch, match="answer"):
        await player.finished()
    idle.cancel()


async def test_errors_are_on_the_tape_too(tmp_path: Path) -> None:
    await record(tmp_path / "call.jsonl")
    failed = [entry for entry in load(tmp_path / "call.jsonl") if entry.error]
    assert [(entry.error, entry.status) for entry in failed] == [("EndpointUnavailable", 500)]
    assert issubclass(EndpointUnavailable, AriError)
