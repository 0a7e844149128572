"""Caps as people see them: what is used, held and left, when it resets; adjusted by entries, proved by `verify`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide import rows as d
from dcx_ari.decide.caps import Cap, CounterKey, caps_of, maxed_out
from dcx_ari.decide.periods import Period, period_keys, resets_at, zone_of
from dcx_ari.decide.rowjson import parse
from dcx_ari.services.errors import Invalid
from dcx_ari.services.find import find
from dcx_ari.services.parse import suggest
from dcx_ari.services.render import plain
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.ledger import BadEntry, Figure, Ledger, Spacing
from dcx_ari.store.models.base import ConfigRow

SCOPES: Mapping[str, tuple[str, type[Any]]] = {
    "buyer": ("buyers", d.Buyer),
    "group": ("groups", d.Group),
    "campaign": ("campaigns", d.Campaign),
    "source": ("sources", d.Source),
}
_PART = 200

CapRow = d.Buyer | d.Group | d.Campaign | d.Source


async def show(
    session: AsyncSession,
    ledger: Ledger,
    company_zone: str,
    now: int,
    *,
    scope: str = "buyer",
    keys: Sequence[str | int] = (),
) -> list[dict[str, Any]]:
    """Every cap of these rows (ids or names; all rows when empty) in the period of `now` (epoch ms).

    Per row: `maxed_out`, `maxed_by` and `caps`, each with cap, metric, period, used, held, limit, remaining (null is
    unlimited, revenue in cents) and resets_at. Raises Invalid, NotFound.
    """
    rows = [_decided(scope, row) for row in await _rows(session, scope, keys)]
    shown: list[dict[str, Any]] = []
    for start in range(0, len(rows), _PART):
        part = rows[start : start + _PART]
        zones = {row.timezone or company_zone for row in part}
        periods = {key for zone in zones for key in period_keys(now, zone_of(zone)).values()} | {"last"}
        figures = await ledger.figures([(scope, row.id) for row in part], periods)
        shown += [_shown(scope, row, company_zone, now, figures) for row in part]
    return shown


async def adjust(
    session: AsyncSession,
    ledger: Ledger,
    company_zone: str,
    now: int,
    *,
    scope: str,
    key: str | int,
    cap: str,
    by: int | None = None,
    to: int | None = None,
    reason: str,
    actor: str,
) -> dict[str, Any]:
    """Change what a cap (`daily`, `cap.daily`, `converted_total` …) counts as used in the period of `now`.

    By an amount or to a value; cents for revenue. Always an entry with reason and actor. Raises Invalid, NotFound.
    """
    (row,) = (_decided(scope, found) for found in await _rows(session, scope, [key]))
    wanted = _named(row, cap)
    zone = zone_of(row.timezone or company_zone)
    counter = CounterKey(scope, row.id, wanted.metric, wanted.period, period_keys(now, zone)[wanted.period])
    try:
        done = await ledger.adjust(counter, by, to=to, reason=reason, actor=actor)
    except BadEntry as error:
        raise Invalid("adjust", str(error)) from None
    return {**_name(scope, row), "cap": wanted.name, "period_key": counter.period_key, **done._asdict()}


async def verify(ledger: Ledger) -> list[dict[str, Any]]:
    """Every difference between the counters and what they are the sum of, and every limit passed; empty is right."""
    return [
        {
            **found.key._asdict(),
            "rule": found.rule,
            "expected": found.expected,
            "found": found.found,
            "call_id": found.call_id,
            "attempt": found.attempt,
            "message": str(found),
        }
        for found in await ledger.verify()
    ]


async def _rows(session: AsyncSession, scope: str, keys: Iterable[str | int]) -> list[ConfigRow]:
    if scope not in SCOPES:
        raise Invalid("scope", f"must be one of {', '.join(SCOPES)}{suggest(scope, SCOPES)}")
    resource = RESOURCES[SCOPES[scope][0]]
    if wanted := list(keys):
        return [await find(session, resource, key) for key in wanted]
    return list((await session.exec(select(resource.model).order_by(col(resource.model.id)))).all())


def _decided(scope: str, row: ConfigRow) -> CapRow:
    try:
        parsed: CapRow = parse(SCOPES[scope][1], row.model_dump(mode="json"))
    except ValueError as error:
        raise Invalid(scope, f"row {row.id} cannot be read: {error}") from None
    return parsed


def _named(row: CapRow, name: str) -> Cap:
    caps = {cap.name.removeprefix("cap."): cap for cap in caps_of(row)}
    found = caps.get(name.strip().lower().removeprefix("cap."))
    if found is None:
        raise Invalid("cap", f"must be one of {', '.join(caps)}{suggest(name, caps)}")
    return found


def _shown(
    scope: str, row: CapRow, company_zone: str, now: int, figures: Mapping[CounterKey, Figure]
) -> dict[str, Any]:
    zone_name = row.timezone or company_zone
    zone = zone_of(zone_name)
    caps = caps_of(row)
    maxed = maxed_out(caps, {key: sum(figure) for key, figure in figures.items()}, now, zone)
    keys = period_keys(now, zone)
    reset: dict[Period, Any] = {period: plain("resets_at", resets_at(period, now, zone)) for period in keys}
    shown = {
        **_name(scope, row),
        "status": row.status,
        "timezone": zone_name,
        "maxed_out": bool(maxed),
        "maxed_by": [
            {"cap": m.cap, "used": m.used, "limit": m.limit, "resets_at": plain("resets_at", m.resets_at)}
            for m in maxed
        ],
        "caps": [_cap(cap, keys[cap.period], figures, reset[cap.period]) for cap in caps],
    }
    if isinstance(row, d.Buyer):
        last = figures.get(Spacing(row.id).key, Figure()).used
        shown["min_seconds_between"] = row.min_seconds_between
        shown["last_attempt_at"] = plain("last_attempt_at", last) if last else None
    return shown


def _cap(cap: Cap, key: str, figures: Mapping[CounterKey, Figure], reset: str | None) -> dict[str, Any]:
    used, held = figures.get(CounterKey(cap.scope, cap.scope_id, cap.metric, cap.period, key), Figure())
    return {
        "cap": cap.name,
        "metric": cap.metric,
        "period": cap.period,
        "period_key": key,
        "used": used,
        "held": held,
        "limit": cap.limit,
        "remaining": None if cap.limit is None else max(0, cap.limit - used - held),
        "resets_at": reset,
    }


def _name(scope: str, row: CapRow) -> dict[str, Any]:
    return {"scope": scope, "id": row.id, "name": row.name}
