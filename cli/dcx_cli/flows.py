"""`dcx flows …`: what flows have beside other kinds of rows. Here `check`: what is wrong, before a caller finds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from dcx_ari.services.documents import Known, Problem, check_text, errors, known_of
from dcx_ari.services.publishing import problem_json
from dcx_ari.store.db import Database
from dcx_cli import flow_draw, flow_life, flow_try, show
from dcx_cli.flow_files import text_of
from dcx_cli.options import Json
from dcx_cli.work import run


def add_commands(app: typer.Typer) -> None:
    app.command("check", help="Check flow documents; exit status 2 where one has errors.")(_check)
    for each in (flow_life, flow_try, flow_draw):
        each.add_commands(app)


def _check(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="YAML or JSON files; - reads standard input.")],
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not look for schedules, campaigns, sounds and voices.")
    ] = False,
    json: Json = False,
) -> None:
    texts = {str(file): text_of(file) for file in files}
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
    async with database.read() as session:
        return await known_of(session)


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
    return {"file": name, **problem_json(problem)}
