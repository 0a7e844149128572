"""Guards over the syntax trees: who may import whom, no clock in `decide`, no forgotten task, no long file.

`docs/design.md` says why. An offender is mended, or the rule is changed there and here, on purpose.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
LONGEST = 400
OUTSIDE = frozenset({"http", "select", "selectors", "socket", "socketserver", "ssl", "subprocess", "urllib.request"})
CLOCKS_AND_IO = OUTSIDE | {
    *("_thread", "asyncio", "concurrent", "contextvars", "ctypes", "fcntl", "glob", "io", "logging", "multiprocessing"),
    *("os", "pathlib", "queue", "random", "secrets", "shutil", "signal", "sqlite3", "tempfile", "threading", "time"),
    *("urllib", "uuid"),
}


@dataclass(frozen=True)
class Ring:
    """What the files of a folder may import: modules of ours and of others by the start of their names, and
    the standard library but for `closed`. `pure` also forbids coroutines, clocks and open files."""

    folder: str
    ours: frozenset[str]
    others: frozenset[str] = frozenset()
    closed: frozenset[str] = OUTSIDE
    pure: bool = False


def _ring(folder: str, ours: str, others: str = "", closed: frozenset[str] = OUTSIDE, pure: bool = False) -> Ring:
    return Ring(folder, frozenset(ours.split()), frozenset(others.split()), closed, pure)


_ARI_NAMES = ("decode", "encode", "errors", "events", "models", "resources", "transport")
_ARI_TYPES = " ".join(f"dcx_ari.ari.{name}" for name in _ARI_NAMES)
RINGS = (
    _ring("dcx_ari/decide", "dcx_ari.decide", "dateutil holidays phonenumbers", CLOCKS_AND_IO, pure=True),
    _ring(
        "dcx_ari/flows",
        "dcx_ari.flows dcx_ari.call dcx_ari.decide",
        "msgspec yaml",
        OUTSIDE | {"random", "sqlite3", "threading", "time"},
    ),
    _ring("dcx_ari/call", f"dcx_ari.call dcx_ari.decide {_ARI_TYPES}", "", OUTSIDE | {"random", "sqlite3", "time"}),
    _ring("dcx_ari/ari", "dcx_ari.ari dcx_ari.decide.endpoints", "aiohttp msgspec yarl"),
    _ring(
        "dcx_ari/media",
        "dcx_ari.media dcx_ari.ari.errors dcx_ari.call.ports dcx_ari.call.tasks",
        "numpy pocketsphinx pydub soundfile soxr",
    ),
    _ring(
        "dcx_ari/store",
        "dcx_ari.store dcx_ari.decide dcx_ari.call.leg dcx_ari.call.ports dcx_ari.call.saved dcx_ari.call.tasks "
        "dcx_ari.ari.trunks",
        "alembic annotated_types asyncpg email_validator msgspec phonenumbers pydantic sqlalchemy sqlmodel",
    ),
    _ring(
        "dcx_ari/integrations",
        "dcx_ari.integrations dcx_ari.decide dcx_ari.call.ports dcx_ari.services.lookup dcx_ari.settings "
        "dcx_ari.services.transcription dcx_ari.media.sound dcx_ari.store.mail dcx_ari.store.targets",
        "aiohttp aiosmtplib msgspec numpy pocketsphinx soxr",
        frozenset(),
    ),
    _ring("dcx_ari/bus", "dcx_ari.bus", "msgspec redis"),
    _ring(
        "dcx_ari/services",
        "dcx_ari.services dcx_ari.bus dcx_ari.store dcx_ari.decide dcx_ari.clock dcx_ari.settings dcx_ari.media.sound "
        "dcx_ari.flows.document dcx_ari.flows.checking dcx_ari.flows.known dcx_ari.flows.problems dcx_ari.flows.source "
        "dcx_ari.flows.drawing",
        "argon2 fpdf msgspec phonenumbers pydantic sqlalchemy sqlmodel xlsxwriter yaml",
    ),
    _ring(
        "dcx_ari/api",
        "dcx_ari.api dcx_ari.bus dcx_ari.services dcx_ari.clock dcx_ari.store.db dcx_ari.store.errors",
        "aiohttp msgspec prometheus_client",
    ),
    _ring(
        "dcx_ari/trial",
        "dcx_ari.trial dcx_ari.testing dcx_ari.flows dcx_ari.call dcx_ari.decide dcx_ari.services dcx_ari.store",
        "msgspec sqlmodel",
    ),
    _ring("dcx_ari/testing", "dcx_ari.testing dcx_ari.ari", "aiohttp msgspec", frozenset()),
    _ring(
        "cli/dcx_cli",
        "dcx_cli dcx_ari.services dcx_ari.settings dcx_ari.home_settings dcx_ari.clock "
        "dcx_ari.app dcx_ari.local dcx_ari.demo dcx_ari.doctor dcx_ari.trial "
        "dcx_ari.access dcx_ari.audible dcx_ari.departure dcx_ari.notify dcx_ari.orders dcx_ari.slots "
        "dcx_ari.supervisor "
        "dcx_ari.remote dcx_ari.integrations.lookup dcx_ari.store.db dcx_ari.store.errors dcx_ari.store.ledger "
        "dcx_ari.store.migrate dcx_asterisk",
        "pydantic rich typer uvloop yaml",
    ),
    # Runs alone in a container, so nothing of the engine but the sound of the hold music.
    _ring("asterisk/dcx_asterisk", "dcx_asterisk dcx_ari.media.tones", "aiohttp", frozenset()),
)

WIRED = ("dcx_ari.ari.client", "dcx_ari.ari.ami", "dcx_ari.api.app", "dcx_ari.desk", "dcx_ari.app")
"""Parts that only these put together; within its own package a part is free to use its neighbours."""
WIRING = ("dcx_ari/app.py", "dcx_ari/local.py", "dcx_ari/demo.py", "dcx_ari/doctor.py", "cli/dcx_cli/")
AROUND_CALLS = ("dcx_ari/lifecycle.py", "dcx_ari/settlement.py")
"""Shell beside `app`, made by it: these may name the desk."""


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    """(path from the root, text) of every Python file."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text("utf-8")


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of whatever is imported, also in functions and under TYPE_CHECKING."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


def begins(name: str, starts: frozenset[str] | tuple[str, ...]) -> bool:
    return any(f"{name}.".startswith(f"{start}.") for start in starts)


def import_problems(ring: Ring, text: str) -> list[str]:
    found = []
    for line, name in imports(ast.parse(text)):
        standard = name.partition(".")[0] in sys.stdlib_module_names
        allowed = not begins(name, ring.closed) if standard else begins(name, ring.ours | ring.others)
        if not allowed:
            found.append(f"{line}: imports {name}")
    return found


def purity_problems(text: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith | ast.Await | ast.Global):
            found.append(f"{node.lineno}: {type(node).__name__}")
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            clock = isinstance(node.func, ast.Attribute) and node.func.attr in ("now", "utcnow", "today")
            if clock or called in ("open", "print", "input", "exec", "eval", "__import__"):
                found.append(f"{node.lineno}: calls {called}")
    return found


def wiring_problems(path: str, text: str) -> list[str]:
    if path.startswith(WIRING):
        return []
    inside = path.removesuffix(".py").replace("/", ".")
    parts = [part for part in WIRED if not begins(inside, (part.rpartition(".")[0],)) or part.count(".") == 1]
    if path in AROUND_CALLS:
        parts.remove("dcx_ari.desk")
    return [f"{line}: imports {name}" for line, name in imports(ast.parse(text)) if begins(name, tuple(parts))]


def task_problems(text: str) -> list[str]:
    """Tasks that nobody keeps: asyncio holds them weakly, so they may vanish, and their errors go unseen."""
    tree = ast.parse(text)
    groups = {
        ast.unparse(item.optional_vars)
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncWith)
        for item in node.items
        if item.optional_vars is not None and "TaskGroup(" in ast.unparse(item.context_expr)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            value: ast.expr = node.value
        elif isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["_"]:
            value = node.value
        elif isinstance(node, ast.Lambda):
            value = node.body
        else:
            continue
        if isinstance(value, ast.Call):
            owner, _, name = ast.unparse(value.func).rpartition(".")
            if name in ("create_task", "ensure_future") and owner not in groups:
                found.append(f"{value.lineno}: forgets a task")
    return found


def too_long(path: str, text: str) -> bool:
    generated = "Generated by" in text[:500] or "/migrations/versions/" in path
    return not generated and text.count("\n") > LONGEST


@pytest.mark.parametrize("ring", RINGS, ids=lambda ring: ring.folder)
def test_a_ring_imports_only_what_it_may(ring: Ring):
    assert [f"{path}:{problem}" for path, text in sources(ring.folder) for problem in import_problems(ring, text)] == []


def test_pure_rings_have_no_clock_no_coroutine_and_no_file():
    folders = [ring.folder for ring in RINGS if ring.pure]
    assert folders == ["dcx_ari/decide"]
    assert [f"{path}:{problem}" for path, text in sources(*folders) for problem in purity_problems(text)] == []


def test_only_app_puts_the_parts_together():
    found = [f"{path}:{each}" for path, text in sources("dcx_ari", "asterisk") for each in wiring_problems(path, text)]
    assert found == []


def test_no_task_is_forgotten():
    everything = sources("dcx_ari", "cli", "asterisk", "bench", "chaos", "tests", "tools")
    assert [f"{path}:{problem}" for path, text in everything for problem in task_problems(text)] == []


def test_no_file_is_too_long():
    everything = sources("dcx_ari", "cli", "asterisk", "bench", "chaos", "tests", "tools")
    assert [path for path, text in everything if too_long(path, text)] == []


def test_every_folder_of_the_engine_has_a_rule():
    folders = {path.parent.name for path in (ROOT / "dcx_ari").glob("*/__init__.py")}
    assert folders - {"examples"} == {Path(ring.folder).name for ring in RINGS if ring.folder.startswith("dcx_ari/")}


# -- the guards can fail -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("decide", "import asyncio"),
        ("decide", "from random import Random"),
        ("decide", "from time import time"),
        ("decide", "from os import environ"),
        ("decide", "import msgspec"),
        ("decide", "from dcx_ari.clock import now_ms"),
        ("decide", "from dcx_ari import decider"),
        ("decide", "from dcx_ari.decider import x"),
        ("decide", "from . import caps"),
        ("flows", "def f():\n    import aiohttp"),
        ("flows", "from redis.asyncio import Redis"),
        ("flows", "from sqlmodel import select"),
        ("flows", "import urllib.request"),
        ("flows", "from urllib import request"),
        ("flows", "from dcx_ari.ari.errors import Gone"),
        ("flows", "from dcx_ari.store.db import Database"),
        ("call", "from dcx_ari.ari.client import AriClient"),
        ("call", "from dcx_ari.flows import sell"),
        ("api", "from sqlalchemy import text"),
        ("api", "from dcx_ari.store import models"),
        ("api", "if TYPE_CHECKING:\n    from dcx_ari.store.models import Buyer"),
        ("services", "from dcx_ari.api.context import context"),
        ("store", "from dcx_ari.services import rows"),
        ("dcx_cli", "import sqlmodel"),
        ("dcx_asterisk", "from dcx_ari.settings import Settings"),
    ],
)
def test_the_guard_sees_a_wrong_import(folder: str, line: str):
    ring = next(ring for ring in RINGS if Path(ring.folder).name == folder)
    assert import_problems(ring, line)


@pytest.mark.parametrize(
    "text",
    [
        "async def f(): ...",
        "datetime.now(UTC)",
        "datetime.datetime.utcnow()",
        "d = date.today()",
        "open('x')",
        "print(1)",
        "def f():\n    global x",
    ],
)
def test_the_guard_sees_what_is_not_pure(text: str):
    assert purity_problems(text)
    assert not purity_problems("def f(now, rows):\n    return now.timestamp(), rows.open")


@pytest.mark.parametrize(
    "text",
    [
        "asyncio.create_task(f())",
        "_ = loop.create_task(f())",
        "asyncio.ensure_future(f())",
        "loop.call_soon(lambda: create_task(f()))",
        "async def f():\n    async with TaskGroup() as group:\n        group.create_task(a())\n        create_task(b)",
    ],
)
def test_the_guard_sees_a_forgotten_task(text: str):
    assert len(task_problems(text)) == 1
    assert not task_problems("task = asyncio.create_task(f())")


def test_the_guard_sees_wiring_and_length():
    client = "from dcx_ari.ari.client import AriClient"
    assert wiring_problems("dcx_ari/call/exchange.py", client)
    assert wiring_problems("dcx_ari/services/calls.py", "from dcx_ari import app")
    assert not wiring_problems("dcx_ari/app.py", client)
    assert too_long("dcx_ari/x.py", "\n" * (LONGEST + 1))
    assert not too_long("dcx_ari/x.py", "\n" * LONGEST)
    assert not too_long("dcx_ari/x.py", '"""Generated by tools/x.py."""' + "\n" * 999)
