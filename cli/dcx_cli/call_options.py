"""Options of commands that choose calls: one for each filter, made from the table of filters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from dcx_ari.services.call_filters import FILTERS
from dcx_cli.options import Json

_FLAGS: Mapping[str, tuple[str, ...]] = {
    "date_from": ("--from", "--date-from"),
    "date_to": ("--to", "--date-to"),
    "caller_state": ("--state", "--caller-state"),
    "caller_city": ("--city", "--caller-city"),
}


def choosing(command: Callable[..., None], *more: inspect.Parameter) -> Callable[..., None]:
    """Give a command, which takes `ctx` and keywords, the options of all filters, `more` and --json."""
    plain = inspect.Parameter.KEYWORD_ONLY
    filters = [
        inspect.Parameter(
            name,
            plain,
            default="",
            annotation=Annotated[
                str,
                typer.Option(*_FLAGS.get(name, (f"--{name.replace('_', '-')}",)), help=each.help, show_default=False),
            ],
        )
        for name, each in FILTERS.items()
    ]
    everything = [
        inspect.Parameter("ctx", plain, annotation=typer.Context),
        *more,
        *filters,
        inspect.Parameter("json", plain, default=False, annotation=Json),
    ]
    command.__signature__ = inspect.Signature(everything)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in everything}
    return command


def option(name: str, kind: Any, default: Any, *flags: str, text: str, **more: Any) -> inspect.Parameter:
    """One option more."""
    annotation = Annotated[kind, typer.Option(*flags, help=text, **more)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def filters_in(given: Mapping[str, Any]) -> dict[str, list[str]]:
    """The filters among what Typer parsed: `completed,busy` has two values."""
    return {
        name: [part.strip() for part in given[name].split(",") if part.strip()] for name in FILTERS if given.get(name)
    }
