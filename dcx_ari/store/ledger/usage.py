"""Figures for people: counters of some scopes with used and held apart, and the money of a call."""

from collections.abc import Iterable

from dcx_ari.decide.caps import CounterKey
from dcx_ari.store.ledger.tx import Connection
from dcx_ari.store.ledger.types import Figure, Sums

_PART = 500  # ids asked for at a time
_SUMS = "SELECT kind, SUM(amount_cents) FROM money_entries WHERE call_id = ? GROUP BY kind"


def figures(
    connection: Connection, scopes: Iterable[tuple[str, int]], period_keys: Iterable[str]
) -> dict[CounterKey, Figure]:
    """Counters of these (scope, id) in these periods; one that is not there is zero.

    `period_keys` are those of now in every zone in use (`decide.periods`), with `now`, `all` and `last`.
    """
    ids: dict[str, list[int]] = {}
    for scope, scope_id in scopes:
        ids.setdefault(scope, []).append(scope_id)
    keys = sorted(set(period_keys))
    parts = ((scope, all_[n : n + _PART]) for scope, all_ in ids.items() for n in range(0, len(all_), _PART))
    return {
        CounterKey(*row[:5]): Figure(row[5], row[6])
        for scope, some in parts
        for row in (connection.rows(_usage(len(some), len(keys)), (scope, *some, *keys)) if keys else ())
    }


def _usage(ids: int, keys: int) -> str:
    places, key_places = ", ".join("?" * ids), ", ".join("?" * keys)
    return (
        "SELECT scope, scope_id, metric, period, period_key, used, held FROM cap_counters "  # noqa: S608 — places only
        f"WHERE scope = ? AND scope_id IN ({places}) AND period_key IN ({key_places})"
    )


def sums(connection: Connection, call_id: str) -> Sums:
    """The call's money so far."""
    found = {kind: int(total) for kind, total in connection.rows(_SUMS, (call_id,))}
    return Sums(found.get("revenue", 0), found.get("payout", 0), found.get("cost", 0))
