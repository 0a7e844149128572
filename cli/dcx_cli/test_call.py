"""`dcx test-call`: who would get a call, or who does get it, without touching caps and money."""

from __future__ import annotations

import asyncio
import json as json_
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from urllib.parse import quote

import typer

from dcx_ari.clock import now_ms
from dcx_ari.remote import Remote, api_url
from dcx_ari.services import test_call as service
from dcx_ari.services.errors import Invalid
from dcx_ari.services.own_key import own_key
from dcx_ari.settings import Settings
from dcx_ari.store.db import Database
from dcx_ari.store.ledger import open_ledger
from dcx_cli import show
from dcx_cli.explained import print_decision, print_told
from dcx_cli.options import Json
from dcx_cli.work import run, settings_of

_LOOK_S = 0.5


def command(
    ctx: typer.Context,
    number: Annotated[str, typer.Argument(help="One of your numbers, or its id.")],
    caller: Annotated[str, typer.Option("--from", metavar="NUMBER", help="The caller; anonymous when left out.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only decide: no call.")] = False,
    at: Annotated[
        str, typer.Option(metavar="TIME", help="With --dry-run: RFC 3339, or '2026-12-25 10:00 America/New_York'.")
    ] = "",
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="With --dry-run: what a flow gathered; repeatable.")
    ] = None,
    campaign: Annotated[
        str, typer.Option(metavar="NAME|ID", help="With --dry-run: another campaign than the number's.")
    ] = "",
    digits: Annotated[str, typer.Option(help="Keys to press after the answer; w waits half a second.")] = "",
    seconds: Annotated[int, typer.Option(help="Hang up so long after the answer.")] = 60,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the end and explain it.")] = True,
    key: Annotated[
        str, typer.Option(envvar="DCX_API_KEY", help="API key; without one, a passing one of this home is made.")
    ] = "",
    json: Json = False,
) -> None:
    """Try a number: decide only (--dry-run), or place a real call that is kept out of caps and money."""
    settings = settings_of(ctx)
    if dry_run:
        if digits:
            raise Invalid("digits", "cannot be pressed with --dry-run; --tag KEY=VALUE says what a flow would gather")
        moment = service.moment_of(at, settings.timezone) if at else None
        tags = service.tags_of(tag or [])
        asked = service.Question(number, service.caller_of(caller), moment, tags, campaign or None)
        _show_decision(_decide(ctx, settings, asked), as_json=json)
        return
    for name, given in (("at", at), ("tag", tag), ("campaign", campaign)):
        if given:
            raise Invalid(name, "goes with --dry-run only")
    trial = service.trial_of(number, caller, digits, seconds)
    told = run(ctx, lambda database: _place(database, settings, trial, key, wait=wait, quiet=json))
    if json:
        show.as_json(told)
    elif wait:
        print_told(told)
    else:
        typer.echo(told["id"])


def _decide(ctx: typer.Context, settings: Settings, asked: service.Question) -> service.Answered:
    async def work(database: Database) -> service.Answered:
        ledger = open_ledger(settings.database_url, worker="cli")
        try:
            return await service.decide(database, ledger, settings.timezone, now_ms(), asked)
        finally:
            await ledger.close()

    return run(ctx, work)


def _show_decision(found: service.Answered, *, as_json: bool) -> None:
    if as_json:
        show.as_json(json_.loads(service.stored(found.decision)))
        return
    print_decision(found.told)
    first = next(iter(found.told["candidates"]), None)
    if first is not None:
        show.console().print(f"\n{first['name']} would be dialled first.", style="bold", markup=False, highlight=False)
    else:
        word, reason = found.told["word"], found.told["failure_reason"]
        show.console().print(f"\nNobody would get the call: {word} ({reason}).", style="bold", markup=False)
    if service.needs_turns(found.decision):
        show.note("Whose turn it is only a running engine knows: here everybody begins at zero.")


async def _place(
    database: Database, settings: Settings, trial: service.Trial, key: str, *, wait: bool, quiet: bool
) -> Any:
    """Place it through the running engine; the call's id, or (`wait`) what became of it."""
    async with _engine(database, settings, key) as engine:
        asked = {"from": trial.caller, "digits": trial.digits, "seconds": trial.seconds}
        placed = await engine.post(f"/api/numbers/{quote(trial.number, safe='')}/test-call", asked)
        if not wait:
            return placed
        if not quiet:
            show.note(f"Test call {placed['id']} is placed. Ctrl-C leaves it alone.")
        seen = ""
        while (call := await engine.get(f"/api/calls/{placed['id']}"))["ended_at"] is None:
            if not quiet and call["stage"] not in ("", seen):
                seen = call["stage"]
                show.note(f"  {seen}")
            await asyncio.sleep(_LOOK_S)
        return await engine.get(f"/api/calls/{placed['id']}/explain")


@asynccontextmanager
async def _engine(database: Database, settings: Settings, key: str) -> AsyncIterator[Remote]:
    url = api_url(settings)
    async with Remote(url) as nobody:
        await nobody.ask("GET", "/health")  # before a key is made for an engine that is not there
    if key:
        async with Remote(url, key) as engine:
            yield engine
    else:
        async with own_key(database) as made, Remote(url, made) as engine:
            yield engine
