"""`dcx live`: the calls that are up, on the whole screen, as they change."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import typer
from rich.live import Live

from dcx_ari.remote import EngineAway, Remote, api_url
from dcx_ari.services.errors import Invalid, Refused
from dcx_ari.services.own_key import own_key
from dcx_ari.settings import Settings
from dcx_ari.store.db import Database
from dcx_ari.store.errors import StoreError
from dcx_cli import show
from dcx_cli.live_screen import Screen, screen
from dcx_cli.options import Json
from dcx_cli.work import run, settings_of

_AGAIN_S = 2.0
_FRAMES = 4
"""Pictures a second."""


def command(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Show it once and end.")] = False,
    key: Annotated[str, typer.Option(help="API key; else one of its own.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Watch the calls that are up and the figures of now. Ctrl-C ends."""
    if json and not once:
        raise Invalid("json", "goes with --once")
    if not once and not sys.stdout.isatty():
        raise Invalid("live", "needs a terminal; for a script: dcx live --once --json")
    settings = settings_of(ctx)
    if once:
        _print(run(ctx, lambda database: _once(database, settings, key)), as_json=json)
        return
    with contextlib.suppress(KeyboardInterrupt):
        run(ctx, lambda database: _watch(database, settings, key))


async def _once(database: Database, settings: Settings, key: str) -> dict[str, Any]:
    async with _engine(database, settings, key) as engine:
        found: dict[str, Any] = await engine.get("/api/live")
        return found


def _print(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show.as_json(found)
        return
    made = Screen()
    made.take({"type": "snapshot", **found})
    show.console().print(screen(made))


async def _watch(database: Database, settings: Settings, key: str) -> None:
    made = Screen()
    with Live(screen(made), screen=True, auto_refresh=False) as live:
        following = asyncio.create_task(_follow(database, settings, key, made), name="live view")
        try:
            while not following.done():
                live.update(screen(made), refresh=True)
                await asyncio.wait([following], timeout=1 / _FRAMES)
            following.result()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _follow(database: Database, settings: Settings, key: str, made: Screen) -> None:
    """Listen for ever; when the engine is away, say so and come again."""
    while True:
        refused: list[Exception] = []
        try:
            async with _engine(database, settings, key) as engine, asyncio.TaskGroup() as group:
                for path in ("/ws/live-calls", "/ws/live-metrics"):
                    group.create_task(_listen(engine, path, made), name=path)
        except* (EngineAway, StoreError) as away:
            made.away = str(away.exceptions[0])
        except* Refused as group:
            refused.extend(group.exceptions)
        if refused:
            raise refused[0]
        await asyncio.sleep(_AGAIN_S)


async def _listen(engine: Remote, path: str, made: Screen) -> None:
    async for message in engine.watch(path):
        made.take(message)
    raise EngineAway("the engine has ended the live view")


@asynccontextmanager
async def _engine(database: Database, settings: Settings, key: str) -> AsyncIterator[Remote]:
    url = api_url(settings)
    async with Remote(url) as nobody:
        await nobody.ask("GET", "/health")  # before a key is made for an engine that is not there
    if key:
        async with Remote(url, key) as engine:
            yield engine
    else:
        async with own_key(database, "viewer") as made, Remote(url, made) as engine:
            yield engine
