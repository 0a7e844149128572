"""Options of the command line, made from the fields of a model."""

from __future__ import annotations

import inspect
import json
import sys
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dcx_ari.services.documents import load_yaml
from dcx_ari.services.errors import Invalid
from dcx_ari.services.resources import Resource, ref_name

Kind = Literal["flag", "texts", "json", "text"]
Json = typing.Annotated[bool, typer.Option("--json", help="Print JSON.")]


def parameters(resource: Resource, skip: frozenset[str], *, defaults: bool) -> list[inspect.Parameter]:
    """One keyword option per writable field; None when it is not given."""
    return [
        _parameter(resource, name, field, defaults=defaults)
        for name, field in resource.fields.model_fields.items()
        if name not in skip
    ]


def values_of(resource: Resource, given: Mapping[str, Any]) -> dict[str, Any]:
    """Field values from what Typer parsed. Raises Invalid."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value is None or value == []:
            continue
        field = resource.fields.model_fields[name]
        kind = kind_of(field)
        if name in resource.refs:
            found[ref_name(name)] = value or None
        elif kind == "json":
            found[name] = _structure(name, value)
        elif kind == "texts":
            found[name] = [part.strip() for text in value for part in text.split(",") if part.strip()]
        elif value == "" and _nullable(field):
            found[name] = None
        elif value == "-" and name in resource.secrets:
            found[name] = _ask(name)
        else:
            found[name] = value
    return found


def signed(
    command: Callable[..., None], first: str, kind: Any, options: list[inspect.Parameter]
) -> Callable[..., None]:
    """Give a command the parameters that Typer reads: context, the argument, the options, --json."""
    plain = inspect.Parameter.KEYWORD_ONLY
    everything = [
        inspect.Parameter("ctx", plain, annotation=typer.Context),
        inspect.Parameter(first, plain, annotation=kind),
        *options,
        inspect.Parameter("json", plain, default=False, annotation=Json),
    ]
    command.__signature__ = inspect.Signature(everything)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in everything}
    return command


def kind_of(field: FieldInfo) -> Kind:
    bare = _bare(field.annotation)
    if bare is bool:
        return "flag"
    origin = get_origin(bare)
    if origin is list:
        return "texts" if _bare(get_args(bare)[0]) is str else "json"
    if origin is dict or (isinstance(bare, type) and issubclass(bare, BaseModel)):
        return "json"
    return "text"


def _bare(annotation: Any) -> Any:
    """Without `Annotated` and `| None`."""
    origin = get_origin(annotation)
    if origin is typing.Annotated:
        return _bare(get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        inner = [each for each in get_args(annotation) if each is not type(None)]
        return _bare(inner[0]) if len(inner) == 1 else annotation
    return annotation


def _nullable(field: FieldInfo) -> bool:
    return type(None) in get_args(field.annotation)


def _parameter(resource: Resource, name: str, field: FieldInfo, *, defaults: bool) -> inspect.Parameter:
    kind, bare = kind_of(field), _bare(field.annotation)
    text = field.description or ""
    default = field.default
    shown = field.default_factory is None and default not in (None, "", [], {})
    if defaults and not field.is_required() and shown and kind != "json":
        text += f" [default: {str(default).lower() if kind == 'flag' else default}]"
    flags = _flags(resource, name)
    if kind == "flag":
        annotation: Any = bool | None
        both = [f"{flag}/--no-{flag[2:]}" for flag in flags]
        option = typer.Option(*both, help=text, show_default=False)
    else:
        annotation = list[str] | None if kind == "texts" else str | None
        option = typer.Option(*flags, help=text, metavar=_metavar(kind, bare, name, resource), show_default=False)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=typing.Annotated[annotation, option]
    )


def _flags(resource: Resource, name: str) -> list[str]:
    names = [alias for alias, target in resource.flags.items() if target == name]
    if name in resource.refs:
        names.append(ref_name(name))
    names.append(name)
    return [f"--{each.replace('_', '-')}" for each in dict.fromkeys(names)]


def _metavar(kind: Kind, bare: Any, name: str, resource: Resource) -> str:
    if name in resource.refs:
        return "NAME|ID"
    if kind == "json":
        return "JSON|@FILE"
    if get_origin(bare) is Literal:
        return "|".join(get_args(bare))
    return "NUMBER" if bare is int else "TEXT"


def _structure(name: str, text: str) -> Any:
    """JSON on the line, or a JSON or YAML file as @FILE. Empty text is null."""
    if not text.strip():
        return None
    source = text
    if text.startswith("@"):
        try:
            source = sys.stdin.read() if text == "@-" else Path(text[1:]).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
            raise Invalid(name, f"cannot read {text[1:]}: {reason}") from None
    try:
        return json.loads(source) if not text.startswith("@") else load_yaml(source)
    except (ValueError, RecursionError) as error:
        first = (str(error).splitlines() or ["nested too deeply"])[0]
        raise Invalid(name, f"must be JSON{' or YAML' if text.startswith('@') else ''}: {first}") from None


def _ask(name: str) -> str:
    """A secret typed in, or piped in, so that it is not on the line for all to see."""
    if sys.stdin.isatty():
        return str(typer.prompt(name.capitalize(), hide_input=True))
    return sys.stdin.readline().rstrip("\n")
