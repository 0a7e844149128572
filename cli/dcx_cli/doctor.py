"""`dcx doctor`: every part looked at, and how to mend what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from dcx_cli import show
from dcx_cli.options import Json
from dcx_cli.work import settings_of

if TYPE_CHECKING:
    from dcx_ari.services.doctor import Line


def command(ctx: typer.Context, json: Json = False) -> None:
    """Check every part and say how to mend what is wrong. Exit status 1 if anything is."""
    from dcx_ari.doctor import CHECKS
    from dcx_ari.services.doctor import Line, examine
    from dcx_ari.settings import SettingsError

    try:
        settings = settings_of(ctx)
    except SettingsError as error:
        lines: Sequence[Line] = [Line("settings", "wrong", str(error), "Set it otherwise, or unset it.")]
    else:
        lines = [Line("settings", "ok", "can be read"), *asyncio.run(examine(CHECKS, settings))]
    if json:
        show.as_json([line.as_json() for line in lines])
    else:
        _table(lines)
    wrong = sum(line.state == "wrong" for line in lines)
    if wrong:
        show.note(f"{wrong} wrong: see the arrows.")
        raise typer.Exit(1)


_STYLES = {"ok": "green", "warning": "yellow", "wrong": "bold red"}


def _table(lines: Sequence[Line]) -> None:
    from rich.table import Table
    from rich.text import Text

    made = Table(show_header=False, box=None, pad_edge=False)
    made.add_column(style="bold")
    made.add_column()
    made.add_column(overflow="fold")
    before = ""
    for line in lines:
        name = "" if line.check == before else line.check
        before = line.check
        made.add_row(name, Text(line.state, style=_STYLES[line.state]), Text(line.text))
        if line.mend and line.state != "ok":
            made.add_row("", "", Text(f"→ {line.mend}", style="italic"))
    show.console().print(made)
