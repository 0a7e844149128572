"""`dcx sources new`: a traffic source in five steps. What was answered is kept, so that it can be interrupted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from dcx_ari.services import drafts, rows, sources
from dcx_ari.services.answers import e164, free_numbers
from dcx_ari.services.errors import Refused
from dcx_ari.services.find import find_id
from dcx_ari.services.parse import parse_fields
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database, Session
from dcx_cli.asking import STOPPED, ask, choose, command_line, field_check, heading, need_terminal, say, say_wrong, yes
from dcx_cli.work import run

WIZARD = "sources new"
CHANNELS = ("web", "mobile", "IVR", "API")
STEPS = ("Basic info", "Channel", "Numbers", "Caps and limits", "Review")
_CONTACT = (
    ("company", "Company"),
    ("first_name", "Contact's first name"),
    ("last_name", "Contact's last name"),
    ("email", "Contact's e-mail address"),
    ("phone", "Contact's phone"),
)
_CAPS = (
    ("daily_call_cap", "Most calls per day"),
    ("monthly_call_cap", "Most calls per month"),
    ("concurrency_limit", "Most calls at once"),
    ("number_limit", "Most numbers it may have"),
)
SOURCES = RESOURCES["sources"]


def new(ctx: typer.Context, again: Annotated[bool, typer.Option("--again", help="Begin anew.")] = False) -> None:
    """Add a traffic source, asked step by step. Interrupted, it goes on where it was."""
    need_terminal("sources new")
    wizard = SourceWizard(ctx)
    try:
        wizard.begin(again=again)
        wizard.go()
    except (typer.Abort, KeyboardInterrupt, EOFError):
        say(f"\nStopped. Your answers are kept: {command_line('sources', 'new')} goes on.")
        raise typer.Exit(STOPPED) from None


@dataclass
class SourceWizard:
    """`answers`: fields of the source, `numbers` to give it, and `step`, the next to be asked."""

    ctx: typer.Context
    answers: dict[str, Any] = field(default_factory=dict)

    def begin(self, *, again: bool) -> None:
        """Take up what was left, if that is wished."""
        left = self._do(lambda session: drafts.load(session, WIZARD))
        if left and not again:
            step = left["step"]
            say(f"You began {left.get('name', 'a source')!r} and came to step {step + 1}: {STEPS[step]}.")
            if yes("Go on with it?"):
                self.answers = left
                say("Enter keeps what is in brackets, - clears it.")
                return
        self._do(lambda session: drafts.forget(session, WIZARD))

    def go(self) -> None:
        asked = (self._basic, self._channel, self._numbers, self._caps)
        while True:
            for step in range(self.answers.get("step", 0), len(asked)):
                heading(f"Step {step + 1} of {len(STEPS)}: {STEPS[step]}")
                asked[step]()
                self._keep(step=step + 1)
            if self._review():
                return

    def _keep(self, **answers: Any) -> None:
        self.answers.update(answers)
        self._do(lambda session: drafts.save(session, WIZARD, self.answers))

    def _basic(self) -> None:
        self._keep(step=0, name=ask("Name of the source", self._free_name, default=self.answers.get("name")))
        for name, question in _CONTACT:
            self._keep(**{name: ask(question, field_check("sources", name), default=self.answers.get(name, ""))})

    def _free_name(self, text: str) -> str:
        name = field_check("sources", "name")(text)
        if self._do(lambda session: find_id(session, SOURCES, name)) is not None:
            raise ValueError(f"there is a source {name!r} already")
        return name

    def _channel(self) -> None:
        self._keep(channel=choose("Where its calls come from", CHANNELS, default=self.answers.get("channel", "web")))

    def _numbers(self) -> None:
        free = self._do(free_numbers)
        if not free:
            say("None of your numbers is free. Give it some later: dcx sources add-number SOURCE NUMBER")
            self._keep(numbers=[])
            return
        say("Free numbers: " + ", ".join(free[:20]) + (f" and {len(free) - 20} more" if len(free) > 20 else ""))
        default = ",".join(self.answers.get("numbers", []))
        self._keep(numbers=ask("Numbers for it, with commas between; empty for none", _among(free), default=default))

    def _caps(self) -> None:
        for name, question in _CAPS:
            check = self._limit if name == "number_limit" else field_check("sources", name)
            given = ask(f"{question}; empty for no limit", check, default=str(self.answers.get(name) or ""))
            self._keep(**{name: given or None})

    def _limit(self, text: str) -> str:
        given = field_check("sources", "number_limit")(text)
        if given and int(given) < len(self.answers.get("numbers", [])):
            raise ValueError(f"must be at least {len(self.answers['numbers'])}: so many numbers were chosen")
        return given

    def _review(self) -> bool:
        """True when it is made, or given up."""
        heading(f"Step {len(STEPS)} of {len(STEPS)}: {STEPS[-1]}")
        for name, value in self._values().items():
            say(f"  {name.replace('_', ' ')}: {value}")
        say(f"  numbers: {', '.join(self.answers['numbers']) or 'none'}")
        what = choose(
            "Make it, change the answers, or leave it for later?", ("make", "change", "later"), default="make"
        )
        if what == "later":
            raise typer.Abort
        if what == "change":
            self._keep(step=0)
            return False
        try:
            made = self._do(self._make)
        except Refused as error:
            say_wrong(str(error))
            self._keep(step=0)
            return False
        say(f"Added source {made['id']}: {made['name']}")
        say("\nThe same with commands:")
        options = [word for name, value in self._values().items() if name != "name" for word in (_flag(name), value)]
        say(f"  {command_line('sources', 'add', made['name'], *options)}")
        for number in self.answers["numbers"]:
            say(f"  {command_line('sources', 'add-number', made['name'], number)}")
        return True

    def _values(self) -> dict[str, str]:
        """Field -> what was answered, where something was."""
        names = ("name", "channel", *(name for name, _ in (*_CONTACT, *_CAPS)))
        return {name: str(self.answers[name]) for name in names if self.answers.get(name)}

    async def _make(self, session: Session) -> dict[str, Any]:
        """The source, its numbers, and no draft any more: all or nothing."""
        values = parse_fields(SOURCES.fields, self._values(), strict=False)
        made = await rows.create(session, SOURCES, values)
        for number in self.answers["numbers"]:
            await sources.add_number(session, made["id"], number)
        await drafts.forget(session, WIZARD)
        return made

    def _do(self, work: Callable[[Session], Awaitable[Any]]) -> Any:
        async def all_of_it(database: Database) -> Any:
            async with database.write() as session:
                return await work(session)

        return run(self.ctx, all_of_it)


def _among(free: list[str]) -> Callable[[str], list[str]]:
    def check(text: str) -> list[str]:
        wanted = list(dict.fromkeys(e164(part) for part in text.split(",") if part.strip()))
        for number in wanted:
            if number not in free:
                raise ValueError(f"{number} is not one of your free numbers")
        return wanted

    return check


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
