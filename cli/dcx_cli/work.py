"""What commands share: settings, and a service called over the migrated database."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar
from zoneinfo import ZoneInfo

import typer

from dcx_ari.services.audit import Actor
from dcx_ari.store.db import Database, Session, open_database
from dcx_ari.store.migrate import migrate
from dcx_cli.given import settings_of as settings_of

T = TypeVar("T")


def run(ctx: typer.Context, work: Callable[[Database], Awaitable[T]]) -> T:
    """Open the database, bring it to the newest schema, do the work, close."""
    settings = settings_of(ctx)

    async def all_of_it() -> T:
        info = {"actor": os_user(), "zone": ZoneInfo(settings.timezone), "audible": _audible}
        database = replace(open_database(settings.database_url), info=info)
        try:
            await migrate(database)
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(all_of_it())


def _audible() -> object:
    from dcx_ari.audible import audible  # loads the engine: only where a flow is checked against it

    return audible()


def reading(ctx: typer.Context, work: Callable[[Session], Awaitable[T]]) -> T:
    """As `run`, with one consistent view of the database."""

    async def with_session(database: Database) -> T:
        async with database.read() as session:
            return await work(session)

    return run(ctx, with_session)


def writing(ctx: typer.Context, work: Callable[[Session], Awaitable[T]]) -> T:
    """As `run`, in one transaction."""

    async def with_session(database: Database) -> T:
        async with database.write() as session:
            return await work(session)

    return run(ctx, with_session)


def os_user() -> Actor:
    """Who runs the command, for the audit log: the account on this machine, as the machine itself knows it."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run under a number that nobody gave a name
        name = str(os.getuid())
    return Actor("cli", name, name)
