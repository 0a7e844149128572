"""Run the bench: `python -m bench [--quick] [--only PART …] [--out FILE] [--port BASE]`.

Each part runs as a process of its own, with a time limit, and hands back its section; a part that fails says
why and the table still comes out. Exit 1 if a part failed or a goal was missed. The full run writes
bench/results.md; `--quick` and `--only` only print, unless `--out` says where to write.
"""

import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.ports import VARIABLE
from bench.table import Section, command_line, machine_facts, section_markdown

PARTS = {
    "calls": "Whole calls",
    "workers": "Workers",
    "decision": "Decision",
    "ledger": "Ledger",
    "flows": "Flows",
    "digits": "Digits",
    "speech": "Speech in menus",
    "csv": "CSV",
    "api": "API",
    "calllog": "Call log",
    "reports": "Reports",
    "recording": "Recording",
}
LIMIT_S = {
    "calls": 600,
    "workers": 600,
    "decision": 180,
    "ledger": 180,
    "flows": 180,
    "digits": 600,
    "speech": 180,
    "csv": 600,
    "api": 120,
    "calllog": 600,
    "reports": 600,
    "recording": 180,
}
RESULTS = Path(__file__).with_name("results.md")


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM):  # both stop what we started, also under a shell's `&`
        signal.signal(number, signal.default_int_handler)
    arguments = parse()
    if arguments.part:
        with contextlib.suppress(PermissionError):
            os.nice(-10)  # other work on the machine disturbs all rivals less; only root may
        section = run_part(arguments.part, arguments.quick)
        Path(arguments.out).write_text(json.dumps(section.as_json()))
        return 0
    if arguments.port is not None:
        os.environ[VARIABLE] = str(arguments.port)
    facts, started = machine_facts(), time.monotonic()
    sections = []
    for part in arguments.only or PARTS:
        print(f"bench: {PARTS[part]} …", file=sys.stderr, flush=True)
        sections.append(run_apart(part, arguments.quick))
    facts.append(f"`{command_line()}`, {time.monotonic() - started:.0f} s in all")
    page = "\n\n".join(["# Bench", "\n".join(f"- {fact}" for fact in facts), *map(section_markdown, sections)])
    print(page)
    out = arguments.out or (None if arguments.quick or arguments.only else RESULTS)
    if out is not None:
        Path(out).write_text(page + "\n")
    return 1 if any(bad(section) for section in sections) else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure DCX beside its rivals.")
    parser.add_argument("--quick", action="store_true", help="fewer calls and one turn: a look, not a measurement")
    parser.add_argument(
        "--only", choices=PARTS, nargs="+", metavar="PART", help=f"run some parts of {', '.join(PARTS)}"
    )
    parser.add_argument("--out", help="where to write the table (full run of all parts: bench/results.md)")
    parser.add_argument("--port", type=int, help="the first of the ports that the bench takes (26000)")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    return parser.parse_args()


def bad(section: Section) -> bool:
    return bool(section.failures) or any(row.ok is False for row in section.rows)


def run_part(name: str, quick: bool) -> Section:
    """The part's section, in this process; whatever it raises becomes a failure named in its section."""
    if importlib.util.find_spec(f"bench.{name}") is None:
        return Section(PARTS[name], failures=[f"there is no bench/{name}.py"])
    try:
        part = importlib.import_module(f"bench.{name}")
        if hasattr(part, "section"):
            section: Section = part.section(quick)
            return section
        return Section(PARTS[name], rows=list(part.rows(quick)), notes=list(getattr(part, "NOTES", ())))
    except Exception as error:  # the boundary of a part: the other parts' table must come out
        return Section(PARTS[name], failures=[f"{type(error).__name__}: {error}"])


def run_apart(name: str, quick: bool) -> Section:
    """The part in a process of its own; one that outlives its limit is ended with its children."""
    with tempfile.TemporaryDirectory(prefix="dcx-bench-") as folder:
        out = Path(folder) / "section.json"
        command = [
            sys.executable,
            "-m",
            "bench",
            "--part",
            name,
            "--out",
            str(out),
            *(["--quick"] if quick else []),
        ]
        child = subprocess.Popen(command, cwd=Path(__file__).parents[1], start_new_session=True)
        try:
            status = child.wait(LIMIT_S[name])
        except subprocess.TimeoutExpired:
            return Section(PARTS[name], failures=[f"did not end within {LIMIT_S[name]} s"])
        finally:
            end(child)
        if status != 0 or not out.exists():
            return Section(PARTS[name], failures=[f"its process ended with status {status}"])
        return Section.from_json(json.loads(out.read_text()))


def end(child: subprocess.Popen[bytes]) -> None:
    """Interrupt a part that still runs, so that it stops what it started; then kill what is left of it."""
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(15)
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    child.wait()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
