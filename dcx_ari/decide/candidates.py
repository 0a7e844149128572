"""Every candidate of a campaign put through the checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from dcx_ari.decide.checks import Context, all_failures, cap_failure, first_failure, seen_by
from dcx_ari.decide.compiled import Candidate, CompiledBuyer, CompiledGroup, Failure
from dcx_ari.decide.decision import Failed, Member, Rejected, TurnTaken
from dcx_ari.decide.facts import TurnKey
from dcx_ari.decide.ranking import Passed, in_turn
from dcx_ari.decide.rows import DuplicateRule
from dcx_ari.decide.rows import Member as MemberRow
from dcx_ari.decide.weights import draw, rank_of, salt_of


class Sieve:
    """Sorts candidates into `passed` and `rejected`."""

    __slots__ = (
        "explain_all",
        "passed",
        "preferred",
        "rejected",
        "start",
        "turns",
        "unpaid_all",
        "unpaid_rule",
        "x",
    )

    def __init__(self, x: Context, start: int, turns: Mapping[TurnKey, int], *, explain_all: bool) -> None:
        self.x = x
        self.start = start
        self.turns = turns
        self.explain_all = explain_all
        self.passed: list[Passed] = []
        self.rejected: list[Rejected] = []
        self.preferred: int | None = None
        self.unpaid_all = False
        self.unpaid_rule: DuplicateRule | None = None

    def take_all(self, candidates: Iterable[Candidate]) -> None:
        """Check all candidates. The commonest kind, a buyer without more to ask, goes the short way."""
        x = self.x
        short = x.quiet and not self.explain_all
        passed, rejected = self.passed.append, self.rejected.append
        new = tuple.__new__  # what a named tuple's own constructor calls, at half the price
        for candidate in candidates:
            if not (short and candidate.plain):
                self._take(candidate)
                continue
            buyer = cast("CompiledBuyer", candidate.buyer)
            for check in buyer.own_checks:
                failure = check(buyer, x)
                if failure is not None:
                    rejected(new(Rejected, ("buyer", buyer.id, None, *failure, ())))
                    break
            else:
                passed(new(Passed, (candidate, False, False, (buyer.id,), buyer.expected_cents, (), ())))

    def _take(self, candidate: Candidate) -> None:
        if candidate.attachment.status != "ACTIVE":
            status = {"of": "attachment", "status": candidate.attachment.status}
            self._reject(candidate.kind, candidate.id, None, [Failure("paused", status)])
            return
        buyer, group = candidate.buyer, candidate.group
        if buyer is not None and (failures := self._failures(buyer)):
            self._reject("buyer", buyer.id, None, failures)
        elif group is not None:
            self._take_group(candidate, group)
        elif buyer is not None:
            sticky, unpaid = self._marks(buyer) if self.x.history else (False, False)
            self.passed.append(Passed(candidate, sticky, unpaid, (buyer.id,), buyer.expected_cents, (), ()))

    def _failures(self, buyer: CompiledBuyer) -> list[Failure]:
        if self.explain_all:
            return all_failures(buyer, self.x)
        first = first_failure(buyer, self.x)
        return [] if first is None else [first]

    def _reject(self, kind: str, row_id: int, group_id: int | None, failures: list[Failure]) -> None:
        first, *others = failures
        also = tuple(Failed(*f) for f in others)
        self.rejected.append(Rejected(kind, row_id, group_id, first.reason, first.values, also))

    def _take_group(self, candidate: Candidate, group: CompiledGroup) -> None:
        if failures := self._group_failures(group):
            self._reject(candidate.kind, candidate.id, None, failures)
            return
        fit: list[tuple[MemberRow, CompiledBuyer]] = []
        for member, buyer in group.members:
            if failures := self._failures(buyer):
                self._reject("buyer", buyer.id, group.row.id, failures)
            else:
                fit.append((member, buyer))
        if fit and group.row.routing_strategy == "weighted" and len(fit) > 1:
            fit = self._drop_zero(fit, group)
        if not fit:
            none_fits = Failure("no_member", {"group_id": group.row.id, "members": len(group.members)})
            self._reject(candidate.kind, candidate.id, None, [none_fits])
            return
        self._pass_group(candidate, group, fit)

    def _drop_zero(
        self, fit: list[tuple[MemberRow, CompiledBuyer]], group: CompiledGroup
    ) -> list[tuple[MemberRow, CompiledBuyer]]:
        for member, buyer in fit:
            if member.weight <= 0:
                self._reject("buyer", buyer.id, group.row.id, [Failure("weight_zero", {"weight": 0})])
        return [pair for pair in fit if pair[0].weight > 0]

    def _group_failures(self, group: CompiledGroup) -> list[Failure]:
        failures = []
        if group.row.status != "ACTIVE":
            failures.append(Failure("paused", {"of": "group", "status": group.row.status}))
        if group.fault is not None:
            failures.append(group.fault)
        for line in group.caps if not failures or self.explain_all else ():
            failure = cap_failure(line, group.zone, self.x)
            if failure is not None:
                failures.append(failure)
        return failures

    def _pass_group(
        self,
        candidate: Candidate,
        group: CompiledGroup,
        fit: list[tuple[MemberRow, CompiledBuyer]],
    ) -> None:
        ordered, turns = self._ordered(group, fit)
        marks = [self._marks(buyer) for _, buyer in ordered]
        members = tuple(
            Member(b.id, m.priority, m.weight, self._draw(m), unpaid)
            for (m, b), (_, unpaid) in zip(ordered, marks, strict=True)
        )
        self.passed.append(
            Passed(
                candidate,
                any(sticky for sticky, _ in marks),
                all(unpaid for _, unpaid in marks),
                tuple(b.id for _, b in ordered),
                max(b.expected_cents for _, b in ordered),
                members,
                turns,
            )
        )

    def _draw(self, member: MemberRow) -> float:
        return draw(self.start, salt_of("buyer", member.buyer_id, member.group_id))

    def _ordered(
        self, group: CompiledGroup, fit: list[tuple[MemberRow, CompiledBuyer]]
    ) -> tuple[list[tuple[MemberRow, CompiledBuyer]], tuple[TurnTaken, ...]]:
        """Priority, then weight draw; `weighted` by draw alone; `round_robin` in turn with equal shares."""
        strategy = group.row.routing_strategy
        if strategy == "round_robin":
            fit = sorted(fit, key=lambda pair: pair[1].id)
            keys: list[TurnKey] = [("group", group.row.id, "buyer", b.id) for _, b in fit]
            order, turns = in_turn(keys, [1] * len(fit), self.turns)
            return [fit[i] for i in order], turns

        def key(pair: tuple[MemberRow, CompiledBuyer]) -> tuple[int, float, int]:
            member, buyer = pair
            priority = 0 if strategy == "weighted" else member.priority
            return priority, rank_of(self._draw(member), member.weight), buyer.id

        return sorted(fit, key=key), ()

    def _marks(self, buyer: CompiledBuyer) -> tuple[bool, bool]:
        """(goes first because it had this caller, gets the call unpaid)."""
        own = buyer.row.duplicate
        sticky, unpaid = buyer.id == self.preferred, self.unpaid_all
        if own is not None and self._applies(own, buyer):
            sticky = sticky or own.action == "prefer_previous"
            unpaid = unpaid or own.action == "route_but_unpaid"
        if self.unpaid_rule is not None:
            unpaid = unpaid or self._applies(self.unpaid_rule, buyer)
        return sticky, unpaid

    def _applies(self, rule: DuplicateRule, buyer: CompiledBuyer) -> bool:
        return seen_by(rule, buyer, self.x) is not None
