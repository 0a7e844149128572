"""Nodes of a flow that ask others: consent, webhook, forward, callback; on every way out of them."""

from __future__ import annotations

from typing import Any

import pytest

from dcx_ari.call.ports import WebFailed
from dcx_ari.testing.far_end import Answers, AnswersThenHangsUp, Busy, NoAnswer, Rejects, Unreachable
from tests.sim.flow_world import EPOCH_MS, flowing

pytestmark = pytest.mark.sim

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


async def test_an_announcement_whose_file_is_missing_is_none() -> None:
    async with flowing(CONSENT) as f:
        f.fake.no_sound("sound:said/Recorded.")
        f.phone("+15550001", AnswersThenHangsUp(3.0))
        f.call()
        call = await f.over()
        assert (call.tags["consent"], f.shell.recorded) == ("refused", [])
        assert call.path == "ask:refused quiet:next main:any done:end"


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
