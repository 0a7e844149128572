"""`POST /api/postbacks/{call_key}`: a buyer reports what a call was worth to him.

Every call has a key `name.secret`: the name stands in the URL, the secret signs the body and is in no log. The form
of body and signature is that of `decide.postback`. The same report again is answered and changes nothing, a newer one
corrects by an entry, a late one is booked all the same and flagged where it is over a cap.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide import rows as d
from dcx_ari.decide.caps import Hold, holds_for
from dcx_ari.decide.conversion import Stages
from dcx_ari.decide.payout import paid_before, payout_due_at
from dcx_ari.decide.postback import Accept, Noop, Postback, Reject, check_signature, parse_postback
from dcx_ari.decide.rowjson import parse
from dcx_ari.services.errors import Refused
from dcx_ari.store.db import Database
from dcx_ari.store.history import previous_calls
from dcx_ari.store.ledger import Ledger
from dcx_ari.store.ledger.report import Report
from dcx_ari.store.models import Buyer, Call, Leg, TrafficSource
from dcx_ari.store.news import FACTS, CallNews, of_calls
from dcx_ari.store.outbox import Statement
from dcx_ari.store.receivers import Receiver, receivers

log = logging.getLogger(__name__)

CURRENCY = "USD"


class PostbackRefused(Refused):
    """Nothing was booked. `status` is the HTTP status to answer with; `rule` names the reason."""

    def __init__(self, reject: Reject) -> None:
        super().__init__(reject.field or "postback", reject.reason)
        self.status = reject.status


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer with 200: the call's revenue in cents after the report."""

    status: Literal["booked", "adjusted", "repeated", "older"]
    call_id: str
    revenue_cents: int
    late: bool = False
    over_cap: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def new_key() -> str:
    """A fresh `calls.postback_key`; the buyer is given both parts."""
    return f"{secrets.token_urlsafe(12)}.{secrets.token_urlsafe(24)}"


async def receive(
    database: Database,
    ledger: Ledger,
    name: str,
    signature: str,
    body: bytes,
    now: int,
    *,
    currency: str = CURRENCY,
    company_zone: str | None = None,
) -> Answer:
    """Check, judge and book one report. `name` is from the URL, `signature` the header, `now` epoch ms. In
    `company_zone` (IANA) conversions are counted that the call held nothing for; None: only what it held.

    Raises PostbackRefused (4xx, logged, nothing booked); StoreError when the database cannot be used.
    """
    async with database.read() as session:
        call = await _call(session, name)
        report = _checked(call, signature, body, now)
        request = await _request(session, database, call, report, currency, now, company_zone)
        request = replace(request, told=_telling(call, report, now, of_calls(await receivers(session))))
    told = await ledger.submit(request)
    if isinstance(told.verdict, Reject):
        raise _refused(told.verdict, call.id)
    if isinstance(told.verdict, Noop):
        status: Literal["repeated", "older"] = "repeated" if told.verdict.why == "repeated" else "older"
        return Answer(status, call.id, told.revenue_cents)
    done: Literal["booked", "adjusted"] = "booked" if isinstance(told.verdict, Accept) else "adjusted"
    database.told.set()
    log.info("postback %s: %d cents", done, told.revenue_cents, extra={"call": call.id})
    return Answer(done, call.id, told.revenue_cents, told.verdict.late, told.over_cap)


def _telling(
    call: Call, report: Postback, now: int, listeners: Sequence[Receiver]
) -> Callable[[int, bool], Sequence[Statement]]:
    """What is told of the report once it is booked, in the same transaction."""
    news = CallNews(lambda: listeners, lambda: now)
    news.adopted(call.id, {name: getattr(call, name) for name in FACTS})

    def told(revenue_cents: int, over_cap: bool) -> Sequence[Statement]:
        data = {"revenue_cents": revenue_cents, "converted_at": call.converted_at or now, "over_cap": over_cap}
        return news.converted(call.id, f"postback:{report.id}", data, now)

    return told


async def _call(session: AsyncSession, name: str) -> Call:
    found = None
    if name and "." not in name and name.isascii() and name.isprintable():
        # Everything from "name." up to, but not with, "name/" ("/" follows "."): one range of the unique index.
        key = col(Call.postback_key)
        found = (await session.exec(select(Call).where(key >= f"{name}.", key < f"{name}/"))).first()
    if found is None:
        raise _refused(Reject(404, "unknown_call"), None)
    return found


def _checked(call: Call, signature: str, body: bytes, now: int) -> Postback:
    secret = (call.postback_key or "").partition(".")[2]
    report = check_signature(secret.encode(), signature, body, now) or parse_postback(body)
    if isinstance(report, Reject):
        raise _refused(report, call.id)
    if call.test:
        raise _refused(Reject(409, "test_call"), call.id)
    if call.buyer_id is None:
        raise _refused(Reject(409, "no_buyer"), call.id)
    return report


async def _request(
    session: AsyncSession,
    database: Database,
    call: Call,
    report: Postback,
    currency: str,
    now: int,
    company_zone: str | None,
) -> Report:
    buyer_id = call.buyer_id or 0
    buyer = await session.get(Buyer, buyer_id)
    rule = None
    counts: tuple[Hold, ...] = ()
    if buyer is not None:
        row = parse(d.Buyer, buyer.model_dump(mode="json"))
        rule = next((each for each in row.conversion_rules if each.kind == "postback"), None)
        if company_zone is not None:
            counts = holds_for(call.started_at, company_zone, buyer=row, unlimited=True)
    return Report(
        call_id=call.id,
        report=report,
        currency=currency,
        started_at=call.started_at,
        buyer_id=buyer_id,
        source_id=call.traffic_source_id,
        low=rule.revenue_min_cents if rule else None,
        high=rule.revenue_max_cents if rule else None,
        share_bp=await _share(session, database, call, now),
        at=now,
        counts=counts,
    )


async def _share(session: AsyncSession, database: Database, call: Call, now: int) -> int | None:
    """The source's share in basis points, where this call earns one: threshold reached, not a duplicate."""
    row = await session.get(TrafficSource, call.traffic_source_id) if call.traffic_source_id else None
    payout = parse(d.Source, row.model_dump(mode="json")).payout if row is not None else None
    if payout is None or payout.model != "share":
        return None
    legs = select(Leg).where(Leg.call_id == call.id, Leg.buyer_id == call.buyer_id, col(Leg.bridged_at).is_not(None))
    leg = (await session.exec(legs.order_by(col(Leg.bridged_at).desc()))).first()
    if leg is None:
        return None
    due = payout_due_at(payout, Stages(leg.dialled_at, leg.answered_at, leg.accepted_at, leg.bridged_at, leg.ended_at))
    history = await previous_calls(database, call.caller, call.id) if payout.duplicate else ()
    before = tuple(each for each in history if each.at < call.started_at)
    repeated = paid_before(payout, before, call.started_at, campaign_id=call.campaign_id, buyer_id=call.buyer_id)
    return None if due is None or due > now or repeated is not None else payout.share_bp


def _refused(reject: Reject, call_id: str | None) -> PostbackRefused:
    log.warning("postback refused: %s %s", reject.reason, reject.field, extra={"call": call_id})
    return PostbackRefused(reject)
