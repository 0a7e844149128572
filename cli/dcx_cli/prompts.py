"""`dcx prompts`: sounds of one's own that flows play by name."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from dcx_ari.services import prompts
from dcx_ari.services.errors import Invalid
from dcx_cli import show
from dcx_cli.main import new_app
from dcx_cli.options import Json
from dcx_cli.work import reading, settings_of, writing

app = new_app("Prompts: sounds of your own that flows play by name.")
Name = Annotated[str, typer.Argument(help="Name of the prompt: letters, digits, _ and -.", show_default=False)]
_LIST = ("name", "duration_ms", "size_bytes", "voice", "text", "updated_at")


@app.command()
def add(
    ctx: typer.Context,
    name: Name,
    file: Annotated[Path, typer.Argument(help="WAV, AIFF, AU, CAF, FLAC, Ogg or MP3.", show_default=False)],
    json: Json = False,
) -> None:
    """Add a prompt from a file of any common format; one of the same name is replaced."""
    prompts.check_name(name)
    try:
        made = asyncio.run(prompts.make_file(settings_of(ctx).home, file))
    except OSError as error:
        raise Invalid(str(file), error.strerror or str(error)) from None
    kept = writing(ctx, lambda session: prompts.save(session, name, made))
    _tell(kept, json=json)


@app.command()
def say(
    ctx: typer.Context,
    name: Name,
    text: Annotated[str, typer.Option(help="What it says.", show_default=False)],
    voice: Annotated[str, typer.Option(help="slt, kal, awb or rms.")] = "slt",
    json: Json = False,
) -> None:
    """Make a prompt from text; one of the same name is replaced."""
    from dcx_ari.audible import spoken  # loads the engine: not for the other commands of this group

    prompts.check_name(name)
    settings = settings_of(ctx)
    source = asyncio.run(spoken(settings, text, voice))
    made = asyncio.run(prompts.make_file(settings.home, source, spoken=True))
    kept = writing(ctx, lambda session: prompts.save(session, name, made, text=text, voice=voice))
    _tell(kept, json=json)


@app.command("list")
def list_(ctx: typer.Context, json: Json = False) -> None:
    """List prompts, by name."""
    found = reading(ctx, prompts.list_prompts)
    if json:
        show.as_json(found)
    elif found:
        show.table(found, _LIST)
    else:
        show.note("No prompts yet. Add one: dcx prompts add NAME FILE")


@app.command("show")
def show_(ctx: typer.Context, name: Name, json: Json = False) -> None:
    """Show one prompt, and where its file is."""
    home = settings_of(ctx).home

    async def work(session: Any) -> dict[str, object]:
        row = await prompts.find_prompt(session, name)
        return {**prompts.shown(row), "file": str(prompts.file_of(home, row.path))}

    found = reading(ctx, work)
    (show.as_json if json else show.card)(found)


@app.command("rm")
def remove(ctx: typer.Context, name: Name) -> None:
    """Remove a prompt that no flow and no number names."""
    home = settings_of(ctx).home
    writing(ctx, lambda session: prompts.remove(session, home, name))
    typer.echo(f"Removed prompt {name}")


def _tell(made: dict[str, object], *, json: bool) -> None:
    if json:
        show.as_json(made)
    else:
        typer.echo(f"Prompt {made['name']}: {made['duration_ms']} ms")
