"""Commands that only some kinds of rows have, beside those that all have (`dcx_cli.rows`).

A file per kind, with `add_commands(app)`; loaded when that kind's commands are.
"""

from __future__ import annotations

import importlib

import typer

_FILES = {
    "buyers": "dcx_cli.buyers",
    "campaigns": "dcx_cli.campaigns",
    "sources": "dcx_cli.sources",
    "states": "dcx_cli.states",
    "suppressions": "dcx_cli.suppressions",
    "contacts": "dcx_cli.contacts",
    "schedules": "dcx_cli.schedules",
    "flows": "dcx_cli.flows",
    "scheduled-reports": "dcx_cli.scheduled_reports",
}
"""Name of the kind -> its file."""


def add_commands(app: typer.Typer, kind: str) -> None:
    if kind in _FILES:
        importlib.import_module(_FILES[kind]).add_commands(app)
