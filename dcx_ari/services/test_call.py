"""Trying a number: the Decision it would get, without a call; and what a real test call is asked with."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide.decision import Decision
from dcx_ari.decide.facts import CallFacts, Usage
from dcx_ari.decide.periods import to_ms, zone_of
from dcx_ari.decide.phone import normalise
from dcx_ari.decide.record import Inputs
from dcx_ari.decide.routing import route
from dcx_ari.decide.snapshot import Snapshot
from dcx_ari.decide.wanted import Wanted, wanted
from dcx_ari.services.errors import Invalid, NotFound
from dcx_ari.services.explain import of_decision
from dcx_ari.services.find import find, find_id
from dcx_ari.services.parse import suggest
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database
from dcx_ari.store.fields import e164
from dcx_ari.store.history import earnings, previous_calls
from dcx_ari.store.ledger import Ledger
from dcx_ari.store.snapshot import load

SECONDS = (1, 600)
_EARNINGS_MS = 30 * 86_400_000
_DIGITS = re.compile(r"[0-9A-D*#wW]{0,32}")
_TIME = "must be like 2026-12-25T10:00:00-05:00, or 2026-12-25 10:00 America/New_York"
_WITHHELD = ("", "anonymous", "withheld")
_FIELDS = ("from", "at", "tags", "campaign", "dry_run", "digits", "seconds")


class NotPlaced(Exception):
    """Asterisk would not, or the call did not come back to the engine; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A real test call: its caller ("" withheld) dials `number`, presses `digits` (w waits half a second, W a
    whole one) a second after the answer, and hangs up `seconds` after it.
    """

    number: str
    caller: str
    digits: str = ""
    seconds: int = 60


@dataclass(frozen=True, slots=True)
class Question:
    """A Decision to make without a call: at `at`, epoch ms (None: now), with what a flow would have gathered.

    `campaign` (id or name) stands for a route of the number's flow that names one.
    """

    number: str
    caller: str
    at: int | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    campaign: str | int | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The Decision, and it in words (see `explain.of_decision`)."""

    decision: Decision
    told: dict[str, Any]


async def decide(
    database: Database, ledger: Ledger, company_zone: str, now: int, asked: Question, *, seed: int | None = None
) -> Answered:
    """Decide as for a call now, or at another time: the present configuration and usage, the caller's history.

    Turns (`smooth_wrr`, `round_robin`) are in the memory of a running engine and begin at zero here. Raises NotFound
    for an unknown number or campaign, StoreError.
    """
    at = now if asked.at is None else asked.at
    async with database.read() as session:
        number = await _number(session, asked.number)
        campaign_id = await _campaign(session, asked.campaign)
    snapshot = (await load(database, company_zone)).snapshot
    facts = CallFacts(
        call_id="test",
        number=number,
        caller=asked.caller if asked.caller.startswith("+") else None,
        started_at=at,
        campaign_id=campaign_id,
        tags={**_known(snapshot, number, asked.caller), **asked.tags},
        zip_code=asked.tags.get("zip"),
        is_test=True,
    )
    usage = await usage_for(database, ledger, wanted(snapshot, facts), facts)
    decision = route(facts, snapshot, usage, at, secrets.randbits(32) if seed is None else seed)
    return Answered(decision, of_decision(decision, snapshot))


def stored(decision: Decision) -> str:
    """The machine form, as a call would keep it, with all of its inputs."""
    return decision.to_json()


def caller_of(text: str) -> str:
    """E.164, or "" for a withheld number. Raises Invalid."""
    if text.strip().lower() in _WITHHELD:
        return ""
    number = normalise(text)
    if not number.startswith("+"):
        raise Invalid("from", "must be a phone number such as +12125550123, or anonymous")
    return number


def moment_of(text: str, company_zone: str) -> int:
    """Epoch ms of RFC 3339 or of `DATE TIME ZONE`; without a zone it is the company's. Raises Invalid."""
    parts = text.split()
    zone = company_zone
    if len(parts) == 3:
        zone = parts.pop()
    try:
        moment = datetime.fromisoformat(" ".join(parts))
    except ValueError:
        raise Invalid("at", _TIME) from None
    try:
        found = zone_of(zone)
    except ValueError:
        raise Invalid("at", f"{zone!r} is no IANA time zone: {_TIME}") from None
    if moment.tzinfo is not None and len(text.split()) == 3:
        raise Invalid("at", f"has an offset and a zone: {_TIME}")
    at = to_ms(moment if moment.tzinfo is not None else moment.replace(tzinfo=found))
    if not 0 <= at < 10**13:
        raise Invalid("at", "must be within the years 1970 to 2286")
    return at


def tags_of(pairs: list[str]) -> dict[str, str]:
    """`KEY=VALUE`, each. Raises Invalid."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name.strip() or not equals:
            raise Invalid("tag", f"{pair!r} must be KEY=VALUE")
        found[name.strip()] = value
    return found


def trial_of(number: str, caller: str, digits: str = "", seconds: int = 60) -> Trial:
    """Raises Invalid."""
    if _DIGITS.fullmatch(digits) is None:
        raise Invalid("digits", "must be at most 32 of 0-9 * # A-D, and w or W to wait")
    if not SECONDS[0] <= seconds <= SECONDS[1]:
        raise Invalid("seconds", f"must be {SECONDS[0]} to {SECONDS[1]}")
    return Trial(number, caller_of(caller), digits, seconds)


def read_body(number: str, body: Mapping[str, Any], company_zone: str) -> Question | Trial:
    """What the API was asked. Raises Invalid."""
    for name in body:
        if name not in _FIELDS:
            raise Invalid(name, f"is not known here{suggest(name, _FIELDS)}")
    dry = body.get("dry_run", False)
    if not isinstance(dry, bool):
        raise Invalid("dry_run", "must be true or false")
    caller = _text(body, "from")
    only = ("digits", "seconds") if dry else ("at", "tags", "campaign")
    for name in only:
        if name in body:
            raise Invalid(name, f"goes with dry_run {'false' if dry else 'true'} only")
    if not dry:
        seconds = body.get("seconds", 60)
        if not isinstance(seconds, int) or isinstance(seconds, bool):
            raise Invalid("seconds", "must be a whole number")
        return trial_of(number, caller, _text(body, "digits"), seconds)
    tags = body.get("tags", {})
    if not isinstance(tags, dict):
        raise Invalid("tags", "must be a JSON object")
    at = _text(body, "at")
    campaign = body.get("campaign")
    if campaign is not None and (isinstance(campaign, bool) or not isinstance(campaign, (int, str))):
        raise Invalid("campaign", "must be the id or the name of a campaign")
    return Question(number, caller_of(caller), moment_of(at, company_zone) if at else None, tags, campaign)


async def number_of(database: Database, key: str) -> str:
    """The E.164 of one of our numbers, by id or number. Raises NotFound."""
    async with database.read() as session:
        return await _number(session, key)


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise Invalid(name, "must be text")
    return value


async def _number(session: AsyncSession, key: str) -> str:
    row = await find(session, RESOURCES["numbers"], _spelled(key))
    return str(row.model_dump()["phone_number"])


def _spelled(key: str) -> str:
    """As `e164` reads it where it can."""
    try:
        return e164(key)
    except ValueError:
        return key


async def _campaign(session: AsyncSession, key: str | int | None) -> int | None:
    if key is None:
        return None
    found = await find_id(session, RESOURCES["campaigns"], key)
    if found is None:
        raise NotFound("campaign", f"there is no campaign {key!r}")
    return found


def _known(snapshot: Snapshot, phone_number: str, caller: str) -> dict[str, str]:
    """The tags that every call has (see `flows.inbound`)."""
    number = snapshot.numbers_by_phone[phone_number]
    campaign = snapshot.campaigns.get(number.campaign_id or 0)
    source = snapshot.sources.get(number.traffic_source_id or 0)
    return {
        "caller": caller,
        "number": phone_number,
        "campaign": campaign.name if campaign else "",
        "source": source.name if source else "",
    }


async def usage_for(database: Database, ledger: Ledger, want: Wanted, facts: CallFacts) -> Usage:
    """What a decision about `facts` asks for, as it is now. Raises StoreError."""
    figures = await ledger.figures(want.scopes, want.period_keys)
    history = await previous_calls(database, facts.caller, facts.call_id) if want.history and facts.caller else ()
    return Usage(
        counters={key: figure.used + figure.held for key, figure in figures.items()},
        history=tuple(each for each in history if each.at < facts.started_at),
        earnings=await earnings(database, facts.started_at - _EARNINGS_MS) if want.earnings else {},
    )


def needs_turns(decision: Decision) -> bool:
    """Whether the order depends on whose turn it is, which only a running engine knows."""
    inputs = decision.inputs
    return isinstance(inputs, Inputs) and wanted(inputs.snapshot, inputs.facts).turns
