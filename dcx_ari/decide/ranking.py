"""The order of the candidates that passed: strategy, then weight draw or turns, then id (rule D0.2.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dcx_ari.decide.compiled import Candidate
from dcx_ari.decide.decision import Member, Ranked, Rejected, TurnTaken
from dcx_ari.decide.facts import Earnings, TurnKey
from dcx_ari.decide.weights import draw, rank_of, smooth_order

EPC_PSEUDO_CALLS = 20
_NOTHING = Earnings(0, 0)


class Passed(NamedTuple):
    """A candidate that passed; `buyers` are those that may be dialled for it, `members` those of a group."""

    candidate: Candidate
    sticky: bool
    unpaid: bool
    buyers: tuple[int, ...]
    expected_cents: int
    members: tuple[Member, ...]
    turns: tuple[TurnTaken, ...]


class Order(NamedTuple):
    ranked: tuple[Ranked, ...]
    rejected: tuple[Rejected, ...]
    turns: tuple[TurnTaken, ...]
    earnings: tuple[tuple[str, int, int, int, int], ...]


def rank(
    passed: list[Passed],
    *,
    strategy: str,
    smooth: bool,
    start: int,
    campaign_id: int,
    earnings: Mapping[int, Earnings],
    turns: Mapping[TurnKey, int],
) -> Order:
    """Candidates in the order of trying; those of weight 0 that are not alone among equals are out."""
    scores, used = _scores(passed, strategy, earnings)
    equals: dict[tuple[bool, int], list[int]] = {}
    for i, p in enumerate(passed):
        equals.setdefault((not p.sticky, scores[i] if strategy == "tier" else -scores[i]), []).append(i)
    ranked: list[Ranked] = []
    rejected: list[Rejected] = []
    taken: tuple[TurnTaken, ...] = ()
    for key in sorted(equals):
        class_, out = _without_zero([passed[i] for i in equals[key]])
        rejected.extend(out)
        drawn = [draw(start, p.candidate.salt) for p in class_]
        if smooth and len(class_) > 1:
            ordered, mine = _by_turn(class_, turns, campaign_id)
        else:
            ordered, mine = _by_draw(class_, drawn), ()
        if not ranked:
            taken = mine
        score = scores[equals[key][0]]
        ranked.extend(_ranked(class_[i], score, drawn[i]) for i in ordered)
    if ranked and ranked[0].group_id is not None:
        first = ranked[0]
        taken += next(p.turns for p in passed if p.candidate.id == first.id and p.candidate.kind == first.kind)
    return Order(tuple(ranked), tuple(rejected), taken, used)


def _ranked(p: Passed, score: int, drawn: float) -> Ranked:
    c, sticky, unpaid = p.candidate, p.sticky, p.unpaid
    if c.group is None:
        return tuple.__new__(Ranked, (c.kind, c.id, c.tier, c.weight, score, drawn, sticky, unpaid, None, False, ()))
    together, group_id = c.group.row.routing_strategy == "simultaneous", c.group.row.id
    return Ranked(c.kind, c.id, c.tier, c.weight, score, drawn, sticky, unpaid, group_id, together, p.members)


def _without_zero(class_: list[Passed]) -> tuple[list[Passed], list[Rejected]]:
    keep = [p for p in class_ if p.candidate.weight > 0]
    if len(class_) == 1 or len(keep) == len(class_):
        return class_, []
    out = [
        Rejected(p.candidate.kind, p.candidate.id, None, "weight_zero", {"weight": 0})
        for p in class_
        if p.candidate.weight <= 0
    ]
    return keep, out


def _by_draw(class_: list[Passed], drawn: list[float]) -> list[int]:
    if len(class_) == 1:
        return [0]
    keys = [
        (rank_of(d, p.candidate.weight), p.candidate.kind, p.candidate.id, i)
        for i, (p, d) in enumerate(zip(class_, drawn, strict=True))
    ]
    keys.sort()
    return [key[3] for key in keys]


def _by_turn(
    class_: list[Passed], turns: Mapping[TurnKey, int], campaign_id: int
) -> tuple[list[int], tuple[TurnTaken, ...]]:
    indexes = sorted(range(len(class_)), key=lambda i: (class_[i].candidate.kind, class_[i].candidate.id))
    candidates = [class_[i].candidate for i in indexes]
    keys: list[TurnKey] = [
        ("campaign", campaign_id, "group" if c.kind == "group" else "buyer", c.id) for c in candidates
    ]
    order, taken = in_turn(keys, [c.weight for c in candidates], turns)
    return [indexes[i] for i in order], taken


def in_turn(
    keys: list[TurnKey], weights: list[int], turns: Mapping[TurnKey, int]
) -> tuple[tuple[int, ...], tuple[TurnTaken, ...]]:
    """The smooth order of `keys`, and what to add to their counts if the first one gets the call."""
    result = smooth_order(weights, [turns.get(key, 0) for key in keys])
    adds = list(result.forgiven)
    adds[result.order[0]] += 1
    taken = tuple(TurnTaken(*key, add) for key, add in zip(keys, adds, strict=True) if add)
    return result.order, taken


def _scores(
    passed: list[Passed], strategy: str, earnings: Mapping[int, Earnings]
) -> tuple[list[int], tuple[tuple[str, int, int, int, int], ...]]:
    if strategy == "tier":
        return [p.candidate.tier for p in passed], ()
    if strategy == "bid":
        return [p.expected_cents for p in passed], ()
    return _per_call(passed, earnings)


def _per_call(
    passed: list[Passed], earnings: Mapping[int, Earnings]
) -> tuple[list[int], tuple[tuple[str, int, int, int, int], ...]]:
    """Millicents per attempt, drawn towards what all eligible candidates earn by 20 pseudo-calls.

    Where none has been tried yet, the default is their mean price.
    """
    sums = [_sum(p.buyers, earnings) for p in passed]
    attempts = sum(s.attempts for s in sums)
    if attempts:
        default = sum(s.revenue_cents for s in sums) // attempts
    else:
        default = sum(p.expected_cents for p in passed) // max(1, len(passed))
    k = EPC_PSEUDO_CALLS
    scores = [(s.revenue_cents + k * default) * 1000 // (s.attempts + k) for s in sums]
    used = tuple(
        (p.candidate.kind, p.candidate.id, s.attempts, s.revenue_cents, default)
        for p, s in zip(passed, sums, strict=True)
    )
    return scores, used


def _sum(buyers: Iterable[int], earnings: Mapping[int, Earnings]) -> Earnings:
    found = [earnings.get(b, _NOTHING) for b in buyers]
    return Earnings(sum(e.attempts for e in found), sum(e.revenue_cents for e in found))
