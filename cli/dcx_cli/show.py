"""Rows on the terminal: tables and cards by Rich, or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PLAIN_WIDTH = 200


def console() -> Console:
    """As wide as the terminal; wide enough for whole lines where there is none."""
    return Console() if sys.stdout.isatty() else Console(width=_PLAIN_WIDTH)


def as_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """To standard error, so that it is never in the way of a pipe."""
    typer.echo(text, err=True)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    made = Table(header_style="bold", box=None, pad_edge=False)
    for name in columns:
        right = name == "id" or any(isinstance(row.get(name), int) and row.get(name) is not True for row in rows)
        made.add_column(_title(name), justify="right" if right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell(name, row.get(name))) for name in columns))
    console().print(made)


def card(row: Mapping[str, Any]) -> None:
    """One row, a line for each value that is set."""
    made = Table(show_header=False, box=None, pad_edge=False)
    made.add_column(style="bold")
    made.add_column(overflow="fold")
    for name, value in row.items():
        if value not in (None, "", [], {}):
            made.add_row(_title(name), Text(cell(name, value)))
    console().print(made)


def cell(name: str, value: Any) -> str:
    """A value as text; cents become units with two decimals."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_cents") and isinstance(value, int):
        return f"{value / 100:,.2f}"
    if name == "status" and isinstance(value, str):
        return value.lower().replace("_", "-")
    if isinstance(value, (list, dict)):
        texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return (", ".join(value) if texts else json.dumps(value, ensure_ascii=False)) if value else "-"
    return str(value)


def _title(name: str) -> str:
    return name.removesuffix("_cents").replace("_", " ")
