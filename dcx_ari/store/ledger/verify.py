"""Recompute every counter from its holds and entries, and check that no limit was passed. Reads only.

Four rules: `used` is the sum of the entries; `held` the sum of the open holds; what a hold committed is the
sum of its own entries (counts are of no hold); and no hold was ever taken above its limit (its `level`), nor
closer to the last attempt than its spacing. On top, what a counter shows is at most the highest limit it was ever
held under, plus what was counted while it had none, adjusted upwards by hand or flagged over_cap: that check does
not believe the levels that `reserve` wrote down.
"""

from collections.abc import Iterator

from dcx_ari.decide.caps import CounterKey
from dcx_ari.store.ledger.tx import Connection
from dcx_ari.store.ledger.types import Difference

_KEY = "scope, scope_id, metric, period, period_key"

_SUMS = f"""
SELECT {_KEY}, SUM(used) AS used, SUM(held) AS held, SUM(entered) AS entered, SUM(promised) AS promised FROM (
  SELECT {_KEY}, used, held, 0 AS entered, 0 AS promised FROM cap_counters
  UNION ALL SELECT {_KEY}, 0, 0, SUM(amount), 0 FROM cap_entries GROUP BY {_KEY}
  UNION ALL SELECT {_KEY}, 0, 0, 0, SUM(amount) FROM cap_holds WHERE state = 'held' GROUP BY {_KEY}
) AS parts GROUP BY {_KEY} HAVING SUM(used) <> SUM(entered) OR SUM(held) <> SUM(promised) ORDER BY {_KEY}
"""  # noqa: S608 — constants only

_HOLDS = f"""
SELECT {_KEY}, call_id, attempt, SUM(committed) AS committed, SUM(entered) AS entered FROM (
  SELECT {_KEY}, call_id, attempt, committed, 0 AS entered FROM cap_holds
  UNION ALL SELECT {_KEY}, call_id, attempt, 0, amount FROM cap_entries WHERE call_id IS NOT NULL AND kind <> 'count'
) AS parts GROUP BY {_KEY}, call_id, attempt HAVING SUM(committed) <> SUM(entered)
ORDER BY call_id, attempt, {_KEY}
"""  # noqa: S608

_LEVELS = f"""
SELECT {_KEY}, call_id, attempt, limit_value, level FROM cap_holds WHERE level > limit_value
ORDER BY call_id, attempt, {_KEY}
"""  # noqa: S608

_TOPS = f"""
SELECT c.scope, c.scope_id, c.metric, c.period, c.period_key, h.top + COALESCE(e.allowed, 0), c.used + c.held
FROM cap_counters AS c
JOIN (SELECT {_KEY}, MAX(limit_value) AS top FROM cap_holds
      WHERE period <> 'spacing' AND (amount > 0 OR limit_value IS NOT NULL)
      GROUP BY {_KEY} HAVING COUNT(*) = COUNT(limit_value)) AS h
  ON h.scope = c.scope AND h.scope_id = c.scope_id AND h.metric = c.metric AND h.period = c.period
  AND h.period_key = c.period_key
LEFT JOIN (SELECT {_KEY}, SUM(amount) AS allowed FROM cap_entries
           WHERE amount > 0 AND (over_cap OR kind IN ('adjust', 'count')) GROUP BY {_KEY}) AS e
  ON e.scope = c.scope AND e.scope_id = c.scope_id AND e.metric = c.metric AND e.period = c.period
  AND e.period_key = c.period_key
WHERE c.used + c.held > h.top + COALESCE(e.allowed, 0)
ORDER BY c.scope, c.scope_id, c.metric, c.period, c.period_key
"""  # noqa: S608

_SPACING = f"""
SELECT {_KEY}, call_id, attempt, limit_value, created_at - previous FROM (
  SELECT {_KEY}, call_id, attempt, limit_value, created_at,
    LAG(created_at) OVER (PARTITION BY {_KEY} ORDER BY created_at) AS previous
  FROM cap_holds WHERE period = 'spacing'
) AS spaced WHERE created_at - previous < limit_value * 1000 ORDER BY call_id, attempt
"""  # noqa: S608


def differences(connection: Connection) -> Iterator[Difference]:
    """Everything that does not add up; nothing when the ledger is right. Needs one consistent view of the
    tables.
    """
    for row in connection.rows(_SUMS, ()):
        key, (used, held, entered, promised) = CounterKey(*row[:5]), row[5:]
        if used != entered:
            yield Difference("used", key, int(entered), int(used))
        if held != promised:
            yield Difference("held", key, int(promised), int(held))
    for row in connection.rows(_HOLDS, ()):
        yield Difference("hold", CounterKey(*row[:5]), int(row[8]), int(row[7]), row[5], row[6])
    for row in connection.rows(_LEVELS, ()):
        yield Difference("limit", CounterKey(*row[:5]), row[7], row[8], row[5], row[6])
    for row in connection.rows(_TOPS, ()):
        yield Difference("limit", CounterKey(*row[:5]), int(row[5]), int(row[6]))
    for row in connection.rows(_SPACING, ()):
        yield Difference("spacing", CounterKey(*row[:5]), row[7] * 1000, row[8], row[5], row[6])
