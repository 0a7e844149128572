"""Figures for people: counters of some scopes with used and held apart, and the money of a call."""

import json
from collections.abc import Iterable

from dcx_ari.decide.caps import CounterKey
from dcx_ari.store.ledger.tx import Connection
from dcx_ari.store.ledger.types import Figure, Sums

_USAGE = (
    "SELECT scope, scope_id, metric, period, period_key, used, held FROM cap_counters "
    "WHERE scope = ? AND scope_id IN (SELECT value FROM json_each(?)) "
    "AND period_key IN (SELECT value FROM json_each(?))"
)
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
    keys = json.dumps(sorted(set(period_keys)))
    return {
        CounterKey(*row[:5]): Figure(row[5], row[6])
        for scope, wanted in ids.items()
        for row in connection.rows(_USAGE, (scope, json.dumps(wanted), keys))
    }


def sums(connection: Connection, call_id: str) -> Sums:
    """The call's money so far."""
    found = {kind: int(total) for kind, total in connection.rows(_SUMS, (call_id,))}
    return Sums(found.get("revenue", 0), found.get("payout", 0), found.get("cost", 0))
