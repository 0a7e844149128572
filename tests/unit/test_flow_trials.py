"""Flows tried without a phone: the same interpreter, in virtual time."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from typer.testing import CliRunner

from dcx_ari.decide.snapshot import build
from dcx_ari.flows.document import load_yaml, parse
from dcx_ari.trial.cases import Expected, cases_schema, compare, read_cases
from dcx_ari.trial.plan import BadPlan, Outcome, Plan
from dcx_ari.trial.walked import try_flow
from dcx_cli.main import app

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs/flows.md").read_text("utf-8")
MONDAY = 1_772_463_600_000  # 2026-03-02 10:00 in New York
NUMBER = "+18005550199"
FLOW = """\
start: welcome
nodes:
  welcome: {type: consent, say: Recorded. Press 9 to refuse., refuse_digit: "9", timeout_s: 1, next: main}
  main:
    type: menu
    say: Press 1 or 2.
    invalid_say: No such choice.
    choices: {"1": {next: agent, label: Agent}, "2": ask}
    on: {any: bye}
  ask: {type: webhook, url: "https://crm.example.com/", tags: {tier: tier}, next: tell, on: {error: bye}}
  tell: {type: play, say: "You are {{tier}}.", next: bye}
  agent: {type: route, next: bye, on: {all_no_answer: bye, any: bye}}
  bye: {type: hangup, say: Goodbye.}
"""
TABLES: dict[str, Any] = {
    "trunks": [{"id": 1, "is_default": True}],
    "numbers": [{"id": 1, "phone_number": NUMBER, "campaign_id": 1}],
    "campaigns": [{"id": 1, "name": "Solar"}],
    "buyers": [
        {"id": 1, "name": "Acme", "endpoint_value": "+15550001111"},
        {"id": 2, "name": "Beta", "endpoint_value": "+15550002222", "accept_digit": "5"},
        {"id": 3, "name": "Shut", "endpoint_value": "+15550003333", "status": "INACTIVE"},
    ],
    "campaign_buyers": [{"id": i, "campaign_id": 1, "buyer_id": i, "tier": i} for i in (1, 2, 3)],
}


def tried(*digits: str, number: str = NUMBER, **more: Any) -> Outcome:
    return try_flow(Plan(parse(FLOW), number, build(TABLES, version=1), MONDAY, digits=digits, **more))


def test_digits_go_to_prompts_in_order() -> None:
    found = tried("7", "1", buyers={"Acme": "busy"})
    assert found.path == "welcome:next main:1 agent:next bye:end"
    assert found.buyer == "Beta"
    assert found.said[:4] == ["Recorded. Press 9 to refuse.", "Press 1 or 2.", "No such choice.", "Press 1 or 2."]
    kinds = {step.kind: step for step in found.steps}
    assert kinds["decides"].text == "offers the call to Acme, Beta"
    assert [step.text for step in found.steps if step.kind == "why"] == ["not Shut: is paused"]
    assert [step.text for step in found.steps if step.kind == "result"] == ["Acme (+15550001111): busy"]
    assert [step.at_s for step in found.steps] == sorted(step.at_s for step in found.steps)


def test_what_is_missing_is_a_timeout_and_a_refusal_goes_to_the_announcement() -> None:
    found = tried("9")
    assert (found.tags["consent"], found.path) == ("refused", "welcome:next main:any bye:end")
    assert found.buyer is None
    assert found.seconds > 15  # three times five seconds
    assert tried("", "1").path.startswith("welcome:next main:1")  # nothing at the announcement
    assert tried("", "", "1").said.count("Press 1 or 2.") == 2


SPOKEN = """\
start: main
nodes:
  main:
    type: menu
    say: Say sales or support, or press 1 or 2.
    invalid_say: What?
    speech: true
    choices: {"1": {next: bye, label: Sales}, "2": {next: other, words: [support, technical help]}}
    on: {any: other}
  other: {type: menu, say: Press 1., choices: {"1": bye}, on: {any: bye}, tries: 1}
  bye: {type: hangup}
"""


@pytest.mark.parametrize(
    ("digits", "path"),
    [
        (("say: sales",), "main:1 bye:end"),
        (("say:  Technical HELP!",), "main:2 other:any bye:end"),
        (("say: pizza", "1"), "main:1 bye:end"),
        (("", "say: sales"), "main:1 bye:end"),
        (("say: pizza", "say: ???", "say: pasta", "1"), "main:any other:1 bye:end"),
        (("2", "say: one"), "main:2 other:any bye:end"),  # nobody listens there
    ],
)
def test_what_is_said_in_menus(digits: tuple[str, ...], path: str) -> None:
    found = try_flow(Plan(parse(SPOKEN), NUMBER, build(TABLES, version=1), MONDAY, digits=digits))
    assert found.path == path
    told = [step.text for step in found.steps if step.kind == "waits"]
    assert told == [
        f"the caller says {each[4:].strip()}" if each.startswith("say:") else f"the caller presses {each}"
        for each in digits
        if each
    ]
    assert ("What?" in found.said) == ("say: pizza" in digits)


def test_nobody_answers_and_the_caller_gives_up() -> None:
    found = tried("1", buyers={"Acme": "no_answer", "Beta": "rejects"})
    assert (found.buyer, found.failure_reason) == (None, "all_no_answer")
    found = tried("1", buyers={"Acme": "no_answer"}, hang_up_after_s=12.0)
    assert (found.end, found.path.split()[-1]) == ("caller", "agent")
    with pytest.raises(BadPlan, match="nobody"):
        tried("1", buyers={"nobody": "busy"})
    with pytest.raises(BadPlan, match="answers, busy"):
        tried("1", buyers={"Acme": "sleeps"})


def test_webhooks_answer_what_they_are_told_and_reach_nobody() -> None:
    assert tried("2").path.split()[2:] == ["ask:error", "bye:end"]
    found = tried("2", answers={"ask": {"tier": "gold"}})
    assert "You are gold." in found.said


def test_a_number_that_is_not_in_service() -> None:
    found = tried("1", number="+15550009999")
    assert (found.failure_reason, found.path) == ("no_number", "")


def test_differences_are_told() -> None:
    found = tried("1")
    assert (
        compare(Expected(path=("welcome", "main:1", "agent", "bye:end"), buyer="Acme", said=("Press 1",)), found) == ()
    )
    assert compare(Expected(buyer="Beta", tags={"tier": "gold"}, failure_reason="none"), found) == (
        *("buyer:", "- Beta", "+ Acme"),
        *("tags.tier:", "- gold", "+ (not set)"),
    )
    assert compare(Expected(path=("welcome", "main:2")), found)[0] == "path:"
    assert compare(Expected(visits=("ask",), end="caller", said=("nothing",)), found)[::3] == (
        "visits:",
        "end:",
        "said:",
    )


@pytest.fixture
def dcx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DCX_HOME", str(tmp_path / "home"))

    def invoke(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(arguments))
        return result.exit_code, result.stdout

    return invoke


def test_the_commands(dcx: Any, tmp_path: Path) -> None:
    file = tmp_path / "flow.yaml"
    file.write_text(FLOW)
    for arguments in (
        ("trunks", "add", "t", "--host", "192.0.2.1", "--default"),
        ("campaigns", "add", "Solar"),
        ("buyers", "add", "Acme", "--endpoint-value", "+15550001111", "--revenue", "10"),
        ("campaigns", "attach", "Solar", "--buyer", "Acme"),
        ("numbers", "add", NUMBER, "--campaign", "Solar"),
        ("flows", "add", "F", "--document", f"@{file}", "--status", "published"),
        ("campaigns", "set", "Solar", "--flow", "F"),
    ):
        status, told = dcx(*arguments)
        if arguments[0] == "buyers" and status:
            status, told = dcx("buyers", "add", "Acme", "--endpoint-value", "+15550001111", "--revenue-cents", "1000")
        assert status == 0, told
    status, told = dcx("flows", "run", "F", "--digits", "1", "--at", "2026-12-25 10:00 America/New_York", "--json")
    found = json.loads(told)
    assert (status, found["buyer"], found["path"][-1]) == (0, "Acme", "bye:end")
    assert dcx("flows", "run", "F", "--digits", "1,x")[0] == 2
    assert dcx("flows", "run", "F", "--to", "+15559990000")[0] == 2
    assert dcx("flows", "run", str(file), "--digits", "1", "--buyer", "Acme=busy")[1].endswith(
        "agent:all_no_answer bye:end\n"
    )
    cases = tmp_path / "cases.yml"
    cases.write_text("flow: F\ncases: [{name: a, given: {digits: ['1']}, expect: {buyer: Beta}}]\n")
    status, told = dcx("flows", "test", str(cases))
    assert (status, told.split("\n")[1:4]) == (1, ["         buyer:", "         - Beta", "         + Acme"])
    cases.write_text("flow: F\ncases: [{name: a, expect: {byuer: Beta}}]\n")
    assert dcx("flows", "test", str(cases))[0] == 2


def test_the_examples_of_cases(dcx: Any, tmp_path: Path) -> None:
    schema = json.loads((ROOT / "schemas/flow-tests.schema.json").read_text("utf-8"))
    assert schema == json.loads(json.dumps(cases_schema()))
    (shown,) = re.findall(r"```yml\n(.*?)```", DOCS, re.DOTALL)
    (flow,) = re.findall(r"```yaml flow.yaml\n(.*?)```", DOCS, re.DOTALL)
    (tmp_path / "flow.yaml").write_text(flow)
    (tmp_path / "cases.yml").write_text(shown)
    files = [tmp_path / "cases.yml", *sorted((ROOT / "dcx_ari/examples/tests").glob("*.yaml"))]
    for file in files:
        jsonschema.validate(load_yaml(file.read_text("utf-8")), schema)
        read_cases(file.read_text("utf-8"))
    status, told = dcx("flows", "test", *map(str, files))
    assert status == 0, told
    assert dcx("flows", "run", str(tmp_path / "flow.yaml"), "--offline", "--digits", ",2")[0] == 0
