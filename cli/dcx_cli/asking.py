"""Questions in the terminal: asked one by one, each answer checked at once by the rules that hold everywhere."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import typer

from dcx_ari.services.answers import check_field
from dcx_ari.services.errors import Invalid, Refused

T = TypeVar("T")
Check = Callable[[str], T]
"""Text as it was typed -> the value. Raises Refused, ValueError with the rule in words."""

STOPPED = 130


def need_terminal(what: str) -> None:
    """Raises Invalid where nobody can answer."""
    if not sys.stdin.isatty():
        raise Invalid(what, "asks questions: run it in a terminal. Scripts use the commands that it prints, see docs")


def ask(question: str, check: Check[T], *, default: str | None = None, secret: bool = False) -> T:
    """Ask until the answer passes. A default of "" lets the question be passed over; any other is cleared by -."""
    while True:
        typed = typer.prompt(question, default=default, show_default=bool(default), hide_input=secret)
        text = str(typed).strip()
        try:
            return check("" if default and text == "-" else text)
        except Refused as error:
            say_wrong(error.rule)
        except ValueError as error:
            say_wrong(str(error))


def choose(question: str, choices: Sequence[str], *, default: str) -> str:
    """One of a few words, however they are spelled in capitals."""

    def check(text: str) -> str:
        found = next((each for each in choices if each.lower() == text.lower()), None)
        if found is None:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return found

    return ask(f"{question} ({', '.join(choices)})", check, default=default)


def yes(question: str, *, default: bool = True) -> bool:
    return bool(typer.confirm(question, default=default))


def say(text: str = "") -> None:
    typer.echo(text)


def say_wrong(rule: str) -> None:
    typer.echo(f"  That will not do: {rule}", err=True)


def heading(text: str) -> None:
    typer.secho(f"\n{text}", bold=True)


def field_check(kind: str, name: str) -> Check[str]:
    """The rule of one field of a kind of row; the answer as its text. Empty passes where the field may be empty."""
    return lambda text: check_field(kind, name, text)


def command_line(*words: str) -> str:
    """A command as one types it."""
    return shlex.join(["dcx", *words])
