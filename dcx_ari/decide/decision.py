"""The outcome of routing: who is tried in which order, and why everybody else is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from dcx_ari.decide.geography import GeoSource
from dcx_ari.decide.reasons import FailureReason, of_call

if TYPE_CHECKING:
    from dcx_ari.decide.record import Inputs


class Failed(NamedTuple):
    """A further check that fails, listed with `explain_all`."""

    reason: str
    values: dict[str, Any]


class Rejected(NamedTuple):
    """A candidate (`buyer` or `group`, or a member of `group_id`) that is out, with its first failure."""

    kind: str
    id: int
    group_id: int | None
    reason: str
    values: dict[str, Any]
    also: tuple[Failed, ...] = ()


class Member(NamedTuple):
    """An eligible member of a group, in the order in which it is dialled."""

    id: int
    priority: int
    weight: int
    draw: float
    unpaid: bool


class Ranked(NamedTuple):
    """A candidate that passed, with what it was sorted by.

    `score` is what the strategy compares (tier: the tier; bid: expected cents; epc: millicents per attempt),
    `draw` the number drawn for it, `sticky` that it goes first because it had this caller before, `unpaid`
    that a duplicate rule routes the call without revenue. `together`: all members ring at once.
    """

    kind: str
    id: int
    tier: int
    weight: int
    score: int
    draw: float
    sticky: bool
    unpaid: bool
    group_id: int | None
    together: bool
    members: tuple[Member, ...]


class Step(NamedTuple):
    """One thing to do: dial a buyer, or all of a simultaneous group. `via_buyer_id` is a buyer whose endpoint
    is the group; its caps count as well.
    """

    buyer_ids: tuple[int, ...]
    group_id: int | None
    together: bool
    via_buyer_id: int | None


class TurnTaken(NamedTuple):
    """What to add to the turn counts if the first step is the one that gets the call (see `weights`)."""

    within: str
    within_id: int
    kind: str
    id: int
    add: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Refused, or candidates in order. Equal inputs give equal Decisions.

    `no_payout`: a duplicate rule of source or campaign routes the call unpaid. `earnings`: for strategy epc,
    per candidate kind, id, attempts, revenue and default (cents), as used in
    `score = (revenue + 20 * default) * 1000 / (attempts + 20)`. `inputs`: what it was made from, or its JSON.
    """

    call_id: str
    number: str
    campaign_id: int | None
    source_id: int | None
    state: str | None
    geo_source: GeoSource
    config_version: int
    now: int
    seed: int
    strategy: str | None = None
    weighting: str | None = None
    refusal: Failed | None = None
    ranked: tuple[Ranked, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    turns: tuple[TurnTaken, ...] = ()
    earnings: tuple[tuple[str, int, int, int, int], ...] = ()
    no_payout: bool = False
    max_attempts: int = 0
    max_route_s: int = 0
    inputs: Inputs | str | None = field(default=None, compare=False, repr=False)

    @property
    def steps(self) -> tuple[Step, ...]:
        """What to do, in order."""
        return tuple(self.each_step())

    def each_step(self) -> Iterator[Step]:
        """As `steps`, one by one: most calls need only the first of many.

        A buyer that is there twice (alone and in a group) is dialled once.
        """
        seen: set[int] = set()
        for entry in self.ranked:
            wanted = [m.id for m in entry.members] if entry.group_id is not None else [entry.id]
            fresh = [i for i in wanted if i not in seen]
            seen.update(fresh)
            via = entry.id if entry.kind == "buyer" and entry.group_id is not None else None
            if entry.together and fresh:
                yield Step(tuple(fresh), entry.group_id, True, via)
            elif not entry.together:
                for i in fresh:
                    yield Step((i,), entry.group_id, False, via)

    @property
    def failure_reason(self) -> FailureReason | None:
        if self.ranked:
            return None
        return self.failure()

    def failure(self, attempts: tuple[str, ...] = (), *, caller_hung_up: bool = False) -> FailureReason:
        """The reason of the call: from this (first) decision and the results of the legs dialled since."""
        checks = (
            r.reason
            for r in self.rejected
            if not (r.reason == "no_member" and r.values["members"])  # the members speak for themselves
        )
        refusal = self.refusal.reason if self.refusal is not None else None
        return of_call(caller_hung_up=caller_hung_up, refusal=refusal, checks=checks, attempts=attempts)

    @property
    def unpaid_buyers(self) -> frozenset[int]:
        """Buyers that would get this call without paying for it."""
        alone = {r.id for r in self.ranked if r.unpaid}
        return frozenset(alone | {m.id for r in self.ranked for m in r.members if m.unpaid})

    def to_json(self, *, campaign: bool = True) -> str:
        """`{"decision": ..., "inputs": ...}`: what to keep with the call (`campaign`: see `Inputs.to_json`)."""
        inputs = self.inputs
        if inputs is not None and not isinstance(inputs, str):
            inputs = inputs.to_json(campaign=campaign)
        text = json.dumps(self.as_dict(), separators=(",", ":"), default=str)
        return f'{{"decision":{text},"inputs":{inputs or "null"}}}'

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON data, empty parts left out."""
        return {
            f.name: _plain(value)
            for f in fields(self)
            if f.name != "inputs" and (value := getattr(self, f.name)) not in (None, ())
        }

    @classmethod
    def from_json(cls, text: str) -> Decision:
        """The Decision that `to_json` wrote; its inputs stay text until `replay.rerun` reads them."""
        data = json.loads(text)
        values = data["decision"]
        for name, read in _READ.items():
            if name in values:
                values[name] = read(values[name])
        inputs = json.dumps(data["inputs"], separators=(",", ":")) if data["inputs"] is not None else None
        return cls(**{"campaign_id": None, "source_id": None, "state": None, **values}, inputs=inputs)


def _plain(value: Any) -> Any:
    """A named tuple as an object without its empty parts; other tuples as lists."""
    if isinstance(value, Rejected) and not value.also:
        short = {"kind": value.kind, "id": value.id, "reason": value.reason, "values": value.values}
        return short if value.group_id is None else {**short, "group_id": value.group_id}
    if isinstance(value, Ranked) and not value.members and value.group_id is None:
        kind, row_id, tier, weight, score, draw, sticky, unpaid, _, together, _ = value
        plain = {"kind": kind, "id": row_id, "tier": tier, "weight": weight, "score": score, "draw": draw}
        return {**plain, "sticky": sticky, "unpaid": unpaid, "together": together}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(part) for name, part in value._asdict().items() if part not in (None, ())}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _failed(data: dict[str, Any]) -> Failed:
    return Failed(data["reason"], data["values"])


def _rejected(data: dict[str, Any]) -> Rejected:
    also = tuple(map(_failed, data.get("also", ())))
    return Rejected(data["kind"], data["id"], data.get("group_id"), data["reason"], data["values"], also)


def _ranked(data: dict[str, Any]) -> Ranked:
    members = tuple(Member(**m) for m in data.get("members", ()))
    return Ranked(**{"group_id": None, **data, "members": members})


_READ: dict[str, Callable[[Any], Any]] = {
    "refusal": _failed,
    "ranked": lambda rows: tuple(map(_ranked, rows)),
    "rejected": lambda rows: tuple(map(_rejected, rows)),
    "turns": lambda rows: tuple(TurnTaken(**row) for row in rows),
    "earnings": lambda rows: tuple(tuple(row) for row in rows),
}
