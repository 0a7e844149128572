"""`dcx demo`: a real call between two real phones, and its record."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import time
from pathlib import Path
from typing import Any

import typer

from dcx_ari.settings import Settings
from dcx_cli.work import settings_of


def command(ctx: typer.Context) -> None:
    """Set up an exchange of its own, place a real SIP call through it, and show the call's record."""
    from rich.console import Console

    from dcx_cli.demo_record import show_record

    console = Console()
    began = time.monotonic()
    settings = _own(settings_of(ctx))
    console.print(f"[bold]DCX demo[/bold]  everything is kept in {settings.home}", highlight=False)
    record, heard = asyncio.run(_demo(settings, console, began))
    show_record(console, record, heard, settings.home)


def _own(settings: Settings) -> Settings:
    """A home and ports of its own, so that a demo never touches an exchange that runs."""
    from dcx_asterisk.ports import free_ports

    ports = free_ports(3)
    rtp = free_ports(1, spacing=100)[0]
    home = settings.home / "demo"
    return dataclasses.replace(
        settings,
        home=home,
        asterisk_home="",
        database_url=f"sqlite+aiosqlite:///{home}/dcx.db",
        ari_url="",
        ari_port=ports[0],
        ami_port=ports[1],
        sip_port=ports[2],
        api_port=free_ports(1)[0],
        rtp_ports=f"{rtp}-{rtp + 99}",
    )


async def _demo(settings: Settings, console: Any, began: float) -> tuple[dict[str, Any], Any]:
    from dcx_ari import demo
    from dcx_ari.app import engine
    from dcx_ari.local import local_asterisk
    from dcx_ari.orders import Orders
    from dcx_ari.services.calls import show_call
    from dcx_asterisk.fetch import ensure
    from dcx_asterisk.ports import free_ports
    from dcx_cli.fetching import fetch_progress

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.1f} s[/dim]  {text}", highlight=False)

    folder = Path(settings.home, "phones")
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    with fetch_progress() as report:
        tree = await asyncio.to_thread(ensure, "phones", report)
        asterisk = local_asterisk(settings, report, die_with_parent=True)
        access = await asterisk.__aenter__()
    try:
        say("Asterisk runs")
        stop = asyncio.Event()
        async with engine(settings, access) as made:
            running = asyncio.create_task(made.run(Orders(stop)))
            try:
                await made.until_ready()
                say("The engine and the API run")
                caller, buyer = demo.phones(tree, folder, free_ports(1, spacing=40)[0])
                async with caller, buyer:
                    await demo.prepare(made, buyer)
                    say("An example exchange is loaded: a trunk, a number, a flow, a campaign, three buyers")
                    call_id, heard = await demo.place_call(made, caller, buyer, settings.sip_port, say)
                async with made.database.read() as session:
                    return await show_call(session, call_id), heard
            finally:
                stop.set()
                await running
    finally:
        await asterisk.__aexit__(None, None, None)
