"""`dcx init`: the first exchange, asked for step by step.

Each step is written at once, and begins with what is there: interrupted and run again, it doubles nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import typer

from dcx_ari.home_settings import write_setting
from dcx_ari.services import rows
from dcx_ari.services.answers import e164, endpoint, names, numbers_of, zone
from dcx_ari.services.errors import Refused
from dcx_ari.services.find import find_id
from dcx_ari.services.keys import create_key, list_keys
from dcx_ari.services.links import attach, links
from dcx_ari.services.resources import RESOURCES
from dcx_ari.settings import Settings
from dcx_ari.store.db import Database
from dcx_cli.asking import STOPPED, ask, command_line, field_check, heading, need_terminal, say, say_wrong, yes
from dcx_cli.work import run, settings_of

_PASSING = "dcx command "
"""Keys with such names belong to single commands (`services.own_key`)."""


def command(ctx: typer.Context) -> None:
    """Set up a first exchange: zone, API key, trunk, campaign, buyer, number. May be run again."""
    need_terminal("init")
    wizard = Init(ctx, settings_of(ctx))
    try:
        wizard.go()
    except (typer.Abort, KeyboardInterrupt, EOFError):
        say("\nStopped. What was made stays: dcx init again goes on from there.")
        wizard.told()
        raise typer.Exit(STOPPED) from None


@dataclass
class Init:
    ctx: typer.Context
    settings: Settings
    commands: list[str] = field(default_factory=list)
    """What did the same, as one would type it."""

    def go(self) -> None:
        heading("1 of 6: Time zone")
        self._zone()
        heading("2 of 6: Key for the API")
        self._key()
        heading("3 of 6: Trunk")
        self._trunk()
        heading("4 of 6: Campaign")
        campaign = self._campaign()
        heading("5 of 6: Buyer")
        self._buyer(campaign)
        heading("6 of 6: Number")
        number = self._number(campaign)
        self.told()
        say("\nNow start it:            dcx up")
        say(f"See who would get a call: dcx test-call --dry-run {number}")

    def told(self) -> None:
        if self.commands:
            say("\nThe same with commands:")
            for line in self.commands:
                say(f"  {line}")

    def _zone(self) -> None:
        now = self.settings.timezone
        wanted = ask("Time zone of your company (IANA name)", zone, default=now)
        if wanted == now:
            return
        if os.environ.get("DCX_TIMEZONE"):
            say("The environment says DCX_TIMEZONE, which goes before: set it there.")
            return
        path = write_setting(self.settings.home, "DCX_TIMEZONE", wanted)
        say(f"Kept in {path}")
        self.commands.append(f"echo DCX_TIMEZONE={wanted} >> {path}")

    def _key(self) -> None:
        keys = [key for key in self._do(list_keys) if not key["revoked_at"] and not key["name"].startswith(_PASSING)]
        if keys and not yes(f"There is a key {keys[0]['name']!r}. Make another?", default=False):
            return

        def make(name: str) -> tuple[str, str]:
            _, key = self._do(lambda session: create_key(session, name, "admin"))
            return name, key

        name, key = ask("Name of the key's user", make, default=None if keys else "admin")
        say(f"  {key}\nKeep it now: it is not shown again.")
        self.commands.append(command_line("keys", "create", name))

    def _trunk(self) -> None:
        if there := self._names("trunks"):
            say(f"There is {', '.join(there[:5])}.")
            return
        name = ask("Name of your carrier; empty for none yet", _or_empty("trunks", "name"), default="")
        if not name:
            say("Later: dcx trunks add NAME --host sip.example.com --default")
            return
        while True:
            given = {"host": ask("Its SIP host or address", field_check("trunks", "host"))}
            if user := ask("User name there; empty for none", field_check("trunks", "username"), default=""):
                given["username"] = user
                given["password"] = ask("Password", str, secret=True)
            if self._made("trunks", name, {**given, "is_default": True}, {**given, "default": True}):
                return

    def _campaign(self) -> str:
        there = self._names("campaigns")
        while True:
            if there:
                say(f"There is {', '.join(there[:5])}. Name one of them, or a new one.")
            name = ask("Campaign", field_check("campaigns", "name"), default=there[0] if there else "First")
            if name in there or self._made("campaigns", name, {}, {}):
                return name

    def _buyer(self, campaign: str) -> None:
        attached = self._do(lambda session: links(session, "campaigns", campaign))
        if attached and not yes(f"{campaign} has {len(attached)} of them already. Add one?", default=False):
            return
        there = self._names("buyers")
        while True:
            name = ask("Name of the buyer", field_check("buyers", "name"))
            if name in there:
                break
            reached = ask("Where to reach it (phone number with +, or sip: URI)", endpoint)
            cents = field_check("buyers", "revenue_cents")
            revenue = ask("What it pays for a call, in cents", cents, default="0")
            seconds = ask("A call is sold after so many seconds of talk", _seconds, default="60")
            rule = [{"kind": "duration", "threshold_s": int(seconds)}]
            values = {"endpoint_value": reached, "revenue_cents": revenue, "conversion_rules": rule}
            words = {"endpoint": reached, "revenue_cents": revenue, "conversion_rules": json.dumps(rule)}
            if self._made("buyers", name, values, words):
                break
        self._do(lambda session: attach(session, "campaigns", campaign, {"buyer": name}))
        say(f"{name} takes calls of {campaign}.")
        self.commands.append(command_line("campaigns", "attach", campaign, "--buyer", name))

    def _number(self, campaign: str) -> str:
        campaign_id = self._do(lambda session: find_id(session, RESOURCES["campaigns"], campaign))
        there: list[str] = self._do(lambda session: numbers_of(session, campaign_id))
        if there and not yes(f"{campaign} has {there[0]}. Add another?", default=False):
            return there[0]
        to_it = {"campaign": campaign}
        while True:
            number = ask("Number that callers dial, with +", e164)
            if self._lead(number, campaign) or self._made("numbers", number, to_it, to_it):
                return number

    def _lead(self, number: str, campaign: str) -> bool:
        """A number that is there already is led to the campaign, if that is wished; False where it is not there."""
        if self._do(lambda session: find_id(session, RESOURCES["numbers"], number)) is None:
            return False
        row = self._do(lambda session: rows.get(session, RESOURCES["numbers"], number))
        if row["campaign"] == campaign:
            return True
        if row["campaign"] and not yes(f"It belongs to {row['campaign']}. Lead it to {campaign}?", default=False):
            return False
        self._do(lambda session: rows.change(session, RESOURCES["numbers"], number, {"campaign": campaign}))
        self.commands.append(command_line("numbers", "set", number, "--campaign", campaign))
        return True

    def _made(self, kind: str, name: str, values: Mapping[str, Any], words: Mapping[str, Any]) -> bool:
        """Make the row, and note the command that does the same; False, with the rule told, where it is refused."""
        resource = RESOURCES[kind]
        try:
            row = self._do(lambda session: rows.create(session, resource, {resource.argument: name, **values}))
        except Refused as error:
            say_wrong(str(error))
            return False
        say(f"Added {resource.singular} {row['id']}: {name}")
        options: list[str] = []
        for option, value in words.items():
            flag = f"--{option.replace('_', '-')}"
            shown = "-" if option in resource.secrets else str(value)  # - is asked for: no secret stays in a history
            options += [flag] if value is True else [flag, shown]
        self.commands.append(command_line(kind, "add", name, *options))
        return True

    def _names(self, kind: str) -> list[str]:
        found: list[str] = self._do(lambda session: names(session, kind))
        return found

    def _do(self, work: Callable[..., Awaitable[Any]]) -> Any:
        async def all_of_it(database: Database) -> Any:
            async with database.write() as session:
                return await work(session)

        return run(self.ctx, all_of_it)


def _or_empty(kind: str, name: str) -> Callable[[str], str]:
    check = field_check(kind, name)
    return lambda text: check(text) if text else text


def _seconds(text: str) -> str:
    if not (text.isascii() and text.isdigit() and int(text) <= 86_400):
        raise ValueError("must be a whole number of seconds, at most 86400")
    return text
