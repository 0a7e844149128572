"""The documents keep their word: links resolve, commands run, and what is named (settings, routes, metrics) exists."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from typer.core import TyperCommand
from typer.testing import CliRunner

from dcx_ari.api.app import make_app
from dcx_ari.app import Engine
from dcx_ari.decide.checks import __doc__ as checks_in_order
from dcx_ari.decide.filters import OPERATORS
from dcx_ari.flows.document import parse
from dcx_ari.metrics import Metrics
from dcx_ari.settings import Settings
from dcx_ari.store.db import open_database
from dcx_ari.store.migrate import migrate
from dcx_cli.main import app

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("asterisk/*.md")])
PAGES = [ROOT / "README.md", *(path for path in DOCS if path.parent.name == "docs" and path.name != "design.md")]
SERVING = {"up", "run", "demo", "doctor", "live", "test-call", "workers", "drain"}
"""Commands that need more than a database: they are parsed, and not run (but for `test-call --dry-run`)."""
_FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, and the file it is shown as (```` ```yaml flow.yaml ````)."""

    language: str
    name: str
    text: str


def blocks(text: str) -> Iterator[Block]:
    for match in _FENCE.finditer(text):
        language, _, name = match[2].partition(" ")
        yield Block(language, name.strip(), textwrap.dedent(match[3]))


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of every `dcx` in the shell blocks, without what a shell does around it."""
    for block in blocks(text):
        if block.language not in ("sh", "console"):
            continue
        lines = block.text.replace("\\\n", " ")
        if block.language == "console":  # a prompt before what is typed, and none before what is answered
            lines = "".join(line[2:] for line in lines.splitlines(keepends=True) if line.startswith("$ "))
        lines = re.sub(r"(^|[ ])#[^\n]*", "", lines, flags=re.MULTILINE)  # shlex takes the line's end with them
        reader = shlex.shlex(lines, posix=True, punctuation_chars="|&;<>\n")
        reader.whitespace, reader.whitespace_split, reader.commenters = " \t", True, ""
        words: list[str] = []
        for token in [*reader, "\n"]:
            if token.strip("|&;<>\n"):
                words.append(token)
                continue
            while words and re.match(r"[A-Z_]+=", words[0]):
                words.pop(0)
            called = [word.removeprefix(".venv/bin/") for word in words]
            if "dcx" in called[:4]:
                yield words[called.index("dcx") + 1 :]
            words = []


def mentioned(text: str) -> Iterator[list[str]]:
    """The arguments of every `dcx …` in backticks: a command, or the beginning of one."""
    for found in re.findall(r"`dcx ([^`…]+)`", _FENCE.sub("", text)):
        yield shlex.split(found)


@pytest.fixture
def dcx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], str]:
    """Run a command line in a home of its own; what it wrote to standard error if it failed, else nothing."""
    for name in ("DCX_DATABASE_URL", "DCX_DEBUG", "DCX_TIMEZONE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DCX_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()

    def run(arguments: list[str]) -> str:
        result = runner.invoke(app, arguments, input="secret\n")
        return f"{arguments}: {result.stderr or result.exception}" if result.exit_code else ""

    return run


@pytest.fixture
def parse_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are found and their options parsed, and then nothing is done."""
    monkeypatch.setattr(TyperCommand, "invoke", lambda _self, _ctx: None)


def of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", DOCS, ids=of)
def test_every_relative_link_resolves(path: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        other = path.parent / name if name else path
        assert other.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", other.read_text("utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings], target


@pytest.mark.parametrize("path", DOCS, ids=of)
@pytest.mark.usefixtures("parse_only")
def test_every_command_line_parses(path: Path, dcx: Callable[[list[str]], str]):
    text = path.read_text("utf-8")
    for arguments in commands(text):
        assert not dcx(arguments)
    for arguments in mentioned(text):
        assert not dcx([*arguments, "--help"])  # so that a bare name will do: `dcx calls show`


@pytest.mark.parametrize("path", PAGES, ids=of)
def test_the_commands_of_a_page_work_one_after_another(path: Path, tmp_path: Path, dcx: Callable[[list[str]], str]):
    text = path.read_text("utf-8")
    for block in blocks(text):
        if block.name:
            (tmp_path / block.name).write_text(block.text, encoding="utf-8")
    for arguments in commands(text):
        if arguments[0] not in SERVING or "--dry-run" in arguments:
            assert not dcx(arguments)


def test_flow_documents_can_be_run():
    shown = [block for path in PAGES for block in blocks(path.read_text("utf-8")) if block.language == "yaml"]
    assert shown
    for block in shown:
        parse(block.text)


def test_every_setting_is_described_and_every_variable_named_is_read():
    known = {f"DCX_{field.name.upper()}": field.default for field in fields(Settings)}
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    assert set(known) <= set(re.findall(r"DCX_\w+", page))
    for row in re.findall(r"^\| (`DCX_[^|]+)\| ([^|]+)\|", page, re.MULTILINE):
        names, defaults = re.findall(r"DCX_\w+", row[0]), re.findall(r"`([^`]+)`", row[1])
        for name, default in zip(names, defaults, strict=len(defaults) == len(names)):
            if name in known and "_URL" not in name and name != "DCX_DEBIAN_MIRROR":
                assert default == str(known[name]), name
    code = "".join(
        p.read_text("utf-8") for folder in ("dcx_ari", "cli", "asterisk") for p in (ROOT / folder).rglob("*.py")
    )
    elsewhere = (ROOT / "compose.yaml").read_text("utf-8") + (
        ROOT / "asterisk/dcx_asterisk/config/globals.conf"
    ).read_text()
    for path in DOCS:
        for name in set(re.findall(r"`?(DCX_[A-Z_]+)\b", path.read_text("utf-8"))) - set(known):
            assert name in code or name in elsewhere, f"{of(path)}: {name}"


async def test_every_address_named_is_served(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/dcx.db"
    await migrate(url)
    database = open_database(url)
    try:
        parts: Any = SimpleNamespace(
            database=database, ledger=None, settings=Settings(), place_test_call=None, pause_recording=None, _speak=None
        )
        router = make_app(database, more=Engine._more_routes(parts)).router
        served = {(route.method, pattern(route.resource)) for route in router.routes()}
    finally:
        await database.close()
    for path in PAGES:
        text = path.read_text("utf-8")
        for method, address in re.findall(r"`(GET|POST|PATCH|DELETE) (/[^`?]*)[^`]*`", text):
            assert (method, re.sub(r"\{\w+\}", "{}", address)) in served, f"{of(path)}: {method} {address}"
        for address in re.findall(r"`(/api/[a-z-]+)`", text):
            assert ("GET", address) in served, f"{of(path)}: {address}"


def pattern(resource: Any) -> str:
    return re.sub(r"\{\w+\}", "{}", resource.canonical) if resource is not None else ""


def test_every_metric_is_described(tmp_path: Path):
    registry = Metrics().registry
    make_app(open_database(f"sqlite:///{tmp_path}/x.db"), registry=registry)
    assert isinstance(registry, CollectorRegistry)
    present = {exposed(family) for family in registry.collect()}
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    assert present == set(re.findall(r"^\| `(dcx_\w+)` \|", page, re.MULTILINE))


def exposed(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def test_the_checks_are_described_in_the_order_of_the_code():
    page = (ROOT / "docs/routing.md").read_text("utf-8")
    table = page.partition("## 2.")[2].partition("## 3.")[0]
    described = re.findall(r"`([a-z_.]+)`", " ".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)))
    stated = (checks_in_order or "").partition("\n\n")[2].partition("\n\n")[0]
    expected = [name for name in re.findall(r"[a-z_.]+[*]?", stated) if name]
    groups = {"cap.converted_*": "cap.converted_", "cap.revenue_*": "cap.revenue_"}
    shortened = [next((g for g, start in groups.items() if name.startswith(start)), name) for name in described]
    assert list(dict.fromkeys(shortened)) == expected
    assert all(f"`{operator}`" in page for operator in OPERATORS)


def test_every_page_is_in_the_index_and_every_word_once():
    index = (ROOT / "docs/README.md").read_text("utf-8")
    assert [path.name for path in (ROOT / "docs").glob("*.md") if f"({path.name})" not in index] == ["README.md"]
    words = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/glossary.md").read_text("utf-8"), re.MULTILINE)[1:]
    assert len(words) == len(set(words)) > 20
