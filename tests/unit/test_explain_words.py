"""Every reason of a Decision has its words, with its figures in them."""

from __future__ import annotations

from typing import Any

import pytest

from dcx_ari.decide import reasons
from dcx_ari.decide.snapshot import build
from dcx_ari.services.explain_words import Book, words

pytestmark = pytest.mark.unit

NOW = 1_795_194_000_000  # 2026-11-20 12:00 in New York
HOUR, DAY = 3_600_000, 86_400_000
BOOK = Book(
    build(
        {
            "buyers": [
                {"id": 1, "name": "Acme", "endpoint_value": "+15550101001", "timezone": "America/Los_Angeles"},
            ],
            "campaigns": [{"id": 2, "name": "Solar"}],
            "traffic_sources": [{"id": 3, "name": "Radio"}],
            "schedules": [{"id": 4, "name": "Hours", "timezone": "Europe/Paris", "weekly": {}}],
        },
        version=1,
        company_zone="America/New_York",
    ),
    NOW,
)
CAP = {"scope": "buyer", "scope_id": 1, "metric": "connect", "used": 50, "add": 1, "limit": 50}
LISTED = {"entry_id": 7, "list_type": "blacklist", "why": "abuse", "expires_at": NOW + DAY}
DUPLICATE = {"of": "buyer", "scope": "buyer", "after": "connected", "window_days": 30, "previous_call": "c1"}
CASES: list[tuple[str, dict[str, Any], str]] = [
    ("cap.daily", {**CAP, "resets_at": NOW + HOUR}, "cap.daily 50 of 50 used, frees 2026-11-20T10:00-08:00"),
    ("cap.total", {**CAP, "resets_at": None}, "cap.total 50 of 50 used"),
    (
        "cap.revenue_daily",
        {**CAP, "metric": "revenue_cents", "used": 9000, "add": 2500, "limit": 10_000, "resets_at": NOW + 12 * HOUR},
        "cap.revenue_daily 90.00 of 100.00 used, this call would add 25.00, frees 2026-11-20T21:00-08:00",
    ),
    ("concurrency", CAP, "concurrency 50 of 50 in use"),
    ("paused", {"of": "buyer", "status": "INACTIVE"}, "is paused"),
    ("paused", {"of": "group", "status": "ARCHIVED"}, "the group is archived"),
    ("paused", {"of": "attachment", "status": "INACTIVE"}, "its place in the campaign is paused"),
    ("misconfigured", {"message": "filters: no"}, "misconfigured: filters: no"),
    ("loop", {"endpoint": "+15550100000"}, "its endpoint +15550100000 is one of our own numbers: a loop"),
    ("no_trunk", {"endpoint": "+15550101001", "trunk_id": 3}, "no active trunk serves +15550101001 (trunk 3)"),
    ("closed", {"schedule_id": 4, "why": "weekly", "next_open": NOW + HOUR}, "closed, opens Fri 19:00 Europe/Paris"),
    ("closed", {"schedule_id": None, "why": "holiday", "next_open": NOW + 20 * DAY}, "(holiday), opens Thu 2026-12-10"),
    ("closed", {"schedule_id": None, "why": "exception", "next_open": None}, "does not open within a year"),
    ("state_blocked", {"state": "unknown"}, "the caller's state is not known"),
    ("state_blocked", {"state": "NY", "rule_id": 5}, "callers from NY are blocked (state rule 5)"),
    (
        "consent_required",
        {"state": "NY", "rule_id": 5, "consent_type": "written", "given": []},
        "callers from NY need consent (written), given: none (state rule 5)",
    ),
    ("suppressed", LISTED, "on the list blacklist (entry 7, abuse, until 2026-11-21T12:00-05:00)"),
    ("blocked", {**LISTED, "why": "", "expires_at": None}, "on the list blacklist (entry 7)"),
    ("filter", {"tag": "zip", "op": "in", "value": ["1", "2"], "actual": 3}, 'filter zip in ["1", "2"]: it is 3'),
    ("filter", {"tag": "zip", "op": "exists", "value": None, "actual": None}, "zip exists: the call has no such tag"),
    (
        "duplicate",
        {**DUPLICATE, "previous_at": NOW - DAY},
        "within 30 days (per buyer), call c1 was at 2026-11-19T12:00",
    ),
    ("duplicate", {**DUPLICATE, "previous_at": NOW, "window_days": None}, "not connected before at any time"),
    ("already_tried", {}, "was dialled for this call before"),
    ("rerouted", {"connections": 2, "limit": 1}, "at most 1 times before, this one was 2"),
    ("skill", {"missing": ["es", "tax"]}, "lacks the skill es, tax"),
    ("spacing", {"last_attempt_at": NOW, "limit": 90, "free_at": NOW + 90_500, "unit": "s"}, "12:01:30-05:00"),
    ("weight_zero", {"weight": 0}, "weight 0"),
    ("no_member", {"group_id": 1, "members": 2}, "none of its members"),
    ("no_member", {"group_id": 1, "members": 0}, "has no members"),
    ("no_number", {"number": "+1555"}, "+1555 is not one of our numbers"),
    ("no_campaign", {"number": "+1555", "campaign_id": None}, "+1555 leads to no campaign"),
    ("source_paused", {"source_id": 3, "status": "INACTIVE"}, "source Radio is paused"),
    ("source_paused", {"message": "zone"}, "the source is misconfigured: zone"),
    (
        "source_capped",
        {**CAP, "cap": "cap.daily", "scope": "source", "scope_id": 3},
        "source Radio: cap.daily 50 of 50",
    ),
    ("campaign_paused", {"campaign_id": 2, "status": "ARCHIVED"}, "campaign Solar is archived"),
    ("campaign_closed", {"schedule_id": None, "why": "weekly", "next_open": NOW + HOUR}, "closed, opens Fri 13:00"),
    ("campaign_capped", {**CAP, "cap": "cap.total", "scope": "campaign", "scope_id": 2}, "campaign Solar: cap.total"),
    (
        "campaign_concurrency",
        {**CAP, "cap": "concurrency", "scope": "campaign", "scope_id": 9},
        "campaign 9: concurrency",
    ),
    ("something_new", {"a": 1, "b": None}, "something new a 1"),
]


@pytest.mark.parametrize(("reason", "values", "text"), CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)])
def test_words(reason: str, values: dict[str, Any], text: str) -> None:
    assert text in words(reason, values, BOOK)


def test_every_check_and_refusal_has_a_case() -> None:
    known = {*reasons._OF_CHECK, *reasons._OF_REFUSAL} - {"reserve_lost"}  # of an attempt, not of a candidate
    assert known <= {reason for reason, _, _ in CASES}
