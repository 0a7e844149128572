"""`dcx buyers templates`, `dcx numbers templates`, and `--template` of their `add`."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from dcx_ari.services import templates
from dcx_ari.services.resources import Resource
from dcx_cli import show
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.work import settings_of

Name = Annotated[str, typer.Argument(help="Name or title.", show_default=False)]


def options(resource: Resource) -> list[inspect.Parameter]:
    """`--template`, where the kind of row has templates."""
    if resource.name not in templates.TEMPLATED:
        return []
    text = f"Begin with a template; what is given wins. See dcx {resource.name} templates list."
    annotation = Annotated[str | None, typer.Option(help=text, metavar="NAME", show_default=False)]
    return [inspect.Parameter("template", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)]


def filled(ctx: typer.Context, resource: Resource, values: dict[str, Any], template: str | None) -> dict[str, Any]:
    """The values over those of the template. Raises Invalid."""
    if template is None:
        return values
    return templates.with_template(resource, {**values, "template": template}, settings_of(ctx).home)


def add_commands(app: typer.Typer, resource: Resource) -> None:
    if resource.name not in templates.TEMPLATED:
        return
    group = new_app(f"What new {resource.name} can begin with: templates of DCX and of your own.")
    one = resource.singular

    def list_(ctx: typer.Context, json: Json = False) -> None:
        found = [each.as_json() for each in templates.templates(resource, settings_of(ctx).home)]
        if json:
            show.as_json(found)
        else:
            show.table(found, ("name", "title", "help"))

    def show_(ctx: typer.Context, name: Name, json: Json = False) -> None:
        found = templates.find_template(resource, name, settings_of(ctx).home).as_json()
        if json:
            show.as_json(found)
            return
        values = found.pop("values")
        show.card({**found, **values})

    group.command("list", help=f"List the templates of {resource.name}.")(list_)
    group.command("show", help=f"Show what a {one} that begins with a template has.")(show_)
    app.add_typer(group, name="templates")
