"""`dcx init` and `dcx sources new` in a real terminal: questions, refused answers, interruptions, twice."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from objects_kit import Terminal, lines_with, make_template
from typer.testing import CliRunner

from dcx_cli.main import app

pytestmark = pytest.mark.unit
NUMBER, BUYER = "+15550001111", "+15550002222"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def home(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DCX_HOME", "DCX_DATABASE_URL", "DCX_TIMEZONE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dcx.db").write_bytes(template.read_bytes())
    return tmp_path


def dcx(home: Path, *args: str) -> Any:
    result = CliRunner().invoke(app, ["--home", str(home), *args, "--json"])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_init_interrupted_and_taken_up_again(home: Path):
    first = Terminal(home, "init")
    first.answer(
        ("Time zone of your company", "Mars/Olympus"),
        ("must be an IANA time zone", "America/Chicago"),
        ("Name of the key's user", "ops"),
        ("Name of your carrier", "Carrier"),
        ("SIP host or address", "no host"),
        ("must be a host name", "sip.example.com"),
        ("User name there", ""),
        ("Campaign [First]", "Solar"),
    )
    first.until("Name of the buyer")
    first.interrupt()
    assert first.end() == 130
    assert "dcx init again goes on from there" in first.seen

    again = Terminal(home, "init")
    again.answer(
        ("Time zone of your company (IANA name) [America/Chicago]", ""),
        ("There is a key 'ops'. Make another?", ""),
        ("Campaign [Solar]", ""),
        ("Name of the buyer", "Acme"),
        ("Where to reach it", "12"),
        ("must be an E.164 number", BUYER),
        ("What it pays for a call", "2500"),
        ("A call is sold after", "90"),
        ("Number that callers dial", "555"),
        ("must be an E.164 number", NUMBER),
    )
    assert again.end() == 0
    assert [row["name"] for row in dcx(home, "campaigns", "list")] == ["Solar"]
    assert [row["name"] for row in dcx(home, "trunks", "list")] == ["Carrier"]
    assert [row["buyer"] for row in dcx(home, "campaigns", "buyers", "Solar")] == ["Acme"]
    assert dcx(home, "numbers", "show", NUMBER)["campaign"] == "Solar"
    assert [row["name"] for row in dcx(home, "keys", "list")] == ["ops"]
    assert (home / "dcx.env").read_text() == "DCX_TIMEZONE=America/Chicago\n"
    assert (home / "dcx.env").stat().st_mode & 0o077 == 0


def test_the_commands_that_init_prints_do_the_same(home: Path, tmp_path: Path, template: Path):
    wizard = Terminal(home, "init")
    wizard.answer(
        ("Time zone", ""),
        ("key's user", "admin"),
        ("Name of your carrier", ""),
        ("Campaign [First]", "Solar's"),
        ("Name of the buyer", "Acme"),
        ("Where to reach it", BUYER),
        ("What it pays", "100"),
        ("A call is sold after", "30"),
        ("Number that callers dial", NUMBER),
    )
    assert wizard.end() == 0
    other = tmp_path / "other"
    other.mkdir()
    (other / "dcx.db").write_bytes(template.read_bytes())
    typed = lines_with(wizard.seen.partition("The same with commands:")[2].partition("Now start it")[0], ["dcx "])
    assert len(typed) == 5
    for line in typed:
        dcx(other, *shlex.split(line)[1:])
    for kind in ("campaigns", "buyers", "numbers"):
        one, two = (dcx(place, kind, "list") for place in (home, other))
        for row in (*one, *two):
            row.pop("created_at"), row.pop("updated_at")
        assert one == two
    assert len(dcx(other, "campaigns", "buyers", "Solar's")) == 1


def test_a_source_in_five_steps_interrupted_and_taken_up_again(home: Path):
    dcx(home, "numbers", "add", NUMBER)
    dcx(home, "sources", "add", "Taken")
    first = Terminal(home, "sources", "new")
    first.answer(
        ("Name of the source", "Taken"),
        ("there is a source 'Taken' already", "Acme Leads"),
        ("Company", "Acme Inc"),
        ("first name", "Ann"),
        ("last name", ""),
        ("e-mail address", "nobody"),
        ("must be an e-mail address", "a@b.org"),
        ("Contact's phone", ""),
        ("Where its calls come from", "radio"),
        ("must be one of", "ivr"),
        ("Numbers for it", "+15559999999"),
        ("is not one of your free numbers", NUMBER),
        ("Most calls per day", "many"),
        ("must be a whole number", "50"),
    )
    first.until("Most calls per month")
    first.interrupt()
    assert first.end() == 130
    assert [row["name"] for row in dcx(home, "sources", "list")] == ["Taken"]

    again = Terminal(home, "sources", "new")
    again.answer(
        ("You began 'Acme Leads' and came to step 4", "y"),
        ("[50]", ""),
        ("per month", ""),
        ("at once", ""),
        ("Most numbers", "0"),
        ("must be at least 1", "2"),
        ("Make it, change the answers", "make"),
    )
    assert again.end() == 0
    row = dcx(home, "sources", "show", "Acme Leads")
    assert (row["channel"], row["company"], row["email"]) == ("IVR", "Acme Inc", "a@b.org")
    assert (row["daily_call_cap"], row["monthly_call_cap"], row["number_limit"]) == (50, None, 2)
    assert [each["phone_number"] for each in dcx(home, "sources", "numbers", "Acme Leads")] == [NUMBER]
    assert lines_with(again.seen, ["dcx sources add 'Acme Leads'", "--daily-call-cap 50"])
    fresh = Terminal(home, "sources", "new")
    fresh.until("Name of the source:")
    fresh.interrupt()
    assert fresh.end() == 130
    assert "You began" not in fresh.seen


@pytest.mark.parametrize("words", [["init"], ["sources", "new"]])
def test_without_a_terminal_it_says_so(home: Path, words: list[str]):
    done = CliRunner().invoke(app, ["--home", str(home), *words])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "run it in a terminal" in done.stderr
    assert done.stderr.count("\n") == 1
