"""Menus that listen: a word beside a digit, whoever fails; nothing is left in Asterisk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from dcx_ari.call.call import Call
from dcx_ari.call.ports import Heard, Listener, ListeningFailed
from dcx_ari.flows.document import load_yaml
from dcx_ari.testing.fake_asterisk import FakeAsterisk
from tests.sim.exchange import exchange, killed
from tests.sim.flow_world import FlowWorld, flowing

pytestmark = pytest.mark.sim

MENU = """
start: main
nodes:
  main:
    type: menu
    say: Say sales or support.
    invalid_say: Sorry.
    timeout_say: Hello?
    speech: true
    timeout_s: 5
    tries: 2
    tag: dept
    choices:
      "1": {next: sales, label: Sales}
      "2": {next: support, label: Support, words: [support, technical help]}
      "12": support
    on: {timeout: quiet, invalid: wrong}
  sales: {type: hangup}
  support: {type: hangup}
  quiet: {type: hangup}
  wrong: {type: hangup}
"""
PROMPT_S = 4.0


@dataclass
class Ears:
    """Understands what is said `takes_s` after its end; `fails` says how it fails instead."""

    fake: FakeAsterisk
    speaks_s: float = 0.6
    takes_s: float = 0.1
    fails: str = ""
    asked: list[dict[str, Sequence[str]]] = field(default_factory=list)
    over: int = 0
    then: Callable[[], None] | None = None  # in the same instant

    async def listen(self, connection: str, choices: Mapping[str, Sequence[str]], listener: Listener) -> None:
        self.asked.append(dict(choices))
        if self.fails == "missing":
            raise ListeningFailed("pocketsphinx is not installed")
        try:
            async with self.fake.media(connection) as pieces:
                async for piece in pieces:
                    if piece == b"(the socket dies)":
                        return
                    listener.speaks()
                    await asyncio.sleep(self.speaks_s)
                    if self.fails == "hangs":
                        await asyncio.get_running_loop().create_future()
                    if self.fails == "limit":
                        raise ListeningFailed("the recogniser took longer than 5 s")
                    await asyncio.sleep(self.takes_s)
                    words = piece.decode()
                    choice = next((each for each, known in choices.items() if words in known), None)
                    listener.heard(None if words == "(a door)" else Heard(choice, words))
                    if self.then is not None:
                        self.then()
        finally:
            self.over += 1


def listening(f: FlowWorld, **options: Any) -> Ears:
    ears = Ears(f.fake, **options)
    f.exchange.ports = replace(f.exchange.ports, ears=ears)
    f.fake.sound("sound:said/Say sales or support.", PROMPT_S)
    return ears


async def ended(f: FlowWorld) -> Call:
    call = await f.over()
    assert call.listening is None
    assert call.listened == []
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert [name for name in names if call.id in name] == []
    return call


async def test_what_is_said_is_as_good_as_its_digit() -> None:
    async with flowing(MENU) as f:
        ears = listening(f)
        caller = f.call()
        caller.at(PROMPT_S + 1, caller.say, "sales")
        call = await ended(f)
        assert (call.path, call.tags["digits"], call.tags["dept"]) == ("main:1 sales:end", "1", "Sales")
        assert ears.asked == [{"1": ("sales",), "2": ("support", "technical help")}]  # 12 has no name
        assert f.said("said") == [{"words": "sales", "choice": "1"}]
        assert ears.over == 1
        assert caller.ended_at == pytest.approx(PROMPT_S + 1.8, abs=0.2)  # it did not wait for 12


@pytest.mark.parametrize(("takes_s", "path"), [(0.1, "main:1 sales:end"), (3.0, "main:2 support:end")])
async def test_a_digit_and_a_word_whichever_comes_first(takes_s: float, path: str) -> None:
    async with flowing(MENU) as f:
        listening(f, takes_s=takes_s)
        caller = f.call()
        caller.at(PROMPT_S + 1, caller.say, "sales")
        caller.at(PROMPT_S + 2, caller.digit, "2")
        call = await ended(f)
        assert call.path == path
        assert len(f.said("said")) == (takes_s < 1)


async def test_a_digit_and_a_word_in_the_same_instant_are_the_digit() -> None:
    async with flowing(MENU) as f:
        ears = listening(f)
        caller = f.call()
        ears.then = lambda: next(iter(f.exchange.calls.values())).caller.digits.append("2")
        caller.at(PROMPT_S + 1, caller.say, "sales")
        call = await ended(f)
        assert (call.path, call.tags["digits"]) == ("main:2 support:end", "2")


async def test_a_digit_in_the_middle_of_a_word_wins_at_once() -> None:
    async with flowing(MENU) as f:
        listening(f, speaks_s=4.0)
        caller = f.call()
        caller.at(PROMPT_S + 1, caller.say, "sales")
        caller.at(PROMPT_S + 1.5, caller.digit, "2")
        call = await ended(f)
        assert call.path == "main:2 support:end"
        assert caller.ended_at == pytest.approx(PROMPT_S + 1.5, abs=0.2)


@pytest.mark.parametrize("words", ["pizza", ""])
async def test_what_is_none_of_the_choices_is_invalid_and_silence_is_a_timeout(words: str) -> None:
    async with flowing(MENU) as f:
        listening(f)
        caller = f.call()
        for again in range(2) if words else ():
            caller.at(PROMPT_S + 1 + again * (PROMPT_S + 3), caller.say, words)
        call = await ended(f)
        assert call.path == ("main:invalid wrong:end" if words else "main:timeout quiet:end")
        assert ("sound:said/Sorry." in caller.media, "sound:said/Hello?" in caller.media) == (bool(words), not words)
        assert len(f.said("not_understood")) == (2 if words else 0)


async def test_noise_is_nothing_and_a_word_that_was_begun_in_time_is_waited_for() -> None:
    async with flowing(MENU) as f:
        listening(f, speaks_s=2.0)
        caller = f.call()
        caller.at(PROMPT_S + 1, caller.say, "(a door)")
        caller.at(PROMPT_S + 4.5, caller.say, "technical help")
        assert (await ended(f)).path == "main:2 support:end"


@pytest.mark.parametrize(("over", "path"), [(False, "main:timeout quiet:end"), (True, "main:2 support:end")])
async def test_what_is_said_over_the_prompt_counts_only_where_the_menu_says_so(over: bool, path: str) -> None:
    async with flowing(MENU.replace("speech: true", f"speech: true\n    speak_over: {str(over).lower()}")) as f:
        listening(f)
        caller = f.call()
        caller.at(0.5, caller.say, "pizza")  # never counts under a prompt
        caller.at(2.0, caller.say, "support")
        call = await ended(f)
        assert call.path == path
        assert (caller.seconds_of("sound:said/Say sales or support.") < PROMPT_S) == over


@pytest.mark.parametrize("fails", ["missing", "limit", "hangs", "socket", "snoop", "media", "bridge"])
async def test_whatever_fails_digits_work(fails: str) -> None:
    async with flowing(MENU) as f:
        listening(f, fails=fails)
        refused = {"snoop": "channels/*/snoop/*", "media": "channels/externalMedia", "bridge": "bridges/*"}
        if fails in refused:
            f.fake.fail("POST", refused[fails])
        caller = f.call()
        caller.at(PROMPT_S + 1, caller.say, "(the socket dies)" if fails == "socket" else "sales")
        caller.at(PROMPT_S + 3, caller.digit, "2")
        call = await ended(f)
        assert call.path == "main:2 support:end"
        assert bool(f.said("listening_failed")) == (fails != "hangs")


async def test_a_recogniser_that_hangs_does_not_hold_the_menu_for_ever() -> None:
    async with flowing(MENU) as f:
        listening(f, fails="hangs")
        caller = f.call()
        caller.at(PROMPT_S + 1, caller.say, "sales")
        call = await ended(f)
        assert call.path == "main:timeout quiet:end"
        assert caller.ended_at is not None
        assert caller.ended_at < 40


@pytest.mark.parametrize("after", [0.0001, 0.0005, 0.0015, 0.002, 1.0, PROMPT_S + 1.3, PROMPT_S + 1.65])
async def test_a_caller_who_hangs_up_in_the_middle_of_a_word(after: float) -> None:
    async with flowing(MENU) as f:
        ears = listening(f)
        caller = f.call()
        caller.at(PROMPT_S + 1, caller.say, "sales")
        caller.hang_up(after=after)
        call = await ended(f)
        assert call.ended_by == "caller"
        assert ears.over == len(ears.asked)


@pytest.mark.parametrize("after", [2.0, PROMPT_S + 4])
async def test_an_answer_of_asterisks_that_never_comes_leaves_nothing_behind(after: float) -> None:
    """The channel is made, and nobody is told: it is put away when the call ends, if not before."""
    async with flowing(MENU) as f:
        listening(f)
        f.fake.fail("POST", "channels/externalMedia", status=0, runs=True)
        caller = f.call()
        caller.at(after, caller.digit, "1")
        call = await ended(f)
        assert call.path == "main:1 sales:end"
        assert bool(f.said("listening_failed")) == (after > PROMPT_S)  # else the menu was over before it was too late
        assert caller.ended_at == pytest.approx(after, abs=2)  # and who has pressed a digit does not wait for that


async def test_an_engine_that_stops_in_the_middle_of_a_word_leaves_nothing_behind() -> None:
    async with flowing(MENU) as f:
        listening(f)
        caller = f.call()
        caller.at(PROMPT_S + 1, caller.say, "sales")
        await asyncio.sleep(PROMPT_S + 1.2)
        await f.exchange.stop(0.0)
        with suppress(TimeoutError):
            await f.fake.settled(10)
        f.fake.assert_clean()


async def test_two_menus_in_a_row_listen_each_for_its_own() -> None:
    two = MENU.replace('"1": {next: sales, label: Sales}', '"1": {next: second, label: Sales}').replace(
        "  sales: {type: hangup}",
        "  second: {type: menu, say: Yes or no., speech: true, tries: 1, choices: "
        "{1: {next: sales, label: Yes}, 2: {next: quiet, label: No}}, on: {any: wrong}}\n  sales: {type: hangup}",
    )
    async with flowing(two) as f:
        ears = listening(f)
        caller = f.call()
        caller.at(PROMPT_S + 1, caller.say, "sales")
        caller.at(PROMPT_S + 5, caller.say, "yes")
        call = await ended(f)
        assert call.path == "main:1 second:1 sales:end"
        assert ears.asked[1] == {"1": ("yes",), "2": ("no",)}


async def test_a_killed_engine_leaves_no_listening_behind(tmp_path: Path) -> None:
    """The next one puts away what the first had made."""
    async with exchange(tmp_path / "a") as x:
        flow = await x.add("flows", name="said", document=load_yaml(MENU), status="published")
        await x.change("campaigns", x.campaign_id, flow_id=flow)
        x.engine.exchange.ports = replace(x.engine.exchange.ports, ears=Ears(x.fake))
        caller = x.call()
        await caller.hears("sound:said/Say sales or support.")
        await asyncio.sleep(0.5)
        assert sorted(name.partition("/")[0] for name in names(x.fake)) == ["PJSIP", "Snoop", "WebSocket"]
        assert len(x.fake.core.bridges) == 1
        async with killed(x):
            await asyncio.sleep(3)
            assert names(x.fake) == [caller.channel.name]  # this one has no ears
            assert x.fake.core.bridges == {}
            caller.digit("1")
            (row,) = await x.over()
            assert row["flow_path"].endswith("main:1 sales:end")


def names(fake: FakeAsterisk) -> list[str]:
    return [channel.name for channel in fake.core.channels.values()]
