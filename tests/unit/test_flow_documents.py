"""Flow documents: what is wrong is said with its place, and nothing that is sent can do harm."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from dcx_ari.decide.filters import OPERATORS
from dcx_ari.flows.checking import check, check_text
from dcx_ari.flows.document import MAX_NODES, NODE_TYPES, BadFlow, load_yaml, parse
from dcx_ari.flows.known import Known
from dcx_ari.flows.problems import errors
from dcx_ari.flows.source import Source, read_source
from dcx_cli.main import app

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
DEMO = (ROOT / "dcx_ari/examples/demo.yaml").read_text("utf-8")
EXAMPLES = sorted((ROOT / "dcx_ari/examples").glob("*.yaml"))

WRONG = """\
start: hello
nodes:
  hello:
    type: play
    say: "Hello {{caller.number}}"
    next: manu
  main:
    type: menu
    sy: Press 1.
    tries: 50
    choices:
      x: hello
      "5": 7
  odd name: {type: hangup}
  q: {type: hangpu}
  r: 5
  g: {type: gather, say: X, tag: zip, pattern: "(a+)+$", next: r}
  b: {type: branch, when: [{if: [{tag: x, op: "===", value: 3}], next: r}], otherwise: r}
  h: {type: hours, weekly: {mon: [[09:00, 25:00]]}, open: r, closed: r}
  s: {type: branch, split: {r: 60, q: 60}}
  f: {type: forward, to: [5551234]}
  w: {type: webhook, url: "https://user:pass@example.com/", next: r}
  c: {type: route, on: {all_bussy: r}}
"""


def lines(text: str, known: Known | None = None) -> list[str]:
    return [problem.line() for problem in check_text(text, known or Known())[1]]


def test_every_fault_is_told_at_its_place() -> None:
    told = lines(WRONG)
    assert [line.split(": ")[0] for line in told] == [
        *("9:5", "10:12", "12:10", "13:12", "14:3", "15:13", "16:6"),
        *("17:48", "18:34", "19:28", "20:28", "21:27", "22:27", "23:24"),
    ]
    assert 'nodes.main.sy: there is no such field (did you mean "say"?)' in told[0]
    assert "nodes.main.tries: must be at most 10" in told[1]
    assert 'there is no node type "hangpu" (did you mean "hangup"?)' in told[5]
    assert "could backtrack for very long" in told[7]
    assert all(op in told[8] for op in OPERATORS)
    assert "'25:00' is not a time like 09:00" in told[9]
    assert "come to 120, not 100" in told[10]
    assert "all_bussy" in told[13]
    assert "must be text or a mapping" in told[11]


SOUND = """\
start: hello
nodes:
  hello: {type: play, say: "Hi {{caler}}", next: main}
  main:
    type: menu
    say: [{prompt: welcom}, {sound: bep}, {say: Go., voice: slat}]
    choices: {"1": sel, "2": loop, "3": hello, "4": hours}
    on: {timeout: spin}
  loop: {type: play, say: Round., next: loop}
  spin: {type: goto, next: spin2}
  spin2: {type: branch, when: [{if: [{tag: state, op: exists}], next: spin}], otherwise: sell}
  sell: {type: route, campaign: Solr}
  hours: {type: hours, schedule: Ofice, open: sell, closed: sell}
  lost: {type: set, tags: {caller: "x", fine: "{{source}}"}, next: sell}
"""


def test_what_only_the_whole_and_the_database_can_tell() -> None:
    known = Known(
        schedules=frozenset({"Office"}),
        campaigns=frozenset({"Solar"}),
        prompts=frozenset({"welcome"}),
        sounds=frozenset({"beep"}),
        voices=frozenset({"slt"}),
        speech="",
    )
    assert lines(SOUND, known) == [
        '3:28: error: nodes.hello.say: there is no variable "caler" (did you mean "caller"?)',
        '6:11: error: nodes.main.say.0: there is no prompt "welcom" (did you mean "welcome"?)',
        '6:29: error: nodes.main.say.1: there is no sound "bep" (did you mean "beep"?)',
        '6:43: error: nodes.main.say.2: there is no voice "slat" (did you mean "slt"?)',
        '7:20: error: nodes.main.choices.1: there is no node "sel" (did you mean "sell"?)',
        "9:3: error: nodes.loop: there is no way to an end from here (lead one of them to a hangup or route node)",
        "10:3: error: nodes.spin: goes round without waiting for the caller (with spin2)"
        " (put a node in the loop that plays or asks something)",
        "12:9: warning: nodes.sell: a caller whom nobody takes is left to the campaign's own fallbacks"
        " (add on: {any: NODE})",
        '12:33: error: nodes.sell.campaign: there is no campaign "Solr" (did you mean "Solar"?)',
        '13:34: error: nodes.hours.schedule: there is no schedule "Ofice" (did you mean "Office"?)',
        "14:3: error: nodes.lost: nothing leads to this node",
        '14:36: error: nodes.lost.tags.caller: tag "caller" is a fact of every call and cannot be set',
    ]


def test_a_text_without_a_speech_engine() -> None:
    told = lines(DEMO, Known(speech="there is no program flite"))
    assert told
    assert all("the text cannot be spoken: there is no program flite" in line for line in told)


SHADOWS = """
start: m
nodes: {{m: {{type: menu, say: X, between_s: {}, choices: {{{}}}, on: {{any: e}}}}, e: {{type: hangup}}}}
"""


def test_digits_that_shadow_each_other() -> None:
    assert lines(SHADOWS.format(2, '"1": e, "2": e, "3*": e')) == []
    (told,) = lines(SHADOWS.format(2, '"1": e, "12": e'))
    assert "warning: nodes.m.choices.1: waits 2 s before it counts, because 12 begins with it" in told
    (told,) = lines(SHADOWS.format(0.2, '"1": e, "12": e'))
    assert "error: nodes.m.choices.1: hides 12" in told


def test_a_menu_without_a_timeout_path_and_a_forward_without_fallback() -> None:
    text = '{start: m, nodes: {m: {type: menu, say: X, choices: {"1": f}}, f: {type: forward, to: ["+15551234567"]}}}'
    told = check_text(text)[1]
    assert [(p.code, p.level) for p in told] == [("no_timeout", "warning"), ("no_fallback", "warning")]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "empty"),
        ("a: &x [1]\nb: [*x, *x]", "aliases"),
        ("lol: &a [x]\nb: &b [*a, *a, *a]\nc: [*b, *b]", "aliases"),
        ("a: !!python/object/apply:os.system [id]", "tags"),
        ("[" * 1000, "deep"),
        ("{" * 60, "deep|key"),
        ("a: 1\na: 2", "twice"),
        ("--- {}\n--- {}", "one document"),
        ("? [a]\n: b", "key"),
        ("*: x", "quotes"),
        ("a: \x00", "control characters"),
        ("x" * 1_000_001, "larger than"),
        ("é" * 600_000, "larger than"),
        ("just words", "mapping"),
        ("[]", "mapping"),
        ("start: a", "nodes is missing"),
        ("start: a\nnodes: {}", "no node"),
        ("start: a\nnodes: [1]", "must be a mapping"),
        ("nodes: {a: {type: hangup}}", "start is missing"),
        ("start: b\nnodes: {a: {type: hangup}}", "no node"),
        ("start: a\nmore: 1\nnodes: {a: {type: hangup}}", "no such field"),
        (f"start: a\nnodes: {{{', '.join(f'n{i}: {{type: hangup}}' for i in range(MAX_NODES + 1))}}}", "are allowed"),
    ],
)
def test_bad_input_is_refused_with_a_message(text: str, what: str) -> None:
    with pytest.raises(BadFlow, match=what):
        parse(text)
    assert errors(check_text(text)[1])


def test_ten_megabytes_are_refused_before_they_are_read() -> None:
    text = "a: [" + "x, " * 3_400_000 + "]"
    assert "larger than" in lines(text)[0]


def test_yaml_1_2_words_numbers_and_times() -> None:
    text = 'a: [on, off, yes, no, 09:00, 17:30, 2026-01-01, 010, 0x1F, 1e3, .5, "1", ~, true, 1_000]\n1: x\n"01": y'
    assert load_yaml(text) == {
        "a": [
            "on",
            "off",
            "yes",
            "no",
            "09:00",
            "17:30",
            "2026-01-01",
            10,
            "0x1F",
            1000.0,
            0.5,
            "1",
            None,
            True,
            "1_000",
        ],
        "1": "x",
        "01": "y",
    }


def test_json_is_read_too() -> None:
    data = {"start": "a", "nodes": {"a": {"type": "hangup", "say": '\U0001f600 \\ / " é'}}}
    assert load_yaml(json.dumps(data, indent=1)) == data == load_yaml(json.dumps(data, ensure_ascii=False))


def test_places_are_those_of_the_text() -> None:
    source = read_source("a:\n  b: [1, {c: 2}]\n")
    assert source.mark(("a", "b", 1, "c")) == (2, 14)
    assert source.mark(("a", "b", 1, "c"), key=True) == (2, 11)
    assert source.mark(("a", "b", 7, "x")) == (2, 6)
    assert source.mark(("zzz",)) == (1, 1)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_without_fault_and_fit_the_schema(path: Path) -> None:
    text = path.read_text("utf-8")
    assert lines(text, Known(speech="")) == []
    schema = json.loads((ROOT / "schemas/flow.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(load_yaml(text))


def test_the_schema_knows_every_node_type_and_refuses_what_is_none() -> None:
    schema = json.loads((ROOT / "schemas/flow.schema.json").read_text("utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    named = {part["properties"]["type"]["const"] for part in schema["$defs"].values() if "type" in part["properties"]}
    assert named == set(NODE_TYPES)
    for broken in ({"type": "hangpu"}, {"type": "hangup", "sy": "x"}, {"type": "play"}, {"type": "menu", "say": "x"}):
        assert list(validator.iter_errors({"start": "a", "nodes": {"a": broken}}))


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCX_HOME", str(tmp_path / "home"))
    good, bad, warned = tmp_path / "good.yaml", tmp_path / "bad.yaml", tmp_path / "warned.yaml"
    good.write_text(DEMO)
    bad.write_text("start: a\nnodes:\n  a: {type: goto, next: b}\n")
    warned.write_text("start: a\nnodes:\n  a: {type: route}\n")
    runner = CliRunner()

    def check(*arguments: str, **options: str) -> tuple[int, str]:
        result = runner.invoke(app, ["flows", "check", *arguments], **options)  # type: ignore[arg-type]
        return result.exit_code, result.stdout

    assert check(str(good)) == (0, "")
    status, told = check(str(good), str(bad), "--offline")
    assert (status, told) == (2, f'{bad}:3:25: error: nodes.a.next: there is no node "b"\n')
    assert check(str(warned))[0] == 0
    assert check(str(warned), "--strict")[0] == 2
    status, told = check(str(bad), "--json")
    (problem,) = json.loads(told)
    assert (status, problem["line"], problem["column"], problem["path"]) == (2, 3, 25, ["nodes", "a", "next"])
    assert check("-", "--offline", input=DEMO) == (0, "")
    assert check(str(tmp_path / "none.yaml"))[0] == 2
    (tmp_path / "latin.yaml").write_bytes(b"start: \xe9")
    assert check(str(tmp_path / "latin.yaml"))[0] == 2
    assert not (tmp_path / "home" / "flows").exists()


def test_the_documentation_shows_every_node_without_fault() -> None:
    text = (ROOT / "docs/flows.md").read_text("utf-8")
    shown = [load_yaml(block) for block in re.findall(r"```yaml[^\n]*\n(.*?)```", text, re.DOTALL)]
    assert {node["type"] for flow in shown for node in flow["nodes"].values()} == set(NODE_TYPES)
    assert [errors(check(Source(flow), Known(speech=""))[1]) for flow in shown] == [[]] * len(shown)
    assert all(f"`{op}`" in text for op in OPERATORS)
