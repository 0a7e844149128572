"""Every node of a flow, on every way out of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dcx_ari.call.ports import WebFailed
from dcx_ari.testing.far_end import Answers, AnswersThenHangsUp, Busy, NoAnswer, Rejects, Unreachable
from tests.sim.flow_world import EPOCH_MS, flowing

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


CONSENT = """
start: ask
nodes:
  ask: {type: consent, say: Recorded., refuse_digit: "9", timeout_s: 3, next: main, on: {refused: quiet}}
  quiet: {type: play, say: Not recorded., next: main}
  main: {type: menu, say: Menu., choices: {1: done}, tries: 1, on: {any: done}}
  done: {type: forward, to: ["+15550001"], record: true}
"""


@pytest.mark.parametrize(
    ("presses", "path", "consent", "recorded"),
    [
        ("", "ask:next main:any done:end", "verbal", True),
        ("9", "ask:refused quiet:next main:any done:end", "refused", False),
        ("1", "ask:next main:1 done:end", "verbal", True),
        ("19", "ask:refused quiet:next main:1 done:end", "refused", False),
    ],
)
async def test_consent(presses: str, path: str, consent: str, recorded: bool) -> None:
    async with flowing(CONSENT) as f:
        f.fake.sound("sound:said/Recorded.", 4.0)
        f.phone("+15550001", AnswersThenHangsUp(3.0))
        caller = f.call()
        await caller.hears("Recorded")
        await caller.press(presses, after=1.0)
        call = await f.over()
        assert (call.path, call.tags["consent"], bool(f.shell.recorded)) == (path, consent, recorded)
        assert caller.seconds_of("sound:said/Recorded.") == pytest.approx(4, abs=0.1)  # no digit cuts it short
        (told,) = f.said("consent_announced")
        assert told["ended_at"] - told["began_at"] == pytest.approx(4000, abs=50)
        assert told["played"]


async def test_without_the_announcement_there_is_no_recording() -> None:
    async with flowing(CONSENT, mute=True) as f:
        f.phone("+15550001", AnswersThenHangsUp(3.0))
        f.call()
        call = await f.over()
        assert (call.tags["consent"], f.shell.recorded) == ("refused", [])


@pytest.mark.parametrize(("presses", "consent"), [("1", "verbal"), ("", "refused"), ("9", "refused")])
async def test_consent_that_must_be_given(presses: str, consent: str) -> None:
    async with flowing(CONSENT.replace("refuse_digit", 'accept_digit: "1", refuse_digit')) as f:
        f.phone("+15550001", AnswersThenHangsUp(1.0))
        caller = f.call()
        await caller.hears("Recorded")
        await caller.press(presses, after=1.5)
        assert (await f.over()).tags["consent"] == consent


WEBHOOK = """
start: ask
nodes:
  ask:
    type: webhook
    url: https://crm.example/look?n={{caller}}
    body: {who: "{{caller}}", list: ["{{source}}", 3]}
    tags: {tier: customer.tier, vip: vip, gone: nothing.here, odd: customer}
    next: good
    on: {error: bad}
  good: {type: hangup}
  bad: {type: hangup}
"""


async def test_a_webhook_answers_and_its_fields_become_tags() -> None:
    answer = {"customer": {"tier": 2}, "vip": True, "extra": "x"}
    async with flowing(WEBHOOK, answer=answer, delay_s=0.4) as f:
        f.call(caller="+12125550123")
        call = await f.over()
        assert call.path == "ask:next good:end"
        assert {name: call.tags.get(name) for name in ("tier", "vip", "gone", "odd")} == {
            "tier": "2",
            "vip": "true",
            "gone": None,
            "odd": None,
        }
        (asked,) = f.shell.asked
        assert (asked.method, asked.url) == ("POST", "https://crm.example/look?n=%2B12125550123")
        assert (asked.body, asked.timeout_s) == ({"who": "+12125550123", "list": ["Radio", 3]}, 1.0)


@pytest.mark.parametrize(
    ("answer", "delay_s"),
    [(WebFailed("status 500"), 0.0), (["a list"], 0.0), ("text", 0.0), (None, 0.0), ({"vip": True}, 60.0)],
)
async def test_a_webhook_that_fails_or_hangs(answer: Any, delay_s: float) -> None:
    async with flowing(WEBHOOK, answer=answer, delay_s=delay_s) as f:
        caller = f.call()
        call = await f.over()
        assert call.path == "ask:error bad:end"
        assert "vip" not in call.tags
        assert (caller.ended_at or 0) < 3


async def test_without_an_error_branch_a_failing_webhook_is_passed_over() -> None:
    async with flowing(WEBHOOK.replace("on: {error: bad}", "").replace("  bad: {type: hangup}\n", "")) as f:
        f.call()
        assert (await f.over()).path == "ask:next good:end"


FORWARD = """
start: out
nodes:
  out:
    type: forward
    to: ["+15550001", {to: "+15550002", ring_timeout_s: 5}]
    ring_timeout_s: 20
    whisper: From {{source}}.
    next: after
    on: {busy: engaged, no_answer: late, any: other}
  after: {type: hangup}
  engaged: {type: hangup}
  late: {type: hangup}
  other: {type: hangup}
"""


@pytest.mark.parametrize(
    ("first", "second", "path"),
    [
        (AnswersThenHangsUp(5.0), Busy(), "out:next after:end"),
        (Busy(), AnswersThenHangsUp(5.0), "out:next after:end"),
        (NoAnswer(), Busy(), "out:busy engaged:end"),
        (Busy(), NoAnswer(), "out:no_answer late:end"),
        (Busy(), Rejects(), "out:any other:end"),
        (Unreachable(), Unreachable(), "out:any other:end"),
    ],
)
async def test_forward_to_one_after_another(first: Any, second: Any, path: str) -> None:
    async with flowing(FORWARD) as f:
        phones = [f.phone("+15550001", first), f.phone("+15550002", second)]
        f.call()
        assert (await f.over()).path == path
        answered = [phone.call for phone in phones if phone.calls and phone.call.answered_at is not None]
        assert all("sound:said/From Radio." in phone.media for phone in answered)


async def test_each_destination_rings_for_its_own_time() -> None:
    async with flowing(FORWARD) as f:
        first, second = f.phone("+15550001", NoAnswer()), f.phone("+15550002", NoAnswer())
        f.call()
        await f.over()
        rang = [(phone.call.ended_at or 0) - phone.call.started_at for phone in (first, second)]
        assert rang == [pytest.approx(20, abs=1), pytest.approx(5, abs=1)]


async def test_forward_at_once_with_music_and_the_number_that_was_dialled() -> None:
    text = FORWARD.replace("ring_timeout_s: 20", "ring: simultaneous\n    ring_tone: music\n    pass_caller_id: false")
    async with flowing(text) as f:
        slow, quick = f.phone("+15550001", Answers(9.0)), f.phone("+15550002", AnswersThenHangsUp(4.0))
        caller = f.call()
        assert (await f.over()).path == "out:next after:end"
        assert caller.talked_with(quick.call) == pytest.approx(4, abs=1.5)
        assert caller.talked_with(slow.call) == 0
        assert any(heard.startswith("moh") for heard in caller.media)
        created = f.fake.asked("channels/create")
        assert all("+18005550199" in str(each) for each in created)


CALLBACK = """
start: back
nodes:
  back:
    type: callback
    ask_number: Type a number and hash.
    ask_time: Type the time and hash.
    invalid_say: No.
    say: We call {{callback_number}}.
    next: done
    on: {no_number: none, failed: sorry}
  done: {type: hangup}
  none: {type: hangup}
  sorry: {type: hangup}
"""


@pytest.mark.parametrize(
    ("typed", "caller", "wish", "path"),
    [
        (("#", "#"), "+12125550123", ("+12125550123", 0), "back:next done:end"),
        (("2125550177#", "1430#"), "+12125550123", ("+12125550177", 4.5 * 3600), "back:next done:end"),
        (("#", "0900#"), "+12125550123", ("+12125550123", 23 * 3600), "back:next done:end"),
        (("#", "2575#", "0930#"), "+12125550123", ("+12125550123", 23.5 * 3600), "back:next done:end"),
        ((), "anonymous", None, "back:no_number none:end"),
    ],
)
async def test_callback(typed: tuple[str, ...], caller: str, wish: tuple[str, float] | None, path: str) -> None:
    async with flowing(CALLBACK) as f:
        who = f.call(caller=caller)
        heard = 0
        for entry in typed:
            await f.fake.core.until(lambda: len([m for m in who.media if "Type" in m]) > heard, 60)  # noqa: B023
            heard = len([m for m in who.media if "Type" in m])
            await who.press(entry, after=0.2, gap=0.1)
        call = await f.over()
        assert call.path == path
        if wish is None:
            assert f.shell.wishes == []
        else:
            ((number, due_at),) = f.shell.wishes
            assert (number, due_at) == (wish[0], pytest.approx(EPOCH_MS + wish[1] * 1000, abs=20_000))


async def test_a_callback_that_cannot_be_kept() -> None:
    text = CALLBACK.replace("ask_number", "invalid_say").replace("    ask_time: Type the time and hash.\n", "")
    async with flowing(text.replace("    invalid_say: No.\n", "    after_s: 60\n"), keeps=False) as f:
        f.call(caller="+12125550123")
        assert (await f.over()).path == "back:failed sorry:end"


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
