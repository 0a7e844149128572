"""Where a live call meets configuration, caps and money: the `Desk` port on the real store."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dcx_ari.call.call import Call
from dcx_ari.call.leg import Leg
from dcx_ari.call.ports import Held
from dcx_ari.configuration import Configuration
from dcx_ari.decide.caps import Hold, Outcome, holds_for, merged, split_counted
from dcx_ari.decide.conversion import Conversion, applicable
from dcx_ari.decide.decision import Decision, Step, TurnTaken
from dcx_ari.decide.facts import CallFacts, Earnings, PreviousCall, TurnKey, Usage
from dcx_ari.decide.periods import zone_of
from dcx_ari.decide.record import Inputs
from dcx_ari.decide.routing import route
from dcx_ari.decide.rows import Buyer, ConversionRule
from dcx_ari.decide.snapshot import Snapshot
from dcx_ari.owed import Owed, Work
from dcx_ari.store.db import Database
from dcx_ari.store.history import previous_calls
from dcx_ari.store.journal import Journal
from dcx_ari.store.ledger import Ledger, Money, Refused, Spacing

log = logging.getLogger(__name__)

_WRITE_DOWN_S = 0.5


@dataclass(slots=True)
class Account:
    """What the desk remembers of a live call."""

    started_at: int
    history: tuple[PreviousCall, ...] = ()
    decision: Decision | None = None
    unwritten: Decision | None = None
    group_attempts: dict[int, int | None] = field(default_factory=dict)
    buyers: dict[int, Buyer] = field(default_factory=dict)  # by attempt
    counts: dict[int, tuple[Hold, ...]] = field(default_factory=dict)  # by attempt: counters without a limit
    connected: int | None = None  # attempt
    converted_at: int | None = None
    revenue_cents: int = 0  # as far as this process knows
    owed: Owed = field(default_factory=Owed)

    def counts_of(self, attempt: int) -> list[Hold]:
        """What the attempt counts for buyer and group."""
        return [count for count in self.counts.get(attempt, ()) if count.scope in ("buyer", "group")]

    def counts_of_call(self) -> list[Hold]:
        """What the call counts for source and campaign, however many attempts it has."""
        found = {count.key: count for counts in self.counts.values() for count in counts}
        return [count for count in found.values() if count.scope in ("source", "campaign")]


class StoreDesk:
    """Implements the `Desk` port. One per worker."""

    def __init__(
        self,
        configuration: Configuration,
        ledger: Ledger,
        database: Database,
        journal: Journal,
        now_ms: Callable[[], int],
    ) -> None:
        self.earnings: Mapping[int, Earnings] = {}
        self._configuration = configuration
        self._ledger = ledger
        self._database = database
        self._journal = journal
        self._now_ms = now_ms
        self._turns: dict[TurnKey, int] = {}
        self._accounts: dict[str, Account] = {}
        self._asked_of, self._answer = -1, False

    def snapshot(self) -> Snapshot:
        return self._configuration.snapshot

    def account(self, call: Call) -> Account:
        return self._accounts.setdefault(call.id, Account(call.started_at))

    def forget(self, call: Call) -> None:
        self._accounts.pop(call.id, None)

    def records(self, call: Call) -> bool:
        snapshot = self.snapshot()
        number = snapshot.number(call.facts.dialled)
        if number is None or call.tags.get("consent") == "refused":
            return False
        if number.record is not None:
            return number.record
        campaign = snapshot.campaigns.get(number.campaign_id or 0)
        return campaign is not None and campaign.record

    # -- deciding -------------------------------------------------------------------------------------------

    async def route(self, call: Call, campaign_id: int | None, tried: frozenset[int], connections: int) -> Decision:
        account = self.account(call)
        snapshot = self.snapshot()
        caller = call.facts.caller if call.facts.caller.startswith("+") else None
        if caller is not None and not account.history and self._remembers(snapshot):
            account.history = await previous_calls(self._database, caller, call.id)
        facts = CallFacts(
            call_id=call.id,
            number=call.facts.dialled,
            caller=caller,
            started_at=account.started_at,
            campaign_id=campaign_id,
            tags=dict(call.tags),
            tried=tried,
            connections=connections,
            holds_taken=account.decision is not None,
            zip_code=call.tags.get("zip") or None,
            consents=frozenset({call.tags.get("consent", "")}) & {"verbal", "written"},
            is_test=call.facts.test,
        )
        counters = await self._ledger.usage()
        usage = Usage(counters, account.history, self.earnings, self._turns)
        decision = route(facts, snapshot, usage, self._now_ms(), secrets.randbits(32))
        # Before the next await: the figures it was made with are alive.
        decision = replace(decision, inputs=decision.inputs.kept()) if isinstance(decision.inputs, Inputs) else decision
        call.tags["state"] = decision.state or ""
        if account.decision is not None:  # the row keeps the last one; what went before stays in the history
            call.note("earlier_decision", **account.decision.as_dict())
        account.decision = account.unwritten = decision
        asyncio.get_running_loop().call_later(_WRITE_DOWN_S, self.keep_decision, call)
        return decision

    def keep_decision(self, call: Call) -> None:
        """Write the call's decision down, if that is still to be done. Off the caller's path: it takes as long
        as the decision itself, and nobody reads it while the phone rings.
        """
        account = self._accounts.get(call.id)
        if account is None or account.unwritten is None:
            return
        decision, account.unwritten = account.unwritten, None
        inputs = decision.inputs
        if isinstance(inputs, Inputs) and (shared := inputs.campaign_text()) is not None:
            self._journal.shared_text(*shared)
        self._journal.update(
            call.id,
            decision=decision.to_json(campaign=False),
            config_version=decision.config_version,
            caller_state=decision.state,
        )

    def rules(self, call: Call, decision: Decision, buyer: Buyer) -> tuple[tuple[int, ConversionRule], ...]:
        if call.facts.test or buyer.id in decision.unpaid_buyers:
            return ()
        account = self.account(call)
        zone = zone_of(buyer.timezone or self.snapshot().company_zone)
        return applicable(buyer, started_at=account.started_at, zone=zone, tags=call.tags, history=account.history)

    def _remembers(self, snapshot: Snapshot) -> bool:
        if self._asked_of != snapshot.version:
            self._asked_of, self._answer = snapshot.version, remembers(snapshot)
        return self._answer

    # -- caps and money -------------------------------------------------------------------------------------

    async def reserve(
        self, call: Call, attempt: int, step: Step, buyer: Buyer, group_attempt: int | None
    ) -> Mapping[str, Any] | None:
        account = self.account(call)
        account.buyers[attempt] = buyer
        account.group_attempts[attempt] = group_attempt
        if call.facts.test:
            return None
        spacing = None if buyer.min_seconds_between is None else Spacing(buyer.id, buyer.min_seconds_between)
        held, account.counts[attempt] = self._holds(account, step, buyer)
        answer = await self._ledger.reserve(
            call.id,
            attempt,
            held,
            spacing=spacing,
            group_attempt=group_attempt,
        )
        if not isinstance(answer, Refused):
            return None
        key = answer.key
        return {
            "cap": f"{key.scope}.{key.metric}.{key.period}",
            "scope_id": key.scope_id,
            "used": answer.used,
            "held": answer.held,
            "limit": answer.limit,
        }

    def _holds(self, account: Account, step: Step, buyer: Buyer) -> tuple[tuple[Hold, ...], tuple[Hold, ...]]:
        """What the attempt holds, and what it only counts. Of a buyer who reports what calls were worth, conversions
        are held even without a limit: the report finds by them what it is about, and whether it is late.
        """
        snapshot, decision = self.snapshot(), account.decision
        holds = holds_for(
            account.started_at,
            snapshot.company_zone,
            buyer=buyer,
            group=snapshot.groups.get(step.group_id or 0),
            source=snapshot.sources.get((decision.source_id if decision else None) or 0),
            campaign=snapshot.campaigns.get((decision.campaign_id if decision else None) or 0),
            unlimited=True,
        )
        via = snapshot.buyers.get(step.via_buyer_id or 0)
        if via is not None:
            holds = merged((*holds, *holds_for(account.started_at, snapshot.company_zone, buyer=via, unlimited=True)))
        return split_counted(holds, conversions=any(rule.kind == "postback" for rule in buyer.conversion_rules))

    async def answered(self, call: Call, attempt: int) -> None:
        account = self.account(call)
        account.connected = attempt
        decision = account.decision
        counts = decision is not None and decision.turns and not call.facts.test
        first = next(decision.each_step(), None) if decision is not None and counts else None
        if decision is not None and first is not None and account.buyers[attempt].id in first.buyer_ids:
            self._take_turns(decision.turns)
        if not call.facts.test:
            group = account.group_attempts.get(attempt)
            await account.owed.add(lambda: self._ledger.commit_connect(call.id, attempt, group_attempt=group), call.id)

    def _take_turns(self, turns: tuple[TurnTaken, ...]) -> None:
        for turn in turns:
            key: Any = (turn.within, turn.within_id, turn.kind, turn.id)
            self._turns[key] = self._turns.get(key, 0) + turn.add

    async def convert(self, call: Call, attempt: int, buyer: Buyer, conversion: Conversion) -> None:
        await self.account(call).owed.add(lambda: self._convert(call, attempt, buyer, conversion), call.id)

    async def _convert(self, call: Call, attempt: int, buyer: Buyer, conversion: Conversion) -> None:
        account = self.account(call)
        source_id = account.decision.source_id if account.decision is not None else None
        revenue = Money(
            call.id,
            "revenue",
            f"attempt{attempt}",
            conversion.revenue_cents,
            reason=f"rule {conversion.rule}",
            buyer_id=buyer.id,
            source_id=source_id,
        )
        told = self._journal.news.converted(
            call.id,
            revenue.key,
            {
                "buyer_id": buyer.id,
                "revenue_cents": account.revenue_cents + conversion.revenue_cents,
                "converted_at": conversion.at,
            },
            conversion.at,
        )
        if told:
            await self._journal.durable()  # what happened before is told before
        answer = await self._ledger.convert(
            call.id, attempt, conversion.revenue_cents, [revenue], counts=account.counts_of(attempt), told=told
        )
        account.converted_at = conversion.at
        account.revenue_cents += conversion.revenue_cents if answer.booked else 0
        self._journal.update(call.id, converted=True, converted_at=conversion.at)
        call.note(
            "converted",
            attempt=attempt,
            revenue_cents=conversion.revenue_cents,
            rule=conversion.rule,
            reached_at=conversion.at,
            over_cap=bool(answer.over_cap),
        )

    async def settle(self, call: Call, attempt: int, *, connected: bool) -> None:
        account = self.account(call)
        buyer = account.buyers[attempt]
        keep_until = None
        if connected and buyer.hold_postback_s:
            keep_until = self._now_ms() + buyer.hold_postback_s * 1000
        outcome, counts = Outcome(answered=connected), account.counts_of(attempt)
        settle = self._ledger.settle
        await self._over(call, lambda: settle(call.id, attempt, outcome, keep_until=keep_until, counts=counts))

    async def restore(
        self, call: Call, decision: str | None, leg: Leg | None, attempt: int | None, group_attempt: int | None
    ) -> Held | None:
        account = self.account(call)
        if decision is not None:
            account.decision = Decision.from_json(decision)
        if call.facts.test:
            return None
        keep = {number for number in (attempt, group_attempt) if leg is not None and number is not None}
        await self._ledger.release_others(call.id, keep=keep)
        account.revenue_cents = (await self._ledger.sums(call.id)).revenue_cents
        if leg is None or attempt is None:
            return None
        if account.decision is None:  # killed in the half second before it was written down
            account.decision = await self.route(call, None, frozenset(), 0)
        buyer = self.snapshot().buyers.get(leg.buyer_id or 0)
        step = next((s for s in account.decision.each_step() if leg.buyer_id in s.buyer_ids), None)
        if buyer is None:
            return None
        account.buyers[attempt], account.connected = buyer, attempt
        account.group_attempts[attempt] = group_attempt
        if step is not None:
            _, account.counts[attempt] = self._holds(account, step, buyer)
        await self._ledger.commit_connect(call.id, attempt, group_attempt=group_attempt)
        return Held(attempt, buyer, account.decision, self.rules(call, account.decision, buyer))

    async def release(self, call: Call, attempt: int) -> None:
        await self._over(call, lambda: self._ledger.release(call.id, attempt))

    async def _over(self, call: Call, ending: Work) -> None:
        """The holds stay until the database can be told: under-selling is the safe side."""
        if not call.facts.test:
            await self.account(call).owed.add(ending, call.id)


def remembers(snapshot: Snapshot) -> bool:
    """Whether any rule asks for a caller's earlier calls."""
    if any(campaign.duplicate is not None for campaign in snapshot.campaigns.values()):
        return True
    for source in snapshot.sources.values():
        if source.duplicate is not None or (source.payout is not None and source.payout.duplicate is not None):
            return True
    return any(
        buyer.duplicate is not None or any(rule.duplicate_window_days is not None for rule in buyer.conversion_rules)
        for buyer in snapshot.buyers.values()
    )
