"""Judges a run by what was seen from outside. Pure: evidence in, violations out.

What is excused, and by what, is said here and nowhere else:

- an Asterisk that ends takes its calls with it: they lose their sound and their end, never their row or their money;
- while an Asterisk or the database is away (and `SETTLE_S` after), a call that has not begun to talk may fail;
- while an Asterisk stands still, nobody hears anything;
- a caller who leaves before anybody answered may have no row if nobody was there to write it;
- a talk that ended while the engine was away is billed until the engine's last sign of life, not to its end.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from chaos.records import Blow, CallSeen, Evidence, LegSeen, Row
from chaos.script import call_of, script
from chaos.seeding import PRICE_CENTS, SOLD_S, number_of

SETTLE_S = 10.0
SILENCE_S = 0.5
TAIL_S = 1.0
"""The last window of sound may have been cut, and the news of a hangup takes its way."""
KEPT_S = 25.0
LOST_SHARE = 0.01
_ONCE = ("call.started", "call.completed")
_AWAY = frozenset({"asterisk", "postgres"})
_NOBODY_WRITES = frozenset({"asterisk", "postgres", "worker", "api", "supervisor"})


def violations(evidence: Evidence, talk_s: float) -> list[str]:
    """What broke a promise, a sentence each."""
    return list(_Judge(evidence, talk_s).found())


class Talk:
    """The caller's and the buyer's end of one talk that both heard."""

    def __init__(self, call: CallSeen, leg: LegSeen) -> None:
        self.call, self.leg = call, leg
        heard = [each.heard for each in (call, leg) if each.heard is not None]
        self.began = max((each.first_at for each in heard if each.first_at is not None), default=0.0)
        self.ended = min(each.ended_at for each in (call, leg) if each.ended_at is not None)

    @property
    def seconds(self) -> float:
        return self.ended - self.began


def talks_of(calls: Iterable[CallSeen], legs: Iterable[LegSeen]) -> dict[int, Talk]:
    """By call: those where each side heard the other's tone."""
    hearing: dict[int, list[LegSeen]] = defaultdict(list)
    for leg in legs:
        if leg.heard is not None and leg.heard.first_at is not None:
            hearing[leg.n].append(leg)
    return {
        call.n: Talk(call, hearing[call.n][-1])
        for call in calls
        if call.heard is not None and call.heard.first_at is not None and hearing[call.n]
    }


def _overlaps(blows: Sequence[Blow], families: frozenset[str], begin: float, end: float, more_s: float) -> bool:
    return any(
        blow.family in families and blow.at - 1.0 <= end and begin <= (blow.until or end) + more_s for blow in blows
    )


class _Judge:
    def __init__(self, evidence: Evidence, talk_s: float) -> None:
        self._seen = evidence
        self._talk_s = talk_s
        self._talks = talks_of(evidence.calls, evidence.legs)
        self._rows: dict[int, list[Row]] = defaultdict(list)
        for row in evidence.rows:
            if (n := call_of(row.caller)) is not None:
                self._rows[n].append(row)
        self._legs: dict[int, list[LegSeen]] = defaultdict(list)
        for leg in evidence.legs:
            self._legs[leg.n].append(leg)
        self._blown = partial(_overlaps, evidence.blows)

    def found(self) -> Iterator[str]:
        seen = self._seen
        if len(seen.calls) != seen.placed:
            yield f"{seen.placed} calls were placed, the phones tell of {len(seen.calls)}"
        for call in seen.calls:
            yield from (f"call {call.n}: {what}" for what in self._call(call))
        for leg in seen.legs:
            if leg.end == "open":
                yield f"call {leg.n}: the phone of buyer {leg.buyer} was left in it"
        known = {call.n for call in seen.calls}
        yield from (
            f"row {row.id} is of no call that was placed" for row in seen.rows if call_of(row.caller) not in known
        )
        yield from self._caps()
        yield from self._webhooks()
        yield from seen.ledger
        yield from seen.left_over
        yield from seen.complaints

    def _call(self, call: CallSeen) -> Iterator[str]:
        yield from self._row(call)
        talk = self._talks.get(call.n)
        if call.end == "open":
            yield "the caller was left in it"
        if talk is None:
            yield from self._never_talked(call)
        else:
            yield from self._sound(talk)
            yield from self._end(talk)
            yield from self._sold(talk)

    # -- rows -----------------------------------------------------------------------------------------------

    def _row(self, call: CallSeen) -> Iterator[str]:
        rows = self._rows[call.n]
        if len(rows) > 1:
            yield f"has {len(rows)} rows ({', '.join(row.id for row in rows)})"
        if not rows and not self._may_have_no_row(call):
            yield f"has no row ({_told(call)})"
        for row in rows:
            if not row.ended:
                yield f"its row {row.id} was never closed"
            for state in row.recordings:
                if state not in ("ready", "failed"):
                    yield f"a recording of {row.id} is still {state}"
                if state == "failed" and not self._excused(call, frozenset({"asterisk"})):
                    yield f"a recording of {row.id} failed"

    def _may_have_no_row(self, call: CallSeen) -> bool:
        if call.replied_at is None:
            return True
        gone = call.answered_at is None and call.end in ("cancelled", "dropped", "gave up", "refused")
        families = _NOBODY_WRITES if call.end == "cancelled" else _AWAY
        return gone and self._excused(call, families)

    def _excused(self, call: CallSeen, families: frozenset[str]) -> bool:
        return self._blown(families, call.invited_at, call.ended_at or call.invited_at, SETTLE_S)

    # -- talks ----------------------------------------------------------------------------------------------

    def _never_talked(self, call: CallSeen) -> Iterator[str]:
        if call.end == "cancelled" or self._excused(call, _AWAY):
            return
        if any(leg.answered_at is not None and leg.heard is not None for leg in self._legs[call.n]) and call.heard:
            sides = (call.heard, *(leg.heard for leg in self._legs[call.n] if leg.heard))
            if sum(side.first_at is not None for side in sides) == 1 and call.end != "dropped":
                yield f"only one side was heard ({_told(call)})"
                return
        why = ", ".join(f"{row.status} {row.failure}".strip() for row in self._rows[call.n]) or "no row"
        yield f"was never connected ({_told(call)}; row: {why})"

    def _sound(self, talk: Talk) -> Iterator[str]:
        allowed = SILENCE_S + self._seen.late_ms / 1000
        for who, side in (("caller", talk.call), ("buyer", talk.leg)):
            heard = side.heard
            if heard is None or heard.last_at is None:
                continue
            gaps = [gap for gap in heard.gaps if gap[1] - gap[0] > allowed and gap[0] < talk.ended]
            if talk.ended - heard.last_at > TAIL_S + allowed:
                gaps.append((heard.last_at, talk.ended))
            for begin, end in gaps:
                if not self._blown(frozenset({"asterisk"}), begin, end, 1.0):
                    at = begin - talk.began
                    yield f"the {who} heard nothing for {end - begin:.1f} s, {at:.1f} s into the talk"
            if heard.lost > max(10, LOST_SHARE * heard.packets) and not self._lost_asterisk(talk):
                yield f"the {who} missed {heard.lost} of {heard.packets + heard.lost} packets"

    def _lost_asterisk(self, talk: Talk) -> bool:
        return self._blown(frozenset({"asterisk"}), talk.began, talk.ended, 1.0)

    def _end(self, talk: Talk) -> Iterator[str]:
        """Somebody hung up as planned, and nobody else ended it."""
        ends = {talk.call.end, talk.leg.end}
        if "hung up" not in ends and not self._lost_asterisk(talk):
            yield (
                f"a talk of {talk.seconds:.1f} s was ended by nobody who was in it "
                f"(caller {talk.call.end}, buyer {talk.leg.end})"
            )
        if "dropped" in ends:
            if not any(
                talk.began - 1 <= at <= max(_end_of(talk.call), _end_of(talk.leg)) + 1 for at in self._seen.lost
            ):
                yield "was dropped, though no Asterisk ended"
        elif abs(_end_of(talk.call) - _end_of(talk.leg)) > KEPT_S and not self._lost_asterisk(talk):
            yield f"one phone was kept {abs(_end_of(talk.call) - _end_of(talk.leg)):.0f} s after the other hung up"

    def _sold(self, talk: Talk) -> Iterator[str]:
        for row in self._rows[talk.call.n][:1]:
            if row.revenue_cents not in (0, PRICE_CENTS):
                yield f"earned {row.revenue_cents} cents, the price is {PRICE_CENTS}"
            unseen = self._blown(_NOBODY_WRITES, talk.ended, talk.ended, SETTLE_S)
            sold = talk.seconds >= SOLD_S + TAIL_S and not unseen
            if row.talk_ms < 0:
                yield f"its row {row.id} says it talked {row.talk_ms} ms"
            if sold and row.revenue_cents == 0:
                yield f"talked {talk.seconds:.1f} s, and its row says {row.talk_ms} ms and no money"

    # -- caps and webhooks ----------------------------------------------------------------------------------

    def _caps(self) -> Iterator[str]:
        for buyer, (together, daily) in self._seen.limits.items():
            legs = [leg for leg in self._seen.legs if leg.buyer == buyer and leg.answered_at is not None]
            steps = sorted(
                step for leg in legs for step in ((leg.answered_at or 0.0, 1), (leg.ended_at or leg.invited_at, -1))
            )
            now = most = 0
            for _, step in steps:
                now += step
                most = max(most, now)
            if most > together:
                yield f"buyer {buyer} had {most} calls at a time, the limit is {together}"
            talked = len({leg.n for leg in legs if self._talks.get(leg.n) and self._talks[leg.n].leg is leg})
            if daily and talked > daily:
                yield f"buyer {buyer} had {talked} calls in the day, the cap is {daily}"

    def _webhooks(self) -> Iterator[str]:
        seen = self._seen
        contents: dict[str, set[str]] = defaultdict(set)
        for each in seen.received:
            contents[each.id].add(each.content)
        for name, different in contents.items():
            if len(different) > 1:
                yield f"webhook {name} came with {len(different)} different contents"
        written = {each.id: each for each in seen.outbox}
        for each in seen.outbox:
            if each.id not in contents:
                yield f"webhook {each.id} ({each.event} {each.call}) was lost: {each.state} in the outbox"
            elif contents[each.id] != {each.content}:
                yield f"webhook {each.id} came with another content than the outbox has"
            elif each.state != "delivered":
                yield f"webhook {each.id} came, and is {each.state} in the outbox"
        yield from (f"webhook {name} came, and the outbox does not know it" for name in contents if name not in written)
        counted = Counter((each.call, each.event) for each in {each.id: each for each in seen.received}.values())
        for row in seen.rows:
            for event in _ONCE:
                if counted[row.id, event] != 1:
                    yield f"{event} of {row.id} was told {counted[row.id, event]} times"


def _end_of(seen: CallSeen | LegSeen) -> float:
    return seen.ended_at if seen.ended_at is not None else seen.invited_at


def _told(call: CallSeen) -> str:
    """In words, how a call went for its caller."""
    after = f"{_end_of(call) - call.invited_at:.1f} s"
    answered = "answered, " if call.answered_at is not None else ""
    return f"{answered}{call.end} after {after}, SIP {call.status}"


def summary(evidence: Evidence, talk_s: float) -> dict[str, float]:
    """Figures of a run, for its report."""
    talks = talks_of(evidence.calls, evidence.legs)
    planned = [script(evidence.seed, call.n, talk_s).abandon_s is None for call in evidence.calls]
    struck = [blow for blow in evidence.blows if not blow.note]
    under = [talk for talk in talks.values() if any(talk.began <= blow.at <= talk.ended for blow in struck)]
    whole = [
        side.heard
        for talk in talks.values()
        if not _overlaps(evidence.blows, frozenset({"asterisk"}), talk.began, talk.ended, 1.0)
        for side in (talk.call, talk.leg)
        if side.heard is not None
    ]
    gaps = [end - begin for heard in whole for begin, end in heard.gaps]
    delays = sorted(talk.began - talk.call.invited_at for talk in talks.values())
    rows = Counter(call_of(row.caller) for row in evidence.rows)
    return {
        "calls": len(evidence.calls),
        "meant to talk": sum(planned),
        "talked": len(talks),
        "talking when something was struck": len(under),
        "came while it was down, and talked": sum(
            any(blow.at < talk.call.invited_at < blow.until for blow in struck) for talk in talks.values()
        ),
        "blows": len(evidence.blows),
        "Asterisks lost": len(evidence.lost),
        "ended with an Asterisk": sum(call.end == "dropped" for call in evidence.calls),
        "rows": len(evidence.rows),
        "left before anybody wrote": sum(rows[call.n] == 0 for call in evidence.calls),
        "recorded": sum(number_of(call.n) == number_of(0) and call.n in talks for call in evidence.calls),
        "webhooks": len({each.id for each in evidence.received}),
        "webhooks told twice": len(evidence.received) - len({each.id for each in evidence.received}),
        "gaps of the tone": len(gaps),
        "packets heard": sum(heard.packets for heard in whole),
        "packets lost": sum(heard.lost for heard in whole),
        "longest time between two packets, ms": round(1000 * max((heard.pause_s for heard in whole), default=0.0)),
        "invite to talk, median ms": round(1000 * delays[len(delays) // 2]) if delays else 0,
        "invite to talk, longest ms": round(1000 * delays[-1]) if delays else 0,
        "phones late by, ms": round(evidence.late_ms),
    }
