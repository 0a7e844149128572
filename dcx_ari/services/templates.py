"""Templates: what new buyers and numbers begin with. A YAML file each, those of DCX and those of one's own.

One's own are in `templates` of the home directory, and take the place of DCX's where they have the same name:

    kind: buyers                     # or numbers
    title: Standard Medicare Buyer   # for people; the file's name without .yaml is the template's
    help: Pays for 90 seconds of talk.
    values: {tier: 0, revenue_cents: 3500}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcx_ari.services.documents import load_yaml
from dcx_ari.services.errors import Invalid, NotFound
from dcx_ari.services.parse import check_names, check_text, suggest
from dcx_ari.services.resources import RESOURCES, Resource, ref_name

TEMPLATED = ("buyers", "numbers")
"""Kinds of rows that have templates."""
_SHIPPED = Path(__file__).parents[1] / "examples" / "templates"
_MOST_FILES = 500
_LONGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Template:
    """`values` are fields of a row of `kind`, as JSON values. `own`: from the home directory."""

    name: str
    kind: str
    title: str
    help: str
    values: Mapping[str, Any]
    own: bool

    def as_json(self) -> dict[str, Any]:
        shown = {"name": self.name, "kind": self.kind, "title": self.title, "help": self.help, "own": self.own}
        return {**shown, "values": dict(self.values)}


def templates(resource: Resource, home: Path | None) -> list[Template]:
    """Those of one kind, by name. Raises Invalid for a file of one's own that cannot be used, naming it."""
    found = {each.name: each for each in _read(_SHIPPED, own=False)}
    if home is not None:
        found.update({each.name: each for each in _read(home / "templates", own=True)})
    return sorted((each for each in found.values() if each.kind == resource.name), key=lambda each: each.name)


def find_template(resource: Resource, name: str, home: Path | None) -> Template:
    """By its name or its title. Raises NotFound, Invalid."""
    known = templates(resource, home)
    wanted = name.strip().lower()
    for each in known:
        if wanted in (each.name, each.title.lower()):
            return each
    names = [each.name for each in known]
    raise NotFound("template", f"there is no template {name[:100]!r} of {resource.name}{suggest(wanted, names)}")


def with_template(resource: Resource, data: Mapping[str, Any], home: Path | None) -> dict[str, Any]:
    """`data` over the values of the template that it names under `template`, if it does.

    Raises Invalid for a template that cannot be used.
    """
    given = dict(data)
    if resource.name not in TEMPLATED or "template" not in given:
        return given
    name = given.pop("template")
    if name is None:
        return given
    if not isinstance(name, str):
        raise Invalid("template", "must be the name of a template")
    try:
        template = find_template(resource, name, home)
    except NotFound as error:
        raise Invalid(error.field, error.rule) from None
    return {**_left(resource, template.values, given), **given}


def _left(resource: Resource, values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The template's values but for rows that are given by their other name (`trunk`, `trunk_id`)."""
    replaced = {name for column in resource.refs for name in (column, ref_name(column))}
    taken = {each for name in given if name in replaced for each in (ref_name(name), f"{ref_name(name)}_id")}
    return {name: value for name, value in values.items() if name not in taken}


def _read(folder: Path, *, own: bool) -> Iterable[Template]:
    try:
        files = sorted(folder.glob("*.yaml"))[:_MOST_FILES]
    except OSError:
        return
    for file in files:
        yield _parse(file, own=own)


def _parse(file: Path, *, own: bool) -> Template:
    named = f"template {file.name}"
    try:
        if file.stat().st_size > _LONGEST:
            raise Invalid(named, f"must not be longer than {_LONGEST} bytes")
        data = load_yaml(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Invalid(named, f"cannot be read: {(str(error).splitlines() or ['nested too deeply'])[0]}") from None
    if not isinstance(data, dict) or set(data) - {"kind", "title", "help", "values"}:
        raise Invalid(named, "must have kind, title, help and values, and nothing else")
    if data.get("kind") not in TEMPLATED or not isinstance(data.get("values"), dict):
        raise Invalid(named, f"must have a kind ({' or '.join(TEMPLATED)}) and values")
    values = _checked(RESOURCES[data["kind"]], data["values"], named)
    title, text = str(data.get("title") or file.stem), str(data.get("help") or "")
    return Template(file.stem.lower(), data["kind"], title, text, values, own)


def _checked(resource: Resource, values: Mapping[Any, Any], named: str) -> dict[str, Any]:
    """The names only: what the values mean is found out when a row is made, together with what is given."""
    columns = {**dict.fromkeys(resource.writable), **{ref_name(column): column for column in resource.refs}}
    try:
        check_names(resource, [str(columns.get(name) or name) for name in values])
        for name, value in values.items():
            check_text(str(name), value)
    except Invalid as error:
        raise Invalid(f"{named}: {error.field}", error.rule) from None
    return {str(name): value for name, value in values.items()}
