"""Campaign keys, posting instructions, leads and numbers for outsiders, over HTTP."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlmodel import select

from dcx_ari.api.app import make_app
from dcx_ari.services.keys import create_key
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import AuditEntry, Call, CampaignKey

pytestmark = pytest.mark.unit
Client = TestClient[web.Request, web.Application]
A, B, C = "+15551230001", "+15551230002", "+15551230003"
CALLER = "+15559870001"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    shutil.copy(template, tmp_path / "dcx.db")
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db")
    yield opened
    await opened.close()


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with db.write() as session:
        _, key = await create_key(session, "tests", "admin")
    async with TestClient(TestServer(make_app(db)), headers={"Authorization": f"Bearer {key}"}) as made:
        for name in ("Solar", "Dental"):
            assert (await made.post("/api/campaigns", json={"name": name})).status == 201
        yield made


async def told(client: Client, method: str, path: str, key: str | None = None, **options: Any) -> tuple[int, Any]:
    """Status and JSON of the answer; `key` instead of the tests' own."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with client.request(method, path, headers=headers, **options) as response:
        return response.status, await response.json() if response.status != 204 else None


async def regenerated(client: Client, campaign: str = "Solar") -> dict[str, str]:
    status, made = await told(client, "POST", f"/api/campaigns/{campaign}/regenerate-keys")
    assert status == 200
    return made


async def test_keys_are_made_when_asked_for_and_shown_once(client: Client, db: Database):
    assert (await told(client, "GET", "/api/campaigns/Solar"))[1]["leads_api_key"] is None
    _, first = await told(client, "GET", "/api/campaigns/Solar/api-docs")
    for name in ("leads_api_key", "numbers_api_key"):
        assert str(uuid.UUID(first["keys"][name])) == first["keys"][name]
    _, second = await told(client, "GET", "/api/campaigns/Solar/api-docs")
    assert second["keys"]["leads_api_key"] == first["keys"]["leads_api_key"][:8] + "…"
    row = (await told(client, "GET", "/api/campaigns/Solar"))[1]
    assert row["numbers_api_key"] == first["keys"]["numbers_api_key"][:8] + "…"
    async with db.read() as session:
        kept = str((await session.exec(select(CampaignKey))).all())
    assert first["keys"]["leads_api_key"] not in kept


async def test_looking_does_not_make_keys_for_who_may_not_write(client: Client, db: Database):
    async with db.write() as session:
        _, viewer = await create_key(session, "viewer", "viewer")
    status, docs = await told(client, "GET", "/api/campaigns/Solar/api-docs", viewer)
    assert (status, docs["keys"]["leads_api_key"]) == (200, None)
    async with client.head("/api/campaigns/Solar/api-docs") as answer:
        assert answer.status == 200
    async with db.read() as session:
        assert (await session.exec(select(CampaignKey))).all() == []
    assert (await told(client, "POST", "/api/campaigns/Solar/regenerate-keys", viewer))[0] == 403


async def test_new_keys_end_both_old_ones_at_once(client: Client, db: Database):
    old, new = await regenerated(client), await regenerated(client)
    lead = {"phone_number": CALLER}
    assert (await told(client, "POST", "/api/leads", old["leads_api_key"], json=lead))[0] == 401
    assert (await told(client, "GET", "/api/posting/numbers", old["numbers_api_key"]))[0] == 401
    assert (await told(client, "POST", "/api/leads", new["leads_api_key"], json=lead))[0] == 201
    assert (await told(client, "GET", "/api/posting/numbers", new["numbers_api_key"]))[0] == 200
    async with db.read() as session:
        entries = (await session.exec(select(AuditEntry))).all()
    changed = [entry for entry in entries if entry.action == "campaign.keys_regenerated"]
    assert len(changed) == 2
    assert old["leads_api_key"][:8] in changed[1].changes
    assert old["leads_api_key"] not in "".join(entry.changes for entry in entries)


async def test_a_lead_needs_a_leads_key(client: Client, db: Database):
    keys = await regenerated(client)
    async with db.write() as session:
        _, api = await create_key(session, "admin", "admin")
    for key in (keys["numbers_api_key"], api, str(uuid.uuid4()), "x" * 36, keys["leads_api_key"][:-1]):
        status, answer = await told(client, "POST", "/api/leads", key, json={"phone_number": CALLER})
        assert (key, status, answer["error"]["field"]) == (key, 401, "Authorization")


async def test_keys_of_an_archived_campaign_are_dead_and_no_key_opens_the_api(client: Client):
    keys = await regenerated(client)
    assert (await told(client, "GET", "/api/campaigns", keys["leads_api_key"]))[0] == 401
    await told(client, "PATCH", "/api/campaigns/Solar", json={"status": "ARCHIVED"})
    assert (await told(client, "POST", "/api/leads", keys["leads_api_key"], json={"phone_number": CALLER}))[0] == 401


async def test_a_lead_becomes_a_contact_and_adds_to_one(client: Client):
    key = (await regenerated(client))["leads_api_key"]
    lead = {"phone_number": "+1 (555) 987-0001", "first_name": "Ann", "tags": ["summer"], "custom": {"zip": "10001"}}
    answer = {"accepted": True, "phone_number": CALLER, "campaign": "Solar"}
    assert await told(client, "POST", "/api/leads", key, json=lead) == (201, answer)
    again = {"phone_number": CALLER, "first_name": "Eve", "last_name": "Lee", "tags": ["vip"], "custom": {"zip": "9"}}
    assert await told(client, "POST", "/api/leads", key, json=again) == (201, answer)
    _, contact = await told(client, "GET", f"/api/contacts/{CALLER}")
    assert (contact["first_name"], contact["last_name"]) == ("Ann", "Lee")
    assert (contact["tags"], contact["custom"]) == (["summer", "vip"], {"zip": "10001"})
    assert contact["added_by"] == "leads of Solar"
    assert (await told(client, "GET", "/api/contacts"))[1]["total"] == 1


BAD_LEADS: list[tuple[dict[str, Any], str]] = [
    ({}, "phone_number"),
    ({"phone_number": "5559870001"}, "phone_number"),
    ({"phone_number": CALLER, "added_by": "me"}, "added_by"),
    ({"phone_number": CALLER, "tags": "vip"}, "tags"),
    ({"phone_number": CALLER, "tags": ["x"] * 51}, "tags"),
    ({"phone_number": CALLER, "custom": {"a b": 1}}, "custom"),
    ({"phone_number": CALLER, "custom": {"a": {"b": 1}}}, "custom.a"),
    ({"phone_number": CALLER, "email": "no"}, "email"),
    ({"phone_number": CALLER, "first_name": "x" * 101}, "first_name"),
    ({"phone_number": CALLER, "first_name": "nul\x00"}, "first_name"),
]


async def test_a_bad_lead_is_refused_by_field(client: Client):
    key = (await regenerated(client))["leads_api_key"]
    for lead, field in BAD_LEADS:
        status, answer = await told(client, "POST", "/api/leads", key, json=lead)
        assert (lead, status, answer["error"]["field"]) == (lead, 422, field)
    assert (await told(client, "GET", "/api/contacts"))[1]["total"] == 0


async def test_two_leads_of_one_person_at_once_make_one_contact(client: Client):
    key = (await regenerated(client))["leads_api_key"]
    leads = [{"phone_number": CALLER, "tags": [f"t{number}"]} for number in range(8)]
    answers = await asyncio.gather(*(told(client, "POST", "/api/leads", key, json=lead) for lead in leads))
    assert {status for status, _ in answers} == {201}
    _, contact = await told(client, "GET", f"/api/contacts/{CALLER}")
    assert sorted(contact["tags"]) == [f"t{number}" for number in range(8)]


async def test_a_numbers_key_gives_out_free_numbers_within_the_limit(client: Client):
    key = (await regenerated(client))["numbers_api_key"]
    for number, campaign in ((A, "Solar"), (B, "Solar"), (C, "Dental")):
        await told(client, "POST", "/api/numbers", json={"phone_number": number, "campaign": campaign})
    _, source = await told(client, "POST", "/api/traffic-sources", json={"name": "Ads", "number_limit": 1})
    _, listed = await told(client, "GET", "/api/posting/numbers", key)
    assert listed["data"] == [{"phone_number": A, "free": True}, {"phone_number": B, "free": True}]
    wanted = {"traffic_source": source["short_id"]}
    assert await told(client, "POST", "/api/posting/numbers", key, json=wanted | {"number": C}) == (
        409,
        {"error": {"field": "number", "rule": f"{C} is not free", "message": f"number: {C} is not free"}},
    )
    assert (await told(client, "POST", "/api/posting/numbers", key, json=wanted))[1]["phone_number"] == A
    status, answer = await told(client, "POST", "/api/posting/numbers", key, json=wanted)
    assert (status, answer["error"]["rule"]) == (409, "number_limit_exceeded")
    assert (await told(client, "GET", f"/api/numbers/{B}"))[1]["traffic_source_id"] is None
    for other in ("Ads", 99, "Ad"):
        status, answer = await told(client, "POST", "/api/posting/numbers", key, json={"traffic_source": other})
        assert (status, "Ads" in str(answer)) == (404, False)


async def test_public_instructions_only_where_they_are_shown(client: Client):
    _, refused = await told(client, "GET", "/api/campaigns/1/public-docs", "")
    assert await told(client, "GET", "/api/campaigns/999/public-docs", "") == (404, refused)
    assert await told(client, "GET", "/api/campaigns/Sola/public-docs", "") == (404, refused)
    await told(client, "PATCH", "/api/campaigns/Solar", json={"enable_public_posting": True})
    keys = await regenerated(client)
    async with client.get("/api/campaigns/1/public-docs", headers={"Authorization": ""}) as response:
        assert response.status == 200
        text = await response.text()
    assert "Solar" in text
    for hidden in ("Dental", *(keys[name][:8] for name in ("leads_api_key", "numbers_api_key"))):
        assert hidden not in text
    async with client.get("/api/campaigns/1/public-docs?format=text") as response:
        assert "## POST /api/leads" in await response.text()


async def test_the_public_list(client: Client):
    assert (await told(client, "GET", "/api/public-campaigns", ""))[1]["data"] == []
    await told(client, "PATCH", "/api/campaigns/Solar", json={"enable_public_list_view": True, "vertical": "SOLAR"})
    _, listed = await told(client, "GET", "/api/public-campaigns", "")
    assert listed["data"] == [{"name": "Solar", "vertical": "SOLAR", "docs": None}]


async def test_a_copy_has_keys_of_its_own_and_no_numbers(client: Client):
    old = await regenerated(client)
    await told(client, "POST", "/api/numbers", json={"phone_number": A, "campaign": "Solar"})
    await told(client, "POST", "/api/buyers", json={"name": "Acme", "endpoint_value": "+15550009999"})
    await told(client, "POST", "/api/campaigns/Solar/buyers", json={"buyer": "Acme", "tier": 3})
    status, made = await told(client, "POST", "/api/campaigns/Solar/copy")
    assert (status, made["name"], made["status"], made["leads_api_key"]) == (201, "Solar (Copy)", "INACTIVE", None)
    _, buyers = await told(client, "GET", f"/api/campaigns/{made['id']}/buyers")
    assert [(row["buyer"], row["tier"]) for row in buyers["data"]] == [("Acme", 3)]
    assert (await told(client, "GET", f"/api/numbers?campaign={made['id']}"))[1]["total"] == 0
    assert (await regenerated(client, "2"))["leads_api_key"] != old["leads_api_key"]


async def test_a_source_shows_its_calls_and_turns_on_and_off(client: Client, db: Database, monkeypatch: Any):
    now = 1_800_000_000_000
    monkeypatch.setattr("dcx_ari.services.call_counts.now_ms", lambda: now)
    day = 86_400_000
    for number in (A, B):
        await told(client, "POST", "/api/numbers", json={"phone_number": number})
    _, source = await told(client, "POST", "/api/traffic-sources", json={"name": "Ads"})
    assert (source["call_count"], source["recent_call_count"], source["last_call_at"]) == (0, 0, None)
    for number in (A, B):
        assert (await told(client, "POST", "/api/traffic-sources/Ads/numbers", json={"number": number}))[0] == 200
    ages = [(1, now - day, 1, False), (2, now - 31 * day, 1, False), (3, now - 5, 2, False), (4, now - 1, 2, True)]
    async with db.write() as session:
        for row, at, number, test in ages:
            session.add(Call(id=f"c{row}", started_at=at, traffic_source_id=1, number_id=number, test=test))
    _, shown = await told(client, "GET", "/api/traffic-sources/Ads")
    assert (shown["call_count"], shown["recent_call_count"]) == (3, 2)
    assert shown["last_call_at"] == "2027-01-15T07:59:59.995Z"
    _, listed = await told(client, "GET", "/api/traffic-sources")
    assert listed["data"][0]["call_count"] == 3
    _, numbers = await told(client, "GET", "/api/traffic-sources/Ads/numbers")
    assert [(row["phone_number"], row["call_count"], row["recent_call_count"]) for row in numbers["data"]] == [
        (A, 2, 1),
        (B, 1, 1),
    ]
    status, off = await told(client, "PATCH", "/api/traffic-sources/Ads/toggle-status")
    assert (status, off["status"], off["call_count"], off["name"]) == (200, "INACTIVE", 3, "Ads")
    assert (await told(client, "PATCH", "/api/traffic-sources/Ads/toggle-status"))[1]["status"] == "ACTIVE"
    assert (await told(client, "DELETE", f"/api/traffic-sources/Ads/numbers/{A}"))[0] == 204
    assert (await told(client, "DELETE", f"/api/traffic-sources/Ads/numbers/{A}"))[0] == 409


async def test_the_number_limit_holds_when_two_assign_at_once(client: Client):
    for number in (A, B, C):
        await told(client, "POST", "/api/numbers", json={"phone_number": number})
    for name in ("Ads", "Other"):
        await told(client, "POST", "/api/traffic-sources", json={"name": name, "number_limit": 2})
    add = "/api/traffic-sources/Ads/numbers"
    answers = await asyncio.gather(*(told(client, "POST", add, json={"number": number}) for number in (A, B, C)))
    assert sorted(status for status, _ in answers) == [200, 200, 409]
    refused = next(answer["error"]["rule"] for status, answer in answers if status == 409)
    assert refused.startswith("number_limit_exceeded")
    assert (await told(client, "GET", add))[1]["total"] == 2
    status, _ = await told(client, "POST", "/api/traffic-sources/Other/numbers", json={"number": 1})
    taken = (await told(client, "GET", "/api/numbers/1"))[1]["traffic_source"]
    assert (status, taken) in [(409, "Ads"), (200, "Other")]
    await told(client, "PATCH", "/api/traffic-sources/Ads", json={"number_limit": 0})
    inside = (await told(client, "GET", add))[1]["data"][0]["id"]
    assert (await told(client, "PATCH", f"/api/numbers/{inside}", json={"notes": "x"}))[0] == 200
