"""What is known of earlier calls, for decisions: a caller's own, and what each buyer's calls earned."""

from __future__ import annotations

from sqlalchemy import text

from dcx_ari.decide.facts import Earnings, PreviousCall
from dcx_ari.store.db import Database

_LIMIT = 200  # the latest: a caller who calls more often than that is known well enough

_CALLER = text(
    "SELECT c.id, c.campaign_id, l.buyer_id, c.started_at, l.bridged_at IS NOT NULL, "
    "c.converted AND c.buyer_id = l.buyer_id FROM calls c JOIN legs l ON l.call_id = c.id "
    "WHERE c.caller = :caller AND c.id <> :call_id AND NOT c.test ORDER BY c.started_at DESC LIMIT :most"
)
_EARNINGS = text(
    "SELECT l.buyer_id, COUNT(*), COALESCE(SUM(CASE WHEN c.buyer_id = l.buyer_id THEN c.revenue_cents ELSE 0 END), 0) "
    "FROM legs l JOIN calls c ON c.id = l.call_id WHERE c.started_at >= :since AND NOT c.test "
    "AND l.buyer_id IS NOT NULL GROUP BY l.buyer_id"
)


async def previous_calls(database: Database, caller: str, call_id: str) -> tuple[PreviousCall, ...]:
    """Earlier calls of this caller (E.164), latest first, one entry per buyer dialled; no test calls."""
    async with database.read_connection() as connection:
        rows = await connection.execute(_CALLER, {"caller": caller, "call_id": call_id, "most": _LIMIT})
        return tuple(
            PreviousCall(
                row[0], row[1], row[2], row[3], "converted" if row[5] else "connected" if row[4] else "attempted"
            )
            for row in rows
        )


async def earnings(database: Database, since_ms: int) -> dict[int, Earnings]:
    """Attempts and revenue per buyer since a moment (epoch ms)."""
    async with database.read_connection() as connection:
        rows = await connection.execute(_EARNINGS, {"since": since_ms})
        return {row[0]: Earnings(row[1], row[2]) for row in rows}
