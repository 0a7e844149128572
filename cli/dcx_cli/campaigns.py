"""`dcx campaigns keys` and `api-docs`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dcx_ari.services.campaign_keys import make_keys, of_campaigns
from dcx_ari.services.find import find
from dcx_ari.services.posting_docs import as_text, posting_docs
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database
from dcx_cli import show
from dcx_cli.options import Json
from dcx_cli.work import run

Campaign = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Id or name.", show_default=False)]


def add_commands(app: typer.Typer) -> None:
    app.command("regenerate-keys", help="New leads and numbers keys; the old ones stop at once.")(_regenerate)
    app.command("api-docs", help="How to post leads to a campaign, and get numbers from it.")(_docs)


def _regenerate(ctx: typer.Context, campaign: Campaign, json: Json = False) -> None:
    async def work(database: Database) -> dict[str, str]:
        async with database.write() as session:
            row: Any = await find(session, RESOURCES["campaigns"], campaign, lock=True)
            return await make_keys(session, row)

    made = run(ctx, work)
    if json:
        show.as_json(made)
        return
    typer.echo(f"leads key:   {made['leads_api_key']}\nnumbers key: {made['numbers_api_key']}")
    show.note("Keep them now: they are not shown again, and the former ones no longer work.")


def _docs(ctx: typer.Context, campaign: Campaign, json: Json = False) -> None:
    async def work(database: Database) -> tuple[dict[str, Any], dict[str, Any]]:
        async with database.read() as session:
            row: Any = await find(session, RESOURCES["campaigns"], campaign)
            return posting_docs(row), dict((await of_campaigns(session, [row]))[row.id])

    docs, keys = run(ctx, work)
    if json:
        show.as_json({**docs, "keys": keys})
        return
    typer.echo(as_text(docs))
    if keys["leads_api_key"] is None:
        show.note(f"It has no keys yet. Make them: dcx campaigns regenerate-keys {campaign!r}")
    else:
        show.note(f"Leads key {keys['leads_api_key']}, numbers key {keys['numbers_api_key']}.")
