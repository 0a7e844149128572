"""Who is told what: webhook endpoints by their list of events, people by their preferences."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.decide.events import wants
from dcx_ari.store.models.users import AccessRole, NotificationPreference, User
from dcx_ari.store.models.webhooks import WebhookEndpoint

PREFERENCES: Mapping[str, tuple[str, ...]] = {
    "notify_call_maxed_out": ("cap.reached",),
    "notify_buyer_offline": ("buyer.paused", "buyer.offline"),
    "notify_daily_summary": ("summary.daily",),
    "notify_conversion": ("call.converted",),
}
"""Column of `notification_preferences` -> the events it stands for."""
FOR_ADMINS = ("endpoint.disabled",)
_SEES_MONEY = frozenset({"admin", "manager", "viewer"})  # the built-in roles that hold billing.view
_MONEY = frozenset({"*", "billing.*", "billing.view", "*.view"})


@dataclass(frozen=True, slots=True)
class Receiver:
    """An endpoint (`format` standard or slack, `endpoint_id`) or a person (`format` email, `to`).

    A person who is tied to one buyer or one traffic source hears of that one only.
    """

    key: str
    format: str
    events: tuple[str, ...]
    endpoint_id: int | None = None
    to: str = ""
    buyer_id: int | None = None
    traffic_source_id: int | None = None

    def wants(self, event: str, data: Mapping[str, Any]) -> bool:
        if not wants(self.events, event):
            return False
        if self.buyer_id is None and self.traffic_source_id is None:
            return True
        return self._about("buyer", self.buyer_id, data) and self._about("source", self.traffic_source_id, data)

    @staticmethod
    def _about(scope: str, wanted: int | None, data: Mapping[str, Any]) -> bool:
        if wanted is None:
            return True
        if data.get("scope") == scope:
            return data.get("scope_id") == wanted
        return data.get("buyer_id" if scope == "buyer" else "traffic_source_id") == wanted


async def receivers(session: AsyncSession) -> tuple[Receiver, ...]:
    """Everybody who is told anything, as of this transaction."""
    row = WebhookEndpoint
    query = select(row.id, row.format, row.events).where(col(row.status) == "ACTIVE").order_by(col(row.id))
    endpoints = [
        Receiver(str(each[0]), each[1], tuple(each[2]), endpoint_id=each[0])
        for each in (await session.exec(query)).all()
    ]
    people, slack = await _people(session)
    return (*(_with(each, slack) for each in endpoints), *people)


def _with(endpoint: Receiver, slack: Collection[str]) -> Receiver:
    """Slack endpoints are also told what people want to hear of by Slack."""
    if endpoint.format != "slack" or not slack:
        return endpoint
    return replace(endpoint, events=(*endpoint.events, *sorted(slack)))


async def _people(session: AsyncSession) -> tuple[list[Receiver], set[str]]:
    """Those who are told by mail; and the events that somebody wants on Slack."""
    patterns = {each.name: each.permissions for each in (await session.exec(select(AccessRole))).all()}
    query = (
        select(User, NotificationPreference)
        .join(NotificationPreference, col(NotificationPreference.user_id) == col(User.id))
        .where(col(User.status) == "ACTIVE")
        .order_by(col(User.id))
    )
    found: list[Receiver] = []
    slack: set[str] = set()
    for user, wanted in (await session.exec(query)).all():
        if user.role not in _SEES_MONEY and not _MONEY & set(patterns.get(user.role, ())):
            continue
        events = [name for column, names in PREFERENCES.items() if getattr(wanted, column) for name in names]
        scoped = user.buyer_id is not None or user.traffic_source_id is not None
        if wanted.slack_enabled and not scoped:
            slack.update(events)
        if user.traffic_source_id is not None:
            events = [name for name in events if name == "cap.reached"]  # the rest is about buyers and prices
        if user.role == "admin" and not scoped:
            events += FOR_ADMINS
        if wanted.email_enabled and events:
            found.append(
                Receiver(
                    f"u{user.id}",
                    "email",
                    tuple(events),
                    to=user.email,
                    buyer_id=user.buyer_id,
                    traffic_source_id=user.traffic_source_id,
                )
            )
    return found, slack
