"""`dcx flows run|test`: go through a flow as text, without a phone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dcx_ari.clock import now_ms
from dcx_ari.services import flow_versions
from dcx_ari.services.errors import Invalid
from dcx_ari.services.flow_pictures import Document, document_of
from dcx_ari.services.publishing import read_text
from dcx_ari.services.test_call import caller_of, moment_of, tags_of
from dcx_ari.settings import Settings
from dcx_ari.store.db import Database
from dcx_ari.store.ledger import open_ledger
from dcx_cli import show
from dcx_cli.flow_files import is_file, text_of
from dcx_cli.options import Json
from dcx_cli.work import run, settings_of

_WIDTH = 9
_SAYS = "say:"


def add_commands(app: typer.Typer) -> None:
    app.command("run", help="Go through a flow as text, in no time: what is said, dialled, and why.")(_run)
    app.command("test", help="Try the cases of a file; exit status 1 where one comes out otherwise.")(_test)


@dataclass(frozen=True, slots=True)
class Tried:
    """A document to try, and the flow that it belongs to."""

    document: Document
    flow_id: int | None


def _run(
    ctx: typer.Context,
    flow: Annotated[
        str, typer.Argument(metavar="FLOW|FILE", help="A flow, or a file that ends in .yaml, .yml, .json.")
    ],
    digits: Annotated[
        str, typer.Option(help="Keys by prompt: 1,,2 presses nothing at the second; say: sales says it.")
    ] = "",
    caller: Annotated[str, typer.Option("--from", metavar="NUMBER", help="The caller, or anonymous.")] = "+12125550123",
    to: Annotated[str, typer.Option(metavar="NUMBER", help="Our number; else one that leads to the flow.")] = "",
    at: Annotated[str, typer.Option(metavar="TIME", help="RFC 3339, or '2026-12-25 10:00 America/New_York'.")] = "",
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A tag from the beginning; repeatable.")
    ] = None,
    buyer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=HOW", help="answers, busy, no_answer, rejects, unreachable, congestion; repeatable."
        ),
    ] = None,
    webhook: Annotated[
        list[str] | None, typer.Option(metavar="NODE=JSON", help="What a webhook answers; else it fails. Repeatable.")
    ] = None,
    hang_up_after: Annotated[float | None, typer.Option(metavar="SECONDS", help="The caller hangs up.")] = None,
    draft: Annotated[bool, typer.Option("--draft", help="The draft; else the newest version.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Of a file: without buyers, schedules and caps.")] = False,
    json: Json = False,
) -> None:
    from dcx_ari.trial.plan import BadPlan, Plan
    from dcx_ari.trial.walked import try_flow

    settings = settings_of(ctx)
    given: dict[str, Any] = {
        "caller": caller_of(caller),
        "at": moment_of(at, settings.timezone) if at else now_ms(),
        "digits": _keys(digits),
        "tags": tags_of(tag or []),
        "buyers": _pairs("buyer", buyer),
        "answers": {name: _json(text) for name, text in _pairs("webhook", webhook).items()},
        "hang_up_after_s": hang_up_after,
    }
    if offline and not is_file(flow):
        raise Invalid("offline", "goes with a file")
    where = _Nowhere(settings) if offline else _Where(ctx, settings)
    tried = _tried(ctx, flow, "draft" if draft else None)
    setting, usage = where.find(tried, to, given)
    if setting.made_up and not json:
        show.note(f"No number of yours leads to the flow: {setting.number} is made up.")
    flow_id = tried.flow_id or 0
    try:
        plan = Plan(tried.document, setting.number, setting.snapshot, usage=usage, flow_id=flow_id, **given)
        outcome = try_flow(plan)
    except BadPlan as error:
        raise Invalid("buyer", str(error)) from None
    if json:
        show.as_json(outcome.as_json())
        return
    for step in outcome.steps:
        typer.echo(f"{step.at_s:8.2f} s  {step.kind:{_WIDTH}}{_plain(step.text)}")
    typer.echo(f"path: {outcome.path}")


def _test(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="YAML files of cases.")],
    json: Json = False,
) -> None:
    from dcx_ari.trial.cases import read_cases
    from dcx_ari.trial.plan import BadPlan

    settings, results = settings_of(ctx), []
    for file in files:
        try:
            cases = read_cases(text_of(file))
        except BadPlan as error:
            raise Invalid(str(file), str(error)) from None
        where = _Nowhere(settings) if cases.offline else _Where(ctx, settings, usage=False)
        beside = str(file.parent / cases.flow) if is_file(cases.flow) else cases.flow
        tried = _tried(ctx, beside, None)
        results += [(file, case, *_tried_case(case, tried, where, settings)) for case in cases.cases]
    failed = sum(bool(differences) for *_, differences in results)
    if json:
        show.as_json(
            [
                {"file": str(file), "name": case.name, "ok": not told, "differences": list(told), **outcome.as_json()}
                for file, case, outcome, told in results
            ]
        )
    else:
        for file, case, _, told in results:
            typer.echo(f"{'FAILED' if told else 'ok    '} {file}: {_plain(case.name)}")
            for line in told:
                typer.echo(f"         {_plain(line)}")
        show.note(f"{len(results)} cases, {failed or 'none'} failed")
    if failed:
        raise typer.Exit(1)


def _tried_case(case: Any, tried: Tried, where: Any, settings: Settings) -> tuple[Any, tuple[str, ...]]:
    from dcx_ari.trial.cases import compare
    from dcx_ari.trial.plan import BadPlan, Plan
    from dcx_ari.trial.walked import try_flow

    given = case.given
    plan: dict[str, Any] = {
        "caller": caller_of(given.caller),
        "at": moment_of(given.at, settings.timezone) if given.at else now_ms(),
        "digits": given.digits,
        "tags": given.tags,
        "buyers": given.buyers,
        "answers": given.webhooks,
        "talk_s": given.talk_s,
        "hang_up_after_s": given.hang_up_after_s,
    }
    setting, usage = where.find(tried, given.number, plan)
    try:
        outcome = try_flow(
            Plan(tried.document, setting.number, setting.snapshot, usage=usage, flow_id=tried.flow_id or 0, **plan)
        )
    except BadPlan as error:
        raise Invalid(case.name, str(error)) from None
    return outcome, compare(case.expect, outcome)


class _Where:
    """The database's configuration. `usage` False: as if nothing of any cap was used, and nobody had called before."""

    def __init__(self, ctx: typer.Context, settings: Settings, *, usage: bool = True) -> None:
        self._ctx, self._settings, self._usage = ctx, settings, usage

    def find(self, tried: Tried, number: str, given: Mapping[str, Any]) -> tuple[Any, Any]:
        from dcx_ari.trial.setting import CallFacts, Usage, load_setting, with_usage

        async def work(database: Database) -> tuple[Any, Any]:
            setting = await load_setting(database, self._settings.timezone, tried.flow_id, number)
            if not self._usage:
                return setting, Usage()
            facts = CallFacts("trial", setting.number, given["caller"] or None, given["at"], tags=given["tags"])
            ledger = open_ledger(self._settings.database_url, worker="cli")
            try:
                return setting, await with_usage(database, ledger, setting.snapshot, tried.document, facts)
            finally:
                await ledger.close()

        return run(self._ctx, work)


class _Nowhere:
    def __init__(self, settings: Settings) -> None:
        self._zone = settings.timezone

    def find(self, _tried: Tried, number: str, _given: Mapping[str, Any]) -> tuple[Any, Any]:
        from dcx_ari.trial.setting import Usage, nowhere

        return nowhere(self._zone, number), Usage()


def _tried(ctx: typer.Context, flow: str, side: str | None) -> Tried:
    if is_file(flow):
        return Tried(document_of(read_text(text_of(Path(flow)))), None)

    async def work(database: Database) -> Tried:
        async with database.read() as session:
            found = await flow_versions.drawable(session, flow, side)
            return Tried(document_of(found["document"]), found["flow_id"])

    return run(ctx, work)


def _keys(text: str) -> tuple[str, ...]:
    found = tuple(_entry(part.strip()) for part in text.split(",")) if text.strip() else ()
    for each in found:
        if each.startswith(_SAYS):
            continue
        if set(each) - set("0123456789*#ABCD") or len(each) > 32:
            raise Invalid("digits", f"{each!r} is no key: 0-9 * # A-D, with commas between prompts; or say: and words")
    return found


def _entry(text: str) -> str:
    return text.lower() if text.lower().startswith(_SAYS) else text.upper()


def _pairs(name: str, given: list[str] | None) -> dict[str, str]:
    found = {}
    for pair in given or []:
        key, equals, value = pair.partition("=")
        if not key.strip() or not equals:
            raise Invalid(name, f"{pair!r} must be NAME=VALUE")
        found[key.strip()] = value.strip()
    return found


def _json(text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except ValueError as error:
        raise Invalid("webhook", f"must be JSON: {error}") from None


def _plain(text: str) -> str:
    """On one line, without what could steer a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
