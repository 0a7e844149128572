"""`dcx flows check`: what is wrong with flow documents, before a caller finds it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from dcx_ari.services.documents import MAX_BYTES, Known, Problem, check_text, errors, known_of
from dcx_ari.services.errors import Invalid
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.options import Json
from dcx_cli.work import run


def add_commands(app: typer.Typer) -> None:
    app.command("check", help="Check flow documents; exit status 2 where one has errors.")(_check)


def _check(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="YAML or JSON files; - reads standard input.")],
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not look for schedules, campaigns, sounds and voices.")
    ] = False,
    json: Json = False,
) -> None:
    texts = {str(file): _text(file) for file in files}
    known = Known() if offline else run(ctx, _known)
    found = {name: check_text(text, known)[1] for name, text in texts.items()}
    if json:
        show.as_json([_as_json(name, problem) for name, problems in found.items() for problem in problems])
    else:
        _print(found)
    bad = [problem for problems in found.values() for problem in (problems if strict else errors(problems))]
    if bad:
        raise typer.Exit(2)


async def _known(database: Database) -> Known:
    from dcx_ari.local import audible  # loads the engine: not for the other commands of this group

    async with database.read() as session:
        return await known_of(session, audible())


def _text(file: Path) -> str:
    """At most one byte more than a document may have: the check says the rest."""
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1).decode("utf-8")
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1).decode("utf-8")
    except OSError as error:
        raise Invalid(str(file), error.strerror or str(error)) from None
    except UnicodeDecodeError as error:
        if error.start >= MAX_BYTES - 4:  # cut in the middle of a character: too long anyway
            return " " * (MAX_BYTES + 1)
        raise Invalid(str(file), f"is not UTF-8 text (byte {error.start})") from None


def _print(found: Mapping[str, list[Problem]]) -> None:
    for name, problems in found.items():
        for problem in problems:
            typer.echo(problem.line(name))
        wrong = len(errors(problems))
        if not problems:
            show.note(f"{name}: no problems")
        else:
            show.note(f"{name}: {_count(wrong, 'error')}, {_count(len(problems) - wrong, 'warning')}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number or 'no'} {what}s"


def _as_json(name: str, problem: Problem) -> dict[str, Any]:
    return {
        "file": name,
        "line": problem.mark.line if problem.mark else None,
        "column": problem.mark.column if problem.mark else None,
        "level": problem.level,
        "code": problem.code,
        "path": list(problem.path),
        "message": problem.message,
        "hint": problem.hint,
    }
