"""Walking whole flows: hanging up anywhere, going round, taking up again, dividing callers."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from dcx_ari.testing.far_end import Answers, AnswersThenHangsUp
from tests.sim.exchange import exchange
from tests.sim.flow_world import flowing

pytestmark = pytest.mark.sim

EVERYTHING = """
start: pick_up
nodes:
  pick_up: {type: answer, next: ask_consent}
  ask_consent: {type: consent, say: Recorded., refuse_digit: "9", timeout_s: 1, next: hello}
  hello: {type: play, say: Hello., next: open}
  open: {type: hours, weekly: {mon: [[09:00, 17:00]]}, open: which, closed: bye}
  which: {type: branch, when: [{if: [{tag: state, op: ==, value: NY}], next: note}], otherwise: bye}
  note: {type: set, tags: {seen: "yes"}, next: ask}
  ask: {type: webhook, url: "https://crm.example/", timeout_s: 2, next: zip, on: {error: zip}}
  zip: {type: gather, say: Your ZIP., tag: zip, max: 5, tries: 1, timeout_s: 2, next: main}
  main: {type: menu, say: Menu., choices: {1: out}, tries: 1, timeout_s: 2, on: {any: out}}
  out: {type: forward, to: ["+15550001"], whisper: For you., next: back, on: {any: back}}
  back: {type: callback, ask_time: When., tries: 1, timeout_s: 2, say: We call., next: on, on: {any: on}}
  "on": {type: goto, next: bye}
  bye: {type: hangup, say: Goodbye.}
"""
NODES = re.findall(r"^  \"?(\w+)\"?: \{", EVERYTHING, re.MULTILINE)


async def test_a_caller_goes_through_every_node() -> None:
    async with flowing(EVERYTHING, answer={}, delay_s=0.5) as f:
        f.phone("+15550001", AnswersThenHangsUp(2.0))
        f.call(caller="+12125550123")
        call = await f.over()
        assert [step.partition(":")[0] for step in call.path.split()] == NODES
        assert f.shell.rows[call.id]["flow_path"] == call.path
        assert call.path.endswith("back:next on:next bye:end")


@pytest.mark.parametrize("step", range(56))
async def test_the_caller_hangs_up_at_any_instant_of_any_node(step: int) -> None:
    """Every 0.4 s from the first instant to the end: nothing is left, and the way shows where it was."""
    async with flowing(EVERYTHING, answer={}, delay_s=1.0) as f:
        f.phone("+15550001", Answers(2.0))
        caller = f.call(caller="+12125550123")
        caller.hang_up(after=0.005 + step * 0.4)
        call = await f.over()
        assert len(f.shell.closed_calls) == 1
        assert call.ended_by == "caller"
        last = call.path.split()[-1]
        assert ":" not in last
        assert call.node == last
        stages = [data["node"] for _, kind, data in f.shell.events if kind == "stage"]
        assert [step.partition(":")[0] for step in call.path.split()] == list(dict.fromkeys(stages))


def test_the_hang_ups_above_meet_every_node_that_takes_time() -> None:
    """A list of what they should meet, beside the range: consent, play, webhook, gather, menu, forward."""
    assert 56 * 0.4 > 1 + 1 + 1 + 1 + 1 + 2 + 1 + 2 + 2 + 1  # announcement … whisper


async def test_a_walk_begins_at_any_node_with_the_tags_it_had() -> None:
    text = """
start: one
nodes:
  one: {type: set, tags: {from_one: "yes"}, next: two}
  two: {type: menu, say: Two., choices: {1: three}, on: {any: three}}
  three: {type: branch, when: [{if: [{tag: from_one, op: exists}], next: a}], otherwise: b}
  a: {type: hangup}
  b: {type: hangup}
"""
    async with flowing(text, start="two") as f:
        caller = f.call()
        await caller.hears("Two")
        await caller.press("1")
        assert (await f.over()).path == "two:1 three:otherwise b:end"


async def test_a_stage_names_flow_version_and_node() -> None:
    async with flowing(EVERYTHING) as f:
        caller = f.call()
        await caller.hears("Menu")
        row = f.shell.rows[f.shell.events[0][0]]
        assert row["stage"] == "menu"
        assert {"node": "main", "flow": 7, "version": 3}.items() <= row["stage_data"].items()
        assert row["tags"]["seen"] == "yes"
        caller.hang_up()
        await f.over()


async def test_a_loop_that_nobody_listens_to_ends() -> None:
    async with flowing("{start: a, nodes: {a: {type: play, say: Hello., next: b}, b: {type: goto, next: a}}}") as f:
        f.call()
        call = await f.over()
        assert (call.failure_reason, len(call.path.split())) == ("flow_loop", 500)
        assert f.said("too_many_steps") == [{"steps": 500}]


async def test_a_loop_without_any_waiting_ends_at_once() -> None:
    async with flowing("{start: a, nodes: {a: {type: goto, next: b}, b: {type: goto, next: a}}}") as f:
        caller = f.call()
        call = await f.over()
        assert call.failure_reason == "flow_loop"
        assert (caller.ended_at or 0) < 1


async def test_a_caller_who_keeps_pressing_may_go_round_for_ever() -> None:
    text = "{start: a, nodes: {a: {type: menu, say: A., choices: {1: a, 2: b}, on: {any: b}}, b: {type: hangup}}}"
    async with flowing(text) as f:
        caller = f.call()
        await caller.hears("A.")
        await caller.press("1" * 600 + "2", gap=0.01)
        call = await f.over()
        assert call.failure_reason is None
        assert Counter(call.path.split())["a:1"] == 600


SPLIT = "{start: ab, nodes: {ab: {type: branch, split: {x: 30, y: 70}}, x: {type: hangup}, y: {type: hangup}}}"


async def test_two_thousand_callers_are_divided_within_two_points_and_each_stays_on_his_side() -> None:
    async with flowing(SPLIT) as f:
        for n in range(2000):
            f.call(caller=f"+1212555{n:04d}")
        await f.over()
        first = {call.facts.caller: call.path for call in f.shell.closed_calls}
        share = sum(path.startswith("ab:x") for path in first.values()) / len(first)
        assert share == pytest.approx(0.30, abs=0.02)
        f.shell.closed_calls.clear()
        for n in range(0, 2000, 10):
            f.call(caller=f"+1212555{n:04d}")
        await f.over()
        assert all(first[call.facts.caller] == call.path for call in f.shell.closed_calls)


async def test_who_hides_the_number_is_somebody_new_each_time() -> None:
    async with flowing(SPLIT) as f:
        for _ in range(100):
            f.call(caller="anonymous")
        await f.over()
        assert len(set(f.paths)) == 2


ROUTED = {
    "start": "zip",
    "nodes": {
        "zip": {"type": "gather", "say": "Your ZIP.", "tag": "zip", "max": 5, "next": "tier"},
        "tier": {"type": "set", "tags": {"tier": "gold"}, "next": "sell"},
        "sell": {"type": "route", "next": "thanks", "on": {"all_filtered": "none_fits", "any": "busy"}},
        "thanks": {"type": "hangup", "say": "Thanks."},
        "none_fits": {"type": "hangup", "say": "None."},
        "busy": {"type": "hangup", "say": "Busy."},
    },
}


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("gold", "zip:next tier:next sell:next thanks:end"),
        ("iron", "zip:next tier:next sell:all_filtered none_fits:end"),
    ],
)
async def test_tags_of_the_flow_decide_who_gets_the_call(wanted: str, path: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with exchange(tmp_path) as x:
        flow_id = await x.add("flows", name="f", document=ROUTED, status="published")
        await x.change("campaigns", "Solar", flow_id=flow_id)
        filters = [{"tag": "tier", "op": "==", "value": wanted}, {"tag": "zip", "op": "begins", "value": "100"}]
        await x.buyer("Acme", AnswersThenHangsUp(2.0), filters=filters)
        caller = x.call()
        await caller.hears("ZIP")
        await caller.press("10001", gap=0.1)
        (row,) = await x.over()
        assert (row["flow_path"], row["flow_id"]) == (path, flow_id)
        assert json.loads(row["tags"])["tier"] == "gold"


async def test_route_by_the_name_of_a_campaign_and_one_that_is_not_there(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with exchange(tmp_path) as x:
        await x.add("campaigns", name="Gone")
        nodes = {
            "sell": {"type": "route", "campaign": "Gone", "on": {"no_buyers_attached": "other"}},
            "other": {"type": "route", "campaign": "Solar", "on": {"any": "end"}},
            "end": {"type": "hangup"},
        }
        flow_id = await x.add("flows", name="f", document={"start": "sell", "nodes": nodes}, status="published")
        await x.change("campaigns", "Gone", name="Another")
        await x.change("numbers", "+18005550199", flow_id=flow_id)
        buyer = await x.buyer("Acme", AnswersThenHangsUp(2.0))
        caller = x.call()
        (row,) = await x.over()
        assert row["flow_path"] == "sell:no_buyers_attached other:end"
        assert caller.talked_with(buyer.call) > 1


async def test_a_caller_who_refuses_is_sold_and_not_recorded(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with exchange(tmp_path) as x:
        await x.change("campaigns", "Solar", record=True)
        await x.add("states", state_code="NY", action="require_consent", consent_type="verbal")
        nodes = {
            "ask": {"type": "consent", "say": "Recorded.", "refuse_digit": "9", "next": "sell"},
            "sell": {"type": "route", "on": {"any": "end"}},
            "end": {"type": "hangup"},
        }
        flow_id = await x.add("flows", name="f", document={"start": "ask", "nodes": nodes}, status="published")
        await x.change("campaigns", "Solar", flow_id=flow_id)
        await x.buyer("Acme", AnswersThenHangsUp(2.0))
        x.call(caller="+12125550123")
        (agreed,) = await x.over()
        refusing = x.call(caller="+12125550124")
        await refusing.hears("Recorded")
        await refusing.press("9", after=0.2)
        await x.over()
        elsewhere = x.call(caller="+12015550123")  # New Jersey, where nothing is asked for
        await elsewhere.hears("Recorded")
        await elsewhere.press("9", after=0.2)
        rows = await x.over()
        assert rows[2]["status"] == "COMPLETED"
        assert agreed["status"] == "COMPLETED"
        assert (rows[1]["failure_reason"], rows[1]["flow_path"]) == ("all_filtered", "ask:next sell:any end:end")
        recorded = await x.query("SELECT call_id FROM recordings")
        assert [row["call_id"] for row in recorded] == [agreed["id"]]


async def test_a_callback_is_a_row_that_names_its_call(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with exchange(tmp_path) as x:
        nodes = {
            "back": {"type": "callback", "after_s": 3600, "say": "We call.", "next": "end", "on": {"any": "end"}},
            "end": {"type": "hangup"},
        }
        flow_id = await x.add("flows", name="f", document={"start": "back", "nodes": nodes}, status="published")
        await x.change("campaigns", "Solar", flow_id=flow_id)
        x.call(caller="+12125550123")
        (call,) = await x.over()
        assert call["flow_path"] == "back:next end:end"
        (row,) = await x.query("SELECT * FROM callback_requests")
        assert (row["phone_number"], row["call_id"], row["status"]) == ("+12125550123", call["id"], "pending")
        assert row["due_at"] - call["started_at"] == pytest.approx(3_600_000, abs=5000)
