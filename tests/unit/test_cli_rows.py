"""The command line over a real database: what is printed, where, and with which exit status."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.migrate import migrate
from dcx_cli.main import COMMANDS, app

pytestmark = pytest.mark.unit
A = "+15551230001"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


class Dcx:
    """`dcx` with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.runner = CliRunner()

    def __call__(self, *args: str, stdin: str | None = None) -> tuple[int, str, str]:
        result = self.runner.invoke(app, ["--home", str(self.home), *args], input=stdin)
        return result.exit_code, result.stdout, result.stderr

    def json(self, *args: str) -> Any:
        status, out, err = self(*args, "--json")
        assert status == 0, err
        return json.loads(out)

    def refused(self, *args: str) -> str:
        """The one line on standard error."""
        status, out, err = self(*args)
        assert (status, out) == (2, "")
        assert err.startswith("Error: ")
        assert err.count("\n") == 1
        return err.strip().removeprefix("Error: ")


@pytest.fixture
def dcx(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Dcx:
    for name in ("DCX_HOME", "DCX_DATABASE_URL", "DCX_DEBUG", "DCX_API_PORT"):
        monkeypatch.delenv(name, raising=False)
    shutil.copy(template, tmp_path / "dcx.db")
    return Dcx(tmp_path)


def test_a_buyer_from_first_to_last(dcx: Dcx):
    made = dcx.json("buyers", "add", "Acme", "--endpoint", A, "--tier", "-10", "--daily-cap", "5")
    assert (made["tier"], made["daily_cap"], made["endpoint_type"]) == (-10, 5, "PHONE_NUMBER")
    assert dcx.json("buyers", "show", "Acme") == made
    assert dcx.json("buyers", "set", "Acme", "--daily-cap", "", "--weight", "7")["daily_cap"] is None
    assert [row["weight"] for row in dcx.json("buyers", "list")] == [7]
    assert dcx("buyers", "rm", "Acme")[:2] == (0, "Removed buyer 1: Acme\n")
    assert dcx.json("buyers", "list") == []


def test_tables_and_cards(dcx: Dcx):
    dcx("buyers", "add", "Acme [bold]", "--endpoint", A, "--revenue-cents", "123456")
    status, out, _ = dcx("buyers", "list")
    assert status == 0
    assert "Acme [bold]" in out
    assert "1,234.56" in out
    assert "1,234.56" in dcx("buyers", "show", "1")[1]


def test_an_empty_list_says_what_to_do(dcx: Dcx):
    assert dcx("numbers", "list") == (0, "", "No numbers yet. Add one: dcx numbers add +15551234567 --campaign NAME\n")
    assert dcx("numbers", "list", "--search", "x")[2] == "No numbers match.\n"
    assert "dcx demo" in dcx("calls", "list")[2]
    assert "dcx keys create" in dcx("keys", "list")[2]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name in RESOURCES])
def test_every_kind_of_row_has_its_commands(dcx: Dcx, name: str):
    help_text = dcx(name, "--help")[1]
    for command in ("list", "show", "add", "set", "rm"):
        assert f"  {command} " in help_text
    options = dcx(name, "add", "--help")[1]
    for field in RESOURCES[name].writable:
        if field != RESOURCES[name].argument:
            assert f"--{field.replace('_', '-')}" in options
    assert dcx.json(name, "list") == []


@pytest.mark.parametrize(
    ("args", "field"),
    [
        (["buyers", "add", "A", "--endpoint", "5551234"], "endpoint_value"),
        (["buyers", "add", "A", "--endpoint", A, "--daily-cap", "-1"], "daily_cap"),
        (["buyers", "add", "A", "--endpoint", A, "--tier", "low"], "tier"),
        (["buyers", "add", "A", "--endpoint", A, "--trunk", "none"], "trunk"),
        (["buyers", "add", "A", "--endpoint", A, "--filters", "{"], "filters"),
        (["buyers", "add", "A", "--endpoint", A, "--filters", "@/no/such/file"], "filters"),
        (["buyers", "add", "A"], "endpoint_value"),
        (["buyers", "show", "nobody"], "buyer"),
        (["buyers", "set", "nobody", "--tier", "1"], "buyer"),
        (["buyers", "list", "--filter", "nope=1"], "nope"),
        (["buyers", "list", "--filter", "nope"], "filter"),
        (["buyers", "list", "--sort-by", "nope"], "sort_by"),
        (["numbers", "add", "12"], "phone_number"),
        (["numbers", "add", A, "--campaign", "none"], "campaign"),
        (["campaigns", "attach", "none", "--buyer", "x"], "campaign"),
        (["calls", "show", "none"], "call"),
        (["calls", "list", "--status", "fine"], "status"),
        (["keys", "revoke", "none"], "key"),
        (["keys", "create", "x", "--role", "king"], "role"),
    ],
)
def test_refused_in_one_line(dcx: Dcx, args: list[str], field: str):
    assert dcx.refused(*args).startswith(f"{field}: ")
    assert dcx.json("buyers", "list") == []


def test_nothing_to_set(dcx: Dcx):
    dcx("campaigns", "add", "C")
    assert "nothing to set" in dcx.refused("campaigns", "set", "C")


def test_attach_and_detach(dcx: Dcx):
    dcx("campaigns", "add", "C")
    dcx("buyers", "add", "Acme", "--endpoint", A)
    assert dcx("campaigns", "attach", "C", "--buyer", "Acme", "--tier", "3")[:2] == (0, "Attached Acme to campaign C\n")
    assert [(row["buyer"], row["tier"]) for row in dcx.json("campaigns", "buyers", "C")] == [("Acme", 3)]
    assert "Acme" in dcx("campaigns", "buyers", "C")[1]
    assert dcx("campaigns", "detach", "C", "--buyer", "Acme")[0] == 0
    assert dcx.json("campaigns", "buyers", "C") == []
    dcx("groups", "add", "G")
    assert dcx.json("groups", "attach", "G", "--buyer", "Acme", "--priority", "2")["priority"] == 2


def test_files_and_lists(dcx: Dcx, tmp_path: Path):
    (tmp_path / "flow.yaml").write_text(
        "start: sell\nnodes: {sell: {type: route, on: {any: end}}, end: {type: hangup}}\n"
    )
    made = dcx.json("flows", "add", "F", "--document", f"@{tmp_path}/flow.yaml")
    assert made["document"] == {
        "start": "sell",
        "nodes": {"sell": {"type": "route", "on": {"any": "end"}}, "end": {"type": "hangup"}},
    }
    networks = ["--accept-from", "10.0.0.1,10.0.0.2", "--accept-from", "192.0.2.0/24"]
    made = dcx.json("trunks", "add", "T", "--host", "sip.example", "--default", *networks)
    assert (made["accept_from"], made["is_default"]) == (["10.0.0.1", "10.0.0.2", "192.0.2.0/24"], True)


def test_a_password_can_be_piped_and_is_not_shown(dcx: Dcx):
    args = ("trunks", "add", "T", "--host", "sip.example", "--username", "u", "--password", "-")
    assert dcx(*args, stdin="hush\n")[0] == 0
    with sqlite3.connect(dcx.home / "dcx.db") as database:
        assert database.execute("SELECT password FROM trunks").fetchall() == [("hush",)]
    database.close()
    assert "hush" not in dcx("trunks", "show", "T")[1] + dcx("trunks", "show", "T", "--json")[1]


def test_copy_pause_resume(dcx: Dcx):
    dcx("campaigns", "add", "C")
    assert dcx("campaigns", "copy", "C")[1] == "Made campaign 2: C (Copy)\n"
    assert dcx.json("campaigns", "pause", "C")["status"] == "INACTIVE"
    assert [row["name"] for row in dcx.json("campaigns", "list", "--filter", "status=ACTIVE")] == []
    assert dcx.json("campaigns", "resume", "C")["status"] == "ACTIVE"


def test_advice_goes_to_standard_error(dcx: Dcx):
    status, out, err = dcx("buyers", "add", "A", "--endpoint", A, "--json")
    assert (status, json.loads(out)["name"]) == (0, "A")
    assert "no trunk serves phone numbers" in err
    dcx("trunks", "add", "T", "--host", "sip.example")
    assert dcx("buyers", "set", "A", "--tier", "2")[2] == ""


def test_home_is_understood_anywhere(dcx: Dcx, tmp_path: Path, template: Path):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(template, other / "dcx.db")
    dcx("campaigns", "add", "C")
    found = dcx.runner.invoke(app, ["campaigns", "list", "--json", "--home", str(other)])
    assert json.loads(found.stdout) == []
    found = dcx.runner.invoke(app, ["campaigns", "list", f"--home={tmp_path}", "--json"])
    assert [row["name"] for row in json.loads(found.stdout)] == ["C"]


def test_a_database_that_cannot_be_used(dcx: Dcx):
    (dcx.home / "dcx.db").write_bytes(b"not a database at all" * 100)
    status, out, err = dcx("buyers", "list")
    assert (status, out) == (1, "")
    assert "is not a database file" in err
    assert "Traceback" not in err


def test_keys(dcx: Dcx):
    made = dcx.json("keys", "create", "robot", "--role", "viewer")
    assert made["key"].startswith("dcx_")
    assert made["key"] not in dcx("keys", "list", "--json")[1]
    assert dcx("keys", "create", "second")[1].startswith("dcx_")
    assert dcx("keys", "revoke", "robot")[0] == 0
    assert [row["revoked_at"] is None for row in dcx.json("keys", "list")] == [False, True]


def test_calls(dcx: Dcx):
    with sqlite3.connect(dcx.home / "dcx.db") as database:
        database.execute(
            "INSERT INTO calls (id, started_at, status, caller, talk_ms) VALUES ('c1abcd', 1, 'BUSY', ?, 1500)", [A]
        )
        database.execute(
            "INSERT INTO legs (id, call_id, endpoint, result) VALUES ('c1abcd.leg1', 'c1abcd', ?, 'busy')", [A]
        )
    database.close()
    assert "1.5 s" in dcx("calls", "list")[1]
    assert [row["id"] for row in dcx.json("calls", "list", "--status", "busy", "--caller", A)] == ["c1abcd"]
    assert "c1abcd" in dcx("calls", "show", "c1abcd")[1]
    assert dcx.json("calls", "show", "c1abcd")["legs"][0]["result"] == "busy"


def test_a_fresh_home_without_database_and_odd_bytes(tmp_path: Path):
    """As a person runs it: another process, nothing there yet, an argument that is not UTF-8."""
    command: list[str | bytes] = [sys.executable, "-m", "dcx_cli.main", "--home", str(tmp_path / "new" / "home")]
    added = subprocess.run([*command, "campaigns", "add", "C"], capture_output=True, text=True, timeout=60, check=False)
    assert (added.returncode, added.stdout, added.stderr) == (0, "Added campaign 1: C\n", "")
    odd = subprocess.run([*command, "campaigns", "add", b"\xff\xfe"], capture_output=True, timeout=60, check=False)
    assert odd.returncode == 2
    assert odd.stderr.startswith(b"Error: name: ")
    assert b"Traceback" not in odd.stderr


def test_help_loads_no_database():
    code = (
        "import sys; from dcx_cli.main import app; app(['--help'], standalone_mode=False); "
        "print('sqlalchemy' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout.splitlines()[-1] == "False"
