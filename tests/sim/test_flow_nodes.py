"""Nodes of a flow that speak, listen and decide, on every way out of them (others: test_flow_asking)."""

from __future__ import annotations

import asyncio

import pytest

from tests.sim.flow_world import flowing

pytestmark = pytest.mark.sim

MENU = """
start: main
nodes:
  main:
    type: menu
    say: Press one or two.
    invalid_say: Wrong.
    timeout_say: Nothing.
    timeout_s: 4
    tries: 2
    tag: choice
    choices:
      1: {next: sales, label: Sales}
      2: deeper
      23: rare
    on: {timeout: silent, invalid: wrong}
  deeper: {type: menu, say: Deeper., choices: {1: deepest, "*": main}, on: {any: silent}}
  deepest: {type: menu, say: Deepest., choices: {"#": sales}, on: {any: silent}}
  rare: {type: hangup, say: Rare.}
  sales: {type: hangup, say: Sales.}
  silent: {type: hangup, say: Silent.}
  wrong: {type: hangup, say: Never., cause: 21}
"""


def spoken(media: list[str]) -> list[str]:
    return [uri.removeprefix("sound:said/") for uri in media]


@pytest.mark.parametrize(
    ("presses", "path", "heard"),
    [
        ("1", "main:1 sales:end", ["Press one or two.", "Sales."]),
        ("23", "main:23 rare:end", ["Press one or two.", "Rare."]),
        ("2", "main:2 deeper:timeout silent:end", None),
        ("", "main:timeout silent:end", ["Press one or two.", "Nothing.", "Press one or two.", "Silent."]),
        ("9", "main:timeout silent:end", ["Press one or two.", "Wrong.", "Press one or two.", "Silent."]),
        ("29", "main:timeout silent:end", None),
    ],
)
async def test_a_menu(presses: str, path: str, heard: list[str] | None) -> None:
    async with flowing(MENU.replace("on: {any: silent}", "tries: 1, on: {timeout: silent}")) as f:
        caller = f.call()
        await caller.hears("Press one")
        await caller.press(presses, after=0.3, gap=0.4)
        call = await f.over()
        assert call.path == path
        assert heard is None or spoken(caller.media) == heard
        if presses == "1":
            assert (call.tags["choice"], call.tags["digits"]) == ("Sales", "1")


async def test_wrong_digits_twice() -> None:
    async with flowing(MENU) as f:
        caller = f.call()
        await caller.hears("Press one")
        await caller.press("9", after=0.3)
        await caller.hears("Wrong")
        await caller.press("8", after=3)
        call = await f.over()
        assert call.path == "main:invalid wrong:end"
        assert [data["digits"] for data in f.said("invalid_digits")] == ["9", "8"]


async def test_a_digit_in_the_middle_of_a_prompt_cuts_it_short() -> None:
    async with flowing(MENU) as f:
        f.fake.sound("sound:said/Press one or two.", 30.0)
        caller = f.call()
        await caller.hears("Press one")
        caller.at(5, caller.digit, "1")
        await f.over()
        assert caller.seconds_of("sound:said/Press one or two.") == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize(
    "node",
    [
        "{type: play, say: Here., barge_in: false, next: end}",
        "{type: consent, say: Here., next: end}",
        "{type: menu, say: Here., choices: {1: end}, on: {any: end}}",
        "{type: gather, say: Here., tag: typed, next: end}",
        "{type: callback, ask_time: Here., next: end, on: {any: end}}",
        "{type: voicemail, say: Here., next: end}",
        "{type: hangup, say: Here.}",
    ],
)
async def test_a_caller_who_hangs_up_in_a_prompt_goes_no_further(node: str) -> None:
    text = f"start: first\nnodes:\n  first: {{type: answer, next: here}}\n  here: {node}\n"
    async with flowing(text + ("  end: {type: hangup}\n" if "next" in node or "end" in node else "")) as f:
        f.fake.sound("sound:said/Here.", 30.0)
        caller = f.call()
        await caller.hears("Here")
        caller.hang_up(after=3)
        call = await f.over()
        assert (call.path, call.ended_by) == ("first:next here", "caller")


async def test_without_barge_in_the_digit_waits_for_the_end_of_the_prompt() -> None:
    async with flowing(MENU.replace("tries: 2", "barge_in: false")) as f:
        f.fake.sound("sound:said/Press one or two.", 10.0)
        caller = f.call()
        await caller.hears("Press one")
        caller.at(5, caller.digit, "1")
        call = await f.over()
        assert caller.seconds_of("sound:said/Press one or two.") == pytest.approx(10, abs=0.1)
        assert call.path == "main:1 sales:end"


async def test_digits_typed_ahead_go_through_three_menus() -> None:
    async with flowing(MENU.replace("      23: rare\n", "      7: rare\n")) as f:
        caller = f.call()
        await caller.until_answered()
        for digit in "21#":
            caller.digit(digit)
        call = await f.over()
        assert call.path == "main:2 deeper:1 deepest:# sales:end"
        assert not any("Deep" in heard for heard in caller.media)


TEN = """
start: ask
nodes:
  ask: {type: gather, say: Your number., tag: typed, min: 10, max: 10, next: then}
  then: {type: menu, say: Go on., choices: {1: done, "#": hash}, timeout_s: 3, tries: 1, on: {any: done}}
  hash: {type: hangup}
  done: {type: hangup}
"""


async def test_ten_digits_in_a_second_are_all_there() -> None:
    async with flowing(TEN) as f:
        caller = f.call()
        await caller.hears("Your number")
        await caller.press("0123456789", gap=0.1)
        call = await f.over()
        assert call.tags["typed"] == "0123456789"


@pytest.mark.parametrize("gap", [0.05, 0.8])
async def test_the_hash_after_a_full_entry_is_not_an_answer_to_the_next_menu(gap: float) -> None:
    async with flowing(TEN) as f:
        caller = f.call()
        await caller.hears("Your number")
        await caller.press("0123456789#", gap=gap)
        call = await f.over()
        assert call.path == "ask:next then:any done:end"


async def test_a_hash_that_is_meant_for_the_next_menu() -> None:
    async with flowing(TEN) as f:
        caller = f.call()
        await caller.hears("Your number")
        await caller.press("0123456789", gap=0.1)
        await caller.press("#", after=2.5)
        call = await f.over()
        assert call.path == "ask:next then:# hash:end"


GATHER = """
start: zip
nodes:
  zip:
    type: gather
    say: Your ZIP.
    invalid_say: No.
    timeout_say: Hello?
    tag: zip
    min: 5
    max: 9
    pattern: "[0-9]{5}"
    tries: 2
    next: done
    on: {timeout: none, invalid: bad}
  done: {type: hangup}
  none: {type: hangup}
  bad: {type: hangup}
"""


@pytest.mark.parametrize(
    ("presses", "gap", "path", "tag"),
    [
        ("10001#", 0.3, "zip:next done:end", "10001"),
        ("10001", 0.3, "zip:next done:end", "10001"),  # the pause ends it
        ("1000#10002#", 0.2, "zip:next done:end", "10002"),
        ("12*#1234567#", 0.2, "zip:invalid bad:end", None),
        ("", 0, "zip:timeout none:end", None),
    ],
)
async def test_gather(presses: str, gap: float, path: str, tag: str | None) -> None:
    async with flowing(GATHER) as f:
        caller = f.call()
        await caller.hears("ZIP")
        await caller.press(presses, after=0.2, gap=gap)
        call = await f.over()
        assert (call.path, call.tags.get("zip")) == (path, tag)


HOURS = """
start: open
nodes:
  open: {type: hours, WHAT, open: yes_node, closed: no_node, holiday: feast}
  yes_node: {type: hangup}
  no_node: {type: hangup}
  feast: {type: hangup}
"""
WEEK = "weekly: {mon: [[09:00, 17:00]]}"


@pytest.mark.parametrize(
    ("what", "wait_s", "end"),
    [
        (WEEK, 0, "open:open yes_node:end"),
        (WEEK, 7 * 3600, "open:closed no_node:end"),
        (f"{WEEK}, timezone: Asia/Tokyo", 0, "open:closed no_node:end"),
        (f"{WEEK}, exceptions: [{{date: 2026-03-02, closed: true}}]", 0, "open:holiday feast:end"),
        ("schedule: Office", 0, "open:open yes_node:end"),
        ("schedule: Office", 3 * 3600, "open:closed no_node:end"),
        ("schedule: Gone", 0, "open:closed no_node:end"),
    ],
)
async def test_hours(what: str, wait_s: float, end: str) -> None:
    office = {"id": 4, "name": "Office", "timezone": "America/New_York", "weekly": {"mon": [["09:00", "12:00"]]}}
    async with flowing(HOURS.replace("WHAT", what), tables={"schedules": [office]}) as f:
        await asyncio.sleep(wait_s)
        f.call()
        assert (await f.over()).path == end


BRANCH = """
start: where
nodes:
  where:
    type: branch
    when:
      - {if: [{tag: state, op: in, value: [NJ, CT]}], next: a}
      - {if: [{tag: source, op: ==, value: Radio}, {tag: hour, op: "<", value: 11}], next: b, label: morning}
    otherwise: c
  a: {type: hangup}
  b: {type: hangup}
  c: {type: set, tags: {greeting: "from {{source}} at {{time}}", vip: true, score: 3}, next: again}
  again: {type: goto, next: last}
  last: {type: play, say: "Hello {{caller}}, {{greeting}}.", next: a}
"""


async def test_branches_by_source_and_time_and_tags_that_are_set() -> None:
    async with flowing(BRANCH) as f:
        f.call()
        assert (await f.over()).path == "where:morning b:end"
        await asyncio.sleep(3600)
        caller = f.call(caller="+12125550123")
        call = await f.over()
        assert call.path == "where:otherwise c:next again:next last:next a:end"
        assert (call.tags["vip"], call.tags["score"], call.tags["greeting"]) == ("true", "3", "from Radio at 11:00")
        assert spoken(caller.media) == ["Hello 1 2 1 2 5 5 5 0 1 2 3 from Radio at 11:00."]
        assert f.shell.rows[call.id]["tags"]["vip"] == "true"


PLAY = """
start: hello
nodes:
  hello:
    type: play
    say: ["Hello {{source}}.", {sound: beep}, {prompt: welcome}, {say: Bye., voice: kal}]
    next: main
  main: {type: menu, say: Menu., choices: {1: done}, tries: 1, on: {any: done}}
  done: {type: hangup, sound: goodbye}
"""


async def test_several_pieces_in_a_row() -> None:
    async with flowing(PLAY, uploaded=("welcome",)) as f:
        caller = f.call()
        await f.over()
        assert spoken(caller.media) == [
            "Hello Radio.",
            "sound:beep",
            "sound:prompts/welcome",
            "Bye.",
            "Menu.",
            "sound:goodbye",
        ]


async def test_a_missing_prompt_is_passed_over_and_said() -> None:
    async with flowing(PLAY) as f:
        caller = f.call()
        call = await f.over()
        assert "sound:prompts/welcome" not in caller.media
        assert call.path == "hello:next main:any done:end"
        assert [data["error"] for data in f.said("prompt_missing")] == ["no prompt 'welcome'"]


async def test_a_digit_during_a_greeting_skips_it_and_answers_the_menu() -> None:
    async with flowing(PLAY, uploaded=("welcome",)) as f:
        f.fake.sound("sound:said/Hello Radio.", 20)
        caller = f.call()
        await caller.hears("Hello")
        caller.at(1, caller.digit, "1")
        call = await f.over()
        assert call.path == "hello:next main:1 done:end"
        assert spoken(caller.media) == ["Hello Radio.", "sound:goodbye"]
