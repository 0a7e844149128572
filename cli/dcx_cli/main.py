"""The root of `dcx`. Commands are loaded when they are used, so that `dcx --help` answers at once.

A new command is a file and a line in `COMMANDS`. The file has one of: `command`, a function that is the
command; `app`, a Typer app that is a group; `build(name)`, which makes one or the other.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("dcx_cli.init", "Set up a first exchange, step by step."),
    "up": ("dcx_cli.up", "Start everything on this machine."),
    "run": ("dcx_cli.run", "Run engine and API against another Asterisk."),
    "workers": ("dcx_cli.workers", "The engine's processes."),
    "drain": ("dcx_cli.drain", "Take no new calls, and end when the live ones are over."),
    "demo": ("dcx_cli.demo", "Place a real call between two phones."),
    "numbers": ("dcx_cli.rows", "Tracked numbers: what callers dial."),
    "campaigns": ("dcx_cli.rows", "Campaigns: which buyers a call is offered to."),
    "sources": ("dcx_cli.rows", "Traffic sources: who sends the calls."),
    "buyers": ("dcx_cli.rows", "Buyers: who takes the calls and pays for them."),
    "groups": ("dcx_cli.rows", "Groups of buyers that share caps."),
    "schedules": ("dcx_cli.rows", "Opening hours."),
    "suppressions": ("dcx_cli.rows", "Callers who are refused, or always let through."),
    "states": ("dcx_cli.rows", "Rules by US state of the caller."),
    "trunks": ("dcx_cli.rows", "Carriers: where calls come from and go to."),
    "flows": ("dcx_cli.rows", "Flow documents: what callers go through first."),
    "calls": ("dcx_cli.calls", "The call log."),
    "callbacks": ("dcx_cli.callbacks", "Callbacks: calls that somebody has to make."),
    "voicemail": ("dcx_cli.voicemail", "Voicemail: messages that callers left."),
    "prompts": ("dcx_cli.prompts", "Prompts: sounds of your own that flows play by name."),
    "recordings": ("dcx_cli.recordings", "Recordings: where they are, and whether they are whole."),
    "retention": ("dcx_cli.retention", "How long recordings are kept."),
    "contacts": ("dcx_cli.rows", "People behind callers' numbers."),
    "call-tags": ("dcx_cli.rows", "Tags that people put on calls."),
    "views": ("dcx_cli.views", "Saved views: filters, order and columns of lists, by name."),
    "report": ("dcx_cli.report", "Reports over the call log."),
    "dashboard": ("dcx_cli.dashboard", "Today at a glance."),
    "live": ("dcx_cli.live", "Watch the calls that are up."),
    "explain": ("dcx_cli.explain", "Explain who got a call, and why."),
    "test-call": ("dcx_cli.test_call", "Try a number: decide only, or place a real call."),
    "caps": ("dcx_cli.caps", "Caps: what is used, what is left, and whether it all adds up."),
    "webhooks": ("dcx_cli.webhooks", "Webhooks: where events are sent."),
    "outbox": ("dcx_cli.outbox", "Webhooks, mails and Slack messages on their way out."),
    "keys": ("dcx_cli.keys", "Keys for the API."),
    "users": ("dcx_cli.users", "Users: people who log in."),
    "roles": ("dcx_cli.roles", "Roles: what keys and users may do."),
    "company": ("dcx_cli.roles", "How the company writes dates and money."),
    "audit": ("dcx_cli.audit", "Who changed what."),
    "doctor": ("dcx_cli.doctor", "Check every part and say how to mend it."),
}
"""Name -> (module, help in one line)."""

_HOME = "--home"


class LazyGroup(TyperGroup):
    """Loads a command when it is run, and turns errors into one line and an exit status."""

    def list_commands(self, _ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        if cmd_name in self.commands or cmd_name not in COMMANDS:
            return self.commands.get(cmd_name)
        return TyperGroup(name=cmd_name, help=COMMANDS[cmd_name][1])  # stands in for the real one in help texts

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in COMMANDS:
            self.commands[args[0]] = _load(args[0])
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _home_first(args))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:  # the boundary: no traceback reaches a person
            if type(error).__module__.startswith("typer") or os.environ.get("DCX_DEBUG"):
                raise
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise
            message, status = _explain(error)
            typer.echo(f"Error: {message}", err=True)
            raise typer.Exit(status) from None


def _home_first(args: list[str]) -> list[str]:
    """`--home` is understood anywhere on the line: `dcx up --home DIR` is `dcx --home DIR up`."""
    end = args.index("--") if "--" in args else len(args)
    for index, text in enumerate(args[:end]):
        if text == _HOME and index + 1 < end:
            return [_HOME, args[index + 1], *args[:index], *args[index + 2 :]]
        if text.startswith(f"{_HOME}="):
            return [text, *args[:index], *args[index + 1 :]]
    return args


def _load(name: str) -> Any:
    module = importlib.import_module(COMMANDS[name][0])
    built = module.build(name) if hasattr(module, "build") else getattr(module, "app", None) or module.command
    if not isinstance(built, typer.Typer):
        single = new_app()
        single.command(name, help=built.__doc__)(built)
        built = single
    return typer.main.get_command(built)


def new_app(help_text: str = "") -> typer.Typer:
    """A Typer app with the manners of this command line."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


# Errors whose text is written for a person; looked up only where their module was loaded.
_FOR_PEOPLE = (
    ("dcx_ari.store.errors", "StoreError"),
    ("dcx_asterisk.errors", "AsteriskError"),
    ("dcx_ari.failure", "EngineFailed"),
    ("dcx_ari.demo", "DemoFailed"),
)


def _explain(error: Exception) -> tuple[str, int]:
    """One line for a person, and the exit status: 2 for what was asked wrongly, 1 for what failed."""
    from dcx_ari.services.errors import Refused
    from dcx_ari.settings import SettingsError

    if isinstance(error, (Refused, SettingsError)):
        return str(error), 2
    for module, name in _FOR_PEOPLE:
        known = getattr(sys.modules.get(module), name, None)
        if known is not None and isinstance(error, known):
            return " ".join(_sentence(line) for line in str(error).split("\n")), 1
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error), 1
    text = str(error).strip() or "no reason given"
    kind = type(error).__name__
    return f"{kind}: {text.splitlines()[0]} (unexpected; DCX_DEBUG=1 shows where)", 1


def _sentence(line: str) -> str:
    return line if line.endswith((".", "!", "?", ":")) else f"{line}."


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"dcx {version('dcx-ari')}")
        raise typer.Exit


app = new_app()


@app.callback(cls=LazyGroup)
def root(
    ctx: typer.Context,
    home: Annotated[Path | None, typer.Option(help="Where everything is kept; else DCX_HOME.")] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """DCX: a self-hosted call exchange on Asterisk."""
    ctx.obj = home


def main() -> None:
    os.umask(0o077)  # calls, recordings and secrets are their owner's to read, nobody else's
    app(prog_name="dcx")


if __name__ == "__main__":
    main()
