"""Why a call went where it went: the stored Decision with names, words, and what became of every attempt."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast, get_args

from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide.decision import Decision, Ranked, Rejected
from dcx_ari.decide.reasons import FailureReason, word
from dcx_ari.decide.record import Inputs
from dcx_ari.decide.replay import rerun
from dcx_ari.decide.snapshot import Snapshot
from dcx_ari.services.calls import show_call
from dcx_ari.services.errors import Conflict
from dcx_ari.services.explain_words import Book, money, when, words
from dcx_ari.store.models import DecisionTables

_CALL = (
    *("id", "status", "stage", "test", "caller", "dialled", "started_at", "ended_at", "ended_by", "talk_ms"),
    *("buyer_id", "buyer", "failure_reason", "revenue_cents", "payout_cents", "cost_cents"),
)
_BEFORE_DIALLING = ("reserve_lost", "no_trunk")


@dataclass(frozen=True, slots=True)
class Kept:
    """A call with its Decision as it is stored, whole: with the campaign's tables that several calls share."""

    call: Mapping[str, Any]
    stored: Mapping[str, Any] | None

    @property
    def text(self) -> str:
        """The stored Decision as JSON. Raises Conflict for a call that never came to the buyers."""
        if self.stored is None:
            raise Conflict(
                "call", f"{self.call['id']} has no Decision: it never came to the buyers{_ending(self.call)}"
            )
        return json.dumps(self.stored)


async def kept(session: AsyncSession, call_id: str) -> Kept:
    """A call by id or the beginning of one. Raises NotFound, Invalid."""
    call = await show_call(session, call_id)
    stored = call.pop("decision", None)
    if not stored:
        return Kept(call, None)
    inputs = stored.get("inputs") or {}
    digest = inputs.get("campaign_digest")
    if digest is not None and "campaign" not in inputs:
        shared = await session.get(DecisionTables, digest)
        if shared is not None:
            stored = {**stored, "inputs": {**inputs, "campaign": json.loads(shared.text)}}
    return Kept(call, stored)


def explain(found: Kept) -> dict[str, Any]:
    """What happened to a call, as JSON data; `lines` of it are in words.

    Keys: `call`, `decision` (None where the call never came to the buyers), `candidates`, `rejected`, `refusal`,
    `attempts`, `outcome`; see `of_decision`. Raises Conflict where the stored Decision cannot be read.
    """
    call = found.call
    attempts = [*_attempts(call)]
    told: dict[str, Any] = {"call": {name: call[name] for name in _CALL}, "decision": None, "attempts": attempts}
    if found.stored is None:
        return {**told, "outcome": f"The call never came to the buyers{_ending(call)}."}
    decision, snapshot = _read(found)
    told |= of_decision(decision, snapshot)
    book = Book(snapshot, decision.now)
    for attempt in attempts:
        if attempt.get("buyer_id") and not attempt.get("buyer"):
            attempt["buyer"] = book.name("buyer", attempt["buyer_id"])
    for entry in told["candidates"]:
        entry["result"] = _result(entry, attempts)
    return {**told, "outcome": _outcome(call, told)}


def differences(found: Kept) -> list[str]:
    """Decide again from the stored inputs; the names of what came out otherwise. Empty: the same Decision.

    Raises Conflict where there is no Decision or its inputs are not complete.
    """
    text = found.text
    try:
        again = json.loads(json.dumps(rerun(text).as_dict(), default=str))
    except (ValueError, KeyError, TypeError) as error:
        raise Conflict("call", f"{found.call['id']} cannot be decided again: {error}") from None
    before = (found.stored or {})["decision"]
    return sorted(name for name in {*before, *again} if before.get(name) != again.get(name))


def of_decision(decision: Decision, snapshot: Snapshot) -> dict[str, Any]:
    """A Decision with names and words, as JSON data.

    `candidates` stand in the order of trying with their sort keys, `rejected` with the first failed check as
    `text` (and `also`), `refusal` with what refuses the call itself; `order` says what was sorted by.
    """
    book = Book(snapshot, decision.now)
    facts = decision.inputs.facts if isinstance(decision.inputs, Inputs) else None
    refusal = decision.refusal
    about = {
        "decided_at": when(decision.now, book.zone),
        "number": decision.number,
        "caller": facts.caller if facts is not None else None,
        "campaign": book.name("campaign", decision.campaign_id) if decision.campaign_id else None,
        "source": book.name("source", decision.source_id) if decision.source_id else None,
        "state": decision.state,
        "geo_source": decision.geo_source,
        "tags": dict(facts.tags) if facts is not None else {},
        "tried_before": [book.name("buyer", i) for i in sorted(facts.tried)] if facts is not None else [],
        "config_version": decision.config_version,
        "strategy": decision.strategy,
        "weighting": decision.weighting,
        "seed": decision.seed,
        "no_payout": decision.no_payout,
    }
    return {
        "decision": about,
        "order": _order(decision),
        "candidates": [_candidate(place, entry, decision, book) for place, entry in enumerate(decision.ranked, 1)],
        "rejected": [_rejected(entry, book) for entry in decision.rejected],
        "refusal": None
        if refusal is None
        else {"reason": refusal.reason, "values": refusal.values, "text": words(refusal.reason, refusal.values, book)},
        "failure_reason": decision.failure_reason,
        "word": word(decision.failure_reason) if decision.failure_reason else None,
    }


def _read(found: Kept) -> tuple[Decision, Snapshot]:
    """The Decision as stored, and the rows it was made from."""
    text = found.text
    try:
        decision, inputs = Decision.from_json(text), rerun(text).inputs
    except (ValueError, KeyError, TypeError) as error:
        raise Conflict("call", f"{found.call['id']}: its Decision cannot be read: {error}") from None
    if not isinstance(inputs, Inputs):
        raise Conflict("call", f"{found.call['id']}: its Decision was kept without inputs")
    return replace(decision, inputs=inputs), inputs.snapshot


def _order(decision: Decision) -> str:
    if decision.strategy is None:
        return "not sorted: the call itself was refused"
    by = {
        "tier": "tier, lowest first",
        "bid": "expected revenue, highest first",
        "epc": "earnings per call, highest first",
    }[decision.strategy]
    equals = "in turn by weight" if decision.weighting == "smooth_wrr" else f"drawn by weight (seed {decision.seed})"
    return f"{by}; equals {equals}"


def _score(entry: Ranked, decision: Decision) -> str:
    if decision.strategy == "bid":
        return money(entry.score)
    return f"{entry.score / 100_000:.5f}" if decision.strategy == "epc" else str(entry.score)


def _candidate(place: int, entry: Ranked, decision: Decision, book: Book) -> dict[str, Any]:
    marks = [mark for mark, on in (("had this caller before", entry.sticky), ("would not pay", entry.unpaid)) if on]
    buyers = [m.id for m in entry.members] if entry.group_id is not None else [entry.id]
    return {
        "place": place,
        "kind": entry.kind,
        "id": entry.id,
        "name": book.name(entry.kind, entry.id),
        "tier": entry.tier,
        "weight": entry.weight,
        "score": entry.score,
        "score_text": _score(entry, decision),
        "draw": entry.draw,
        "sticky": entry.sticky,
        "unpaid": entry.unpaid,
        "together": entry.together,
        "marks": marks,
        "buyer_ids": buyers,
        "members": [{**member._asdict(), "name": book.name("buyer", member.id)} for member in entry.members],
        "result": None,
    }


def _rejected(entry: Rejected, book: Book) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "id": entry.id,
        "name": book.name(entry.kind, entry.id),
        "group_id": entry.group_id,
        "group": None if entry.group_id is None else book.name("group", entry.group_id),
        "reason": entry.reason,
        "values": entry.values,
        "text": words(entry.reason, entry.values, book),
        "also": [words(each.reason, each.values, book) for each in entry.also],
    }


def _attempts(call: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Legs, and what was given up before it was dialled, in the order in which it happened."""
    found = []
    for leg in call["legs"]:
        names = ("buyer_id", "buyer", "group", "endpoint", "result", "cause", "dialled_at", "position")
        ring = _seconds(leg["dialled_at"], leg["answered_at"] or leg["ended_at"])
        talk = _seconds(leg["bridged_at"], leg["ended_at"])
        at = leg["dialled_at"] or call["started_at"]
        found.append((at, {**{n: leg.get(n) for n in names}, "ring_s": ring, "talk_s": talk}))
    for event in call["events"]:
        if event["kind"] in _BEFORE_DIALLING:
            data = event["data"]
            found.append((event["at"], {**data, "result": event["kind"], "ring_s": None, "talk_s": None}))
    for _, attempt in sorted(found, key=lambda pair: pair[0]):
        yield attempt


def _seconds(begin: str | None, end: str | None) -> float | None:
    if begin is None or end is None:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def _result(entry: Mapping[str, Any], attempts: list[dict[str, Any]]) -> str:
    results = [_told(a) for a in attempts if a.get("buyer_id") in entry["buyer_ids"]]
    return ", ".join(results) or "not dialled"


def _told(attempt: Mapping[str, Any]) -> str:
    result = str(attempt["result"] or "ringing").replace("_", " ")
    return f"{result}, talked {attempt['talk_s']:.1f} s" if attempt["talk_s"] is not None else result


def _outcome(call: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    """Who got the call and why, or why nobody."""
    if call["buyer_id"] is not None:
        return _winner(call, told)
    if call["ended_at"] is None:
        return f"The call goes on: {call['stage']}."
    return f"Nobody got the call{_ending(call)}."


def _winner(call: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    name = call["buyer"] or f"buyer {call['buyer_id']}"
    candidates = told["candidates"]
    entry = next((c for c in candidates if call["buyer_id"] in c["buyer_ids"]), None)
    if entry is None:
        return f"{name} got the call."
    before = [f"{c['name']} ({c['result']})" for c in candidates[: entry["place"] - 1]]
    place = f"candidate {entry['place']} of {len(candidates)}"
    after = f", after {', '.join(before)}" if before else ""
    return f"{name} got the call: {place}, {_why(entry, told)}{after}."


def _why(entry: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    if entry["sticky"]:
        return "preferred because it had this caller before"
    equals = [c for c in told["candidates"] if c["score"] == entry["score"] and not c["sticky"]]
    by = {"bid": "expected revenue", "epc": "earnings per call"}.get(told["decision"]["strategy"], "tier")
    score = f"{by} {entry['score_text']}"
    if len(equals) == 1:
        return f"alone with {score}"
    if told["decision"]["weighting"] == "smooth_wrr":
        return f"{score}, its turn by weight {entry['weight']} among {len(equals)}"
    return f"{score}, drawn by weight {entry['weight']} among {len(equals)} (draw {entry['draw']:.4f})"


def _ending(call: Mapping[str, Any]) -> str:
    reason = call["failure_reason"]
    if reason is None:
        return ""
    if reason in get_args(FailureReason):
        return f": {word(cast('FailureReason', reason))} ({reason})"
    return f" ({reason})"
