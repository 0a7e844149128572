"""What a call tells the outside: which rows stand in the outbox beside the facts, and in what order."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dcx_ari.services import webhooks
from dcx_ari.services.event_schemas import event_schemas
from dcx_ari.store.models import NotificationPreference, User
from dcx_ari.testing.far_end import AnswersThenHangsUp, Busy, NoAnswer
from tests.sim.exchange import Exchange, exchange, killed

pytestmark = pytest.mark.sim
SCHEMAS = event_schemas()
WHOLE = ["call.started", "call.ringing", "call.answered", "call.converted", "call.completed"]


async def endpoint(x: Exchange, *events: str) -> int:
    async with x.engine.database.write() as session:
        row, _ = await webhooks.create(session, webhooks.SafeUrl("https://example.com/hook"), events)
    await x.engine.configuration.fresh()
    return int(row["id"])


async def told(x: Exchange) -> list[dict[str, Any]]:
    """What is in the outbox, by order of writing; each is what its event's schema says."""
    found = []
    for row in await x.query("SELECT event, payload, kind FROM outbox ORDER BY seq"):
        payload = json.loads(row["payload"])
        if row["kind"] == "webhook":
            schema = SCHEMAS[row["event"]]
            Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(payload)
            assert payload.keys() == set(schema["required"])
            assert payload["data"].keys() == set(schema["properties"]["data"]["required"])
        found.append({"event": row["event"], **payload})
    return found


async def test_a_sold_call_from_its_start_to_its_money(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        wanted = await endpoint(x, "call.*")
        await x.buyer("Acme", AnswersThenHangsUp(30.0))
        x.call()
        (call,) = await x.over()
        events = await told(x)
        assert [each["event"] for each in events] == WHOLE
        data = {each["event"]: each["data"] for each in events}
        about = {"call_id": call["id"], "caller": call["caller"], "number_id": 1, "campaign_id": x.campaign_id}
        for each in data.values():
            assert about.items() <= each.items()
        assert data["call.started"]["traffic_source_id"] == 1
        assert (data["call.ringing"]["buyer_id"], data["call.answered"]["buyer_id"]) == (1, 1)
        assert data["call.answered"]["leg_id"] == data["call.ringing"]["leg_id"] == f"{call['id']}.leg1"
        assert (data["call.converted"]["revenue_cents"], data["call.converted"]["buyer_id"]) == (1000, 1)
        end = data["call.completed"]
        assert (end["status"], end["ended_by"], end["converted"]) == ("COMPLETED", "buyer", True)
        assert (end["revenue_cents"], end["payout_cents"], end["talk_ms"]) == (1000, 300, call["talk_ms"])
        rows = await x.query("SELECT order_key, endpoint_id, call_id FROM outbox")
        assert [tuple(row.values()) for row in rows] == [(f"{call['id']}/{wanted}", wanted, call["id"])] * 5


async def test_nobody_listens_nothing_is_written(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        await x.buyer("Acme", AnswersThenHangsUp(30.0))
        x.call()
        await x.over()
        await endpoint(x, "buyer.paused", "cap.reached")
        x.call()
        await x.over()
        assert await told(x) == []
        assert x.engine.journal.news._calls == {}


async def test_a_call_that_is_not_sold(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        await endpoint(x, "*")
        await x.buyer("Busy", Busy())
        await x.buyer("Silent", NoAnswer())
        x.call()
        await x.over()
        events = await told(x)
        assert [each["event"] for each in events if each["event"] != "call.ringing"] == [
            "call.started",
            "call.completed",
        ]
        assert (events[-1]["data"]["status"], events[-1]["data"]["revenue_cents"]) == ("NO_ANSWER", 0)


async def test_a_listener_that_comes_in_the_middle_hears_of_the_next_call(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        await x.buyer("Acme", AnswersThenHangsUp(30.0))
        x.call()
        await asyncio.sleep(10)
        await endpoint(x, "call.completed")
        await x.over()
        assert await told(x) == []
        x.call()
        await x.over()
        assert [each["event"] for each in await told(x)] == ["call.completed"]


async def test_people_who_want_conversions_get_a_mail(tmp_path: Path) -> None:
    async with exchange(tmp_path) as x:
        await x.buyer("Acme", AnswersThenHangsUp(30.0))
        async with x.engine.database.write() as session:
            for number, (role, buyer) in enumerate(
                [("admin", None), ("agent", None), ("viewer", 1), ("viewer", 2)], start=1
            ):
                session.add(User(id=number, email=f"u{number}@example.com", role=role, buyer_id=buyer))
                await session.flush()
                session.add(NotificationPreference(user_id=number, notify_conversion=True))
        await x.engine.configuration.load_receivers()
        x.call()
        (call,) = await x.over()
        mails = await told(x)
        assert [(each["event"], each["to"]) for each in mails] == [
            ("call.converted", ["u1@example.com"]),
            ("call.converted", ["u3@example.com"]),
        ]
        assert mails[0]["subject"].startswith(f"DCX: Sold for $10.00: call {call['id']}")


async def test_a_killed_engine_tells_everything_once(tmp_path: Path) -> None:
    """Killed while they talk: the next process finishes the call and its story, without a word twice."""
    async with exchange(tmp_path) as x:
        await endpoint(x, "call.*")
        await x.buyer("Acme", AnswersThenHangsUp(40.0))
        x.call()
        await asyncio.sleep(15)
        before = [each["event"] for each in await told(x)]
        assert before == WHOLE[: len(before)]
        assert "call.answered" in before
        async with killed(x):
            await x.over()
            after = await told(x)
        assert [each["event"] for each in after] == WHOLE
        (end,) = (each["data"] for each in after if each["event"] == "call.completed")
        assert (end["status"], end["revenue_cents"], end["campaign_id"]) == ("COMPLETED", 1000, x.campaign_id)


async def test_the_engine_delivers_and_goes_nowhere_inside(tmp_path: Path) -> None:
    """The whole way, to the first attempt: an inner address got into the table somehow, and is not connected to."""
    async with exchange(tmp_path, jobs=True) as x:
        async with x.engine.database.write() as session:
            await webhooks.create(session, webhooks.SafeUrl("http://127.0.0.1:9/"), ["call.started"])
        await x.engine.configuration.fresh()
        x.call()
        await x.over()
        await asyncio.sleep(2)
        (row,) = await x.query("SELECT state, attempts, last_error FROM outbox")
        assert (row["state"], row["attempts"], "DCX_WEBHOOK_ALLOW" in row["last_error"]) == ("pending", 1, True)
        assert x.engine.jobs.holding
