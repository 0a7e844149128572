"""Rows through the one mechanism: made, changed, refused by field and rule, with nothing written."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from dcx_ari.services import links, rows
from dcx_ari.services.errors import Conflict, Invalid, NotFound, Refused, Stale, UnknownKey
from dcx_ari.services.example import Example, load_example
from dcx_ari.services.listing import Query, list_rows
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.migrate import migrate
from dcx_ari.store.models import Buyer, ConfigVersion

pytestmark = [pytest.mark.unit, pytest.mark.databases]
R = RESOURCES
A = "+15551230001"
FLOW = {"start": "end", "nodes": {"end": {"type": "hangup"}}}


@pytest.fixture(scope="module")
def template(dbms: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, made once and copied for each test."""
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def db(tmp_path: Path, template: Path):
    shutil.copy(template, tmp_path / "dcx.db")
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db")
    yield opened
    await opened.close()


async def add(db: Database, kind: str, **values: Any) -> dict[str, Any]:
    async with db.write() as session:
        return await rows.create(session, R[kind], values)


async def edit(db: Database, kind: str, key: str, **values: Any) -> dict[str, Any]:
    async with db.write() as session:
        return await rows.change(session, R[kind], key, values)


async def version(db: Database) -> int:
    async with db.read() as session:
        return (await session.exec(select(ConfigVersion.version))).one()


async def test_a_buyer_is_made_with_defaults(db: Database):
    made = await add(db, "buyers", name="A", endpoint_value="+1 (555) 123-0001")
    assert made["endpoint_value"] == A
    assert (made["endpoint_type"], made["tier"], made["weight"], made["ring_timeout_s"]) == ("PHONE_NUMBER", 0, 100, 30)
    assert made["version"] == 1
    assert made["created_at"].endswith("Z")


async def test_the_endpoint_type_follows_from_the_value(db: Database):
    assert (await add(db, "buyers", name="A", endpoint_value="sip:a@10.0.0.1"))["endpoint_type"] == "SIP"
    assert (await edit(db, "buyers", "A", endpoint_value=A))["endpoint_type"] == "PHONE_NUMBER"


async def test_every_change_counts_both_versions_up(db: Database):
    await add(db, "buyers", name="A", endpoint_value=A)
    assert await version(db) == 2
    assert (await edit(db, "buyers", "A", tier=-10))["version"] == 2
    assert await version(db) == 3
    assert (await edit(db, "buyers", "A", tier=-10))["version"] == 2
    assert await version(db) == 3


REFUSED = [
    ("buyers", {"endpoint_value": "5551234"}, "endpoint_value", "E.164"),
    ("buyers", {"endpoint_value": "sip:"}, "endpoint_value", "sip: URI"),
    ("buyers", {"endpoint_value": "+1555123000199999"}, "endpoint_value", "E.164"),
    ("buyers", {"endpoint_value": A, "daily_cap": -1}, "daily_cap", "at least 0"),
    ("buyers", {"endpoint_value": A, "daily_cap": "many"}, "daily_cap", "whole number"),
    ("buyers", {"endpoint_value": A, "weight": 101}, "weight", "at most 100"),
    ("buyers", {"endpoint_value": A, "ring_timeout_s": 4}, "ring_timeout_s", "at least 5"),
    ("buyers", {"endpoint_value": A, "timezone": "Mars/Olympus"}, "timezone", "IANA"),
    ("buyers", {"endpoint_value": A, "status": "SLEEPY"}, "status", "must be one of ACTIVE"),
    ("buyers", {"endpoint_value": A, "accept_digit": "12"}, "accept_digit", "must match"),
    ("buyers", {"endpoint_value": A, "trunk": "none such"}, "trunk", "there is no trunk"),
    ("buyers", {"endpoint_value": A, "wieght": 3}, "wieght", "did you mean weight"),
    ("buyers", {"endpoint_value": A, "id": 3}, "id", "cannot be written"),
    ("buyers", {"endpoint_value": A, "notes": "a\x00b"}, "notes", "NUL"),
    ("buyers", {"endpoint_value": A, "notes": "\ud800"}, "notes", "valid text"),
    ("buyers", {"name": "77", "endpoint_value": A}, "name", "digits alone"),
    ("buyers", {"name": " ", "endpoint_value": A}, "name", "not blank"),
    ("buyers", {}, "endpoint_value", "is required"),
    ("buyers", {"endpoint_value": A, "filters": [{"tag": "a", "op": "~"}]}, "filters.0.op", "must be one of"),
    ("buyers", {"endpoint_value": A, "filters": [{"tag": "a", "op": "=~", "value": "(a+)+$"}]}, "filters.0", "repeats"),
    ("buyers", {"endpoint_value": A, "conversion_rules": [{"x": 1}]}, "conversion_rules.0.x", "not known"),
    ("buyers", {"endpoint_value": "no such group", "endpoint_type": "GROUP"}, "endpoint_value", "there is no group"),
    ("numbers", {"phone_number": "12"}, "phone_number", "E.164"),
    ("numbers", {"phone_number": A, "forward_to": A}, "forward_to", "loop"),
    ("schedules", {"timezone": "EST5EDT6"}, "timezone", "IANA"),
    ("schedules", {"weekly": {"mon": [["9", "17:00"]]}}, "weekly.mon.0.0", "HH:MM"),
    (
        "schedules",
        {"recurrence": [{"rrule": "FREQ=DAILY", "dtstart": "2026-01-01"}]},
        "recurrence.0",
        "must end",
    ),
    ("schedules", {"holidays": {"country": "XX"}}, "holidays", "XX"),
    ("states", {"state_code": "ZZ"}, "state_code", "two-letter"),
    ("trunks", {"host": "bad host"}, "host", "host name"),
    ("trunks", {"host": "a.example", "accept_from": ["1.2.3.4/8"]}, "accept_from.0", "network"),
    ("trunks", {"host": "a.example", "password": "secret"}, "username", "required"),
    ("trunks", {"host": "a.example", "port": 0}, "port", "at least 1"),
    ("suppressions", {"phone_number": A, "list_type": "buyer_suppression"}, "buyer_id", "goes with"),
    ("sources", {"payout": {"model": "share"}}, "payout", "needs share_bp"),
    ("sources", {"email": "nobody"}, "email", "must be an e-mail address"),
    ("campaigns", {"fallbacks": [{"kind": "forward", "value": "x"}]}, "fallbacks.0", "E.164"),
]


@pytest.mark.parametrize(("kind", "values", "field", "rule"), REFUSED)
async def test_refused_by_field_and_rule(db: Database, kind: str, values: dict[str, Any], field: str, rule: str):
    named = values if R[kind].key != "name" or "name" in values else {"name": "A", **values}
    with pytest.raises(Invalid) as caught:
        await add(db, kind, **named)
    assert caught.value.field == field
    assert rule in caught.value.rule
    assert await version(db) == 1
    async with db.read() as session:
        assert (await list_rows(session, R[kind], Query())).total == 0


async def test_a_secret_is_neither_shown_nor_repeated(db: Database):
    made = await add(db, "trunks", name="T", host="h.example", username="u", password="hush")
    assert "password" not in made
    assert made["has_password"] is True
    with pytest.raises(Refused) as caught:
        await edit(db, "trunks", "T", password=["hush"])
    assert "hush" not in str(caught.value)
    async with db.read() as session:
        assert "hush" not in repr(await list_rows(session, R["trunks"], Query(search="hush")))
        with pytest.raises(UnknownKey):
            await list_rows(session, R["trunks"], Query(filters={"password": ["hush"]}))


async def test_strict_values_are_of_the_right_json_type(db: Database):
    async with db.write() as session:
        for wrong in ("5", True, 1.5, None):
            with pytest.raises(Invalid, match="tier"):
                await rows.create(session, R["buyers"], {"name": "A", "endpoint_value": A, "tier": wrong}, strict=True)


async def test_taken_names(db: Database):
    await add(db, "buyers", name="A", endpoint_value=A)
    await add(db, "buyers", name="B", endpoint_value=A)
    with pytest.raises(Conflict, match="'A' is taken"):
        await add(db, "buyers", name="A", endpoint_value=A)
    with pytest.raises(Conflict, match="'A' is taken"):
        await edit(db, "buyers", "B", name="A")
    assert (await edit(db, "buyers", "A", name="A"))["version"] == 1


async def test_a_rule_for_all_buyers_is_unique_too(db: Database):
    await add(db, "states", state_code="fl")
    with pytest.raises(Conflict, match="state_code"):
        await add(db, "states", state_code="FL")


async def test_loops_are_refused_from_both_sides(db: Database):
    await add(db, "numbers", phone_number=A)
    with pytest.raises(Invalid, match=r"endpoint_value: .*loop"):
        await add(db, "buyers", name="A", endpoint_value=A)
    await add(db, "buyers", name="B", endpoint_value="+15551230002")
    with pytest.raises(Invalid, match=r"phone_number: .*loop"):
        await add(db, "numbers", phone_number="+15551230002")


async def test_a_group_that_contains_itself_or_another(db: Database):
    await add(db, "groups", name="G")
    await add(db, "groups", name="H")
    await add(db, "buyers", name="is G", endpoint_type="GROUP", endpoint_value="G")
    await add(db, "buyers", name="plain", endpoint_value=A)
    async with db.write() as session:
        with pytest.raises(Invalid, match="contain itself"):
            await links.attach(session, "groups", "G", {"buyer": "is G"})
        with pytest.raises(Invalid, match="do not nest"):
            await links.attach(session, "groups", "H", {"buyer": "is G"})
        await links.attach(session, "groups", "G", {"buyer": "plain"})
        with pytest.raises(Invalid, match="do not nest"):
            await rows.change(session, R["buyers"], "plain", {"endpoint_type": "GROUP", "endpoint_value": "G"})
        with pytest.raises(Conflict, match="points at the group"):
            await rows.change(session, R["groups"], "G", {"name": "K"})


async def test_not_all_weights_of_a_tier_are_zero(db: Database):
    await add(db, "campaigns", name="C")
    for name in ("A", "B", "Z"):
        await add(db, "buyers", name=name, endpoint_value=A, weight=0)
    async with db.write() as session:
        await links.attach(session, "campaigns", "C", {"buyer": "A"})
        with pytest.raises(Invalid, match="all weights of tier 0"):
            await links.attach(session, "campaigns", "C", {"buyer": "B"})
        await links.attach(session, "campaigns", "C", {"buyer": "B", "weight": 1})
        await links.attach(session, "campaigns", "C", {"buyer": "Z"})


async def test_a_source_has_no_more_numbers_than_its_limit(db: Database):
    await add(db, "sources", name="S", number_limit=1)
    await add(db, "numbers", phone_number=A, traffic_source="S")
    with pytest.raises(Conflict, match="number_limit_exceeded"):
        await add(db, "numbers", phone_number="+15551230002", traffic_source="S")
    assert (await edit(db, "numbers", A, notes="x"))["traffic_source"] == "S"


async def test_one_default_trunk(db: Database):
    await add(db, "trunks", name="T", host="a.example", is_default=True)
    await add(db, "trunks", name="U", host="b.example", is_default=True)
    async with db.read() as session:
        page = await list_rows(session, R["trunks"], Query(filters={"is_default": ["true"]}))
    assert [each["name"] for each in page.items] == ["U"]


async def test_references_by_name_and_by_id(db: Database):
    campaign = await add(db, "campaigns", name="C")
    made = await add(db, "numbers", phone_number=A, campaign="C")
    assert (made["campaign_id"], made["campaign"]) == (campaign["id"], "C")
    assert (await edit(db, "numbers", A[1:], campaign_id=None))["campaign"] is None
    assert (await edit(db, "numbers", str(made["id"]), campaign_id=campaign["id"]))["campaign"] == "C"


async def test_what_is_in_use_is_not_removed(db: Database):
    await add(db, "campaigns", name="C")
    await add(db, "numbers", phone_number=A, campaign="C")
    async with db.write() as session:
        with pytest.raises(Conflict, match=rf"still used by 1 of numbers: \{A}"):
            await rows.remove(session, R["campaigns"], "C")
    async with db.write() as session:
        await rows.remove(session, R["numbers"], A)
        await rows.remove(session, R["campaigns"], "C")
    async with db.read() as session:
        with pytest.raises(NotFound):
            await rows.get(session, R["campaigns"], "C")


async def test_a_removed_buyer_leaves_campaigns_and_groups(db: Database):
    await add(db, "campaigns", name="C")
    await add(db, "buyers", name="A", endpoint_value=A)
    async with db.write() as session:
        await links.attach(session, "campaigns", "C", {"buyer": "A", "tier": 3})
        await rows.remove(session, R["buyers"], "A")
        assert await links.links(session, "campaigns", "C") == []


async def test_attach_again_changes_and_detach_takes_only_the_named(db: Database):
    await add(db, "groups", name="G")
    for name in ("A", "B"):
        await add(db, "buyers", name=name, endpoint_value=A)
    async with db.write() as session:
        await links.attach(session, "groups", "G", {"buyer": "A"})
        await links.attach(session, "groups", "G", {"buyer": "B"})
        await links.attach(session, "groups", "G", {"buyer": "A", "priority": 2})
        with pytest.raises(Invalid, match="buyer: is required"):
            await links.detach(session, "groups", "G", {"group": "G"})
        await links.detach(session, "groups", "G", {"buyer": "B"})
        assert [(each["buyer"], each["priority"]) for each in await links.links(session, "groups", "G")] == [("A", 2)]
        with pytest.raises(NotFound, match="not attached"):
            await links.detach(session, "groups", "G", {"buyer": "B"})


async def test_copies(db: Database):
    await add(db, "campaigns", name="C")
    await add(db, "buyers", name="A", endpoint_value=A)
    async with db.write() as session:
        await links.attach(session, "campaigns", "C", {"buyer": "A", "weight": 7})
        first = await rows.copy(session, R["campaigns"], "C")
        second = await rows.copy(session, R["campaigns"], "C")
        assert (first["name"], first["status"], second["name"]) == ("C (Copy)", "INACTIVE", "C (Copy 2)")
        assert [each["weight"] for each in await links.links(session, "campaigns", second["id"])] == [7]


async def test_pause_and_resume(db: Database):
    await add(db, "buyers", name="A", endpoint_value=A)
    async with db.write() as session:
        assert (await rows.set_paused(session, R["buyers"], "A", True))["status"] == "INACTIVE"
        assert (await rows.set_paused(session, R["buyers"], "A", False))["status"] == "ACTIVE"
        with pytest.raises(Invalid):
            await rows.set_paused(session, R["flows"], "A", True)


async def test_two_people_edit_one_row(db: Database):
    await add(db, "buyers", name="A", endpoint_value=A)

    async def take(weight: int) -> bool:
        try:
            async with db.write() as session:
                await rows.change(session, R["buyers"], "A", {"weight": weight}, version=1)
        except Stale:
            return False
        return True

    assert sorted(await asyncio.gather(take(1), take(2))) == [False, True]


async def test_nothing_of_a_refused_transaction_stays(db: Database):
    async def two() -> None:
        async with db.write() as session:
            await rows.create(session, R["buyers"], {"name": "A", "endpoint_value": A})
            await rows.create(session, R["buyers"], {"name": "B", "endpoint_value": "x"})

    with pytest.raises(Invalid):
        await two()
    async with db.read() as session:
        assert (await session.exec(select(Buyer))).all() == []
    assert await version(db) == 1


@pytest.mark.parametrize("key", ["", "0", "99999999999999999999", "-1", "a\x00", "'; DROP TABLE buyers;--", "x" * 5000])
async def test_keys_that_name_nothing(db: Database, key: str):
    async with db.read() as session:
        with pytest.raises(NotFound):
            await rows.get(session, R["buyers"], key)


async def test_a_flow_that_cannot_run_is_refused_when_it_is_written(db: Database):
    with pytest.raises(Invalid, match="nope"):
        await add(db, "flows", name="bad", document={"start": "a", "nodes": {"a": {"type": "answer", "next": "nope"}}})
    with pytest.raises(Invalid, match="wrongtype"):
        await add(db, "flows", name="bad", document={"start": "a", "nodes": {"a": {"type": "wrongtype"}}})


async def test_the_example_loads_twice_the_same(db: Database):
    first = await load_example(db, Example(flow=FLOW))
    before = await version(db)
    assert await load_example(db, Example(flow=FLOW)) == first
    assert await version(db) == before
    async with db.read() as session:
        assert len(await links.links(session, "campaigns", "Demo")) == 3


def test_every_field_has_a_help_text():
    missing = [
        f"{kind}.{name}"
        for kind, resource in R.items()
        for name, field in resource.fields.model_fields.items()
        if not field.description
    ]
    assert missing == []


def test_every_reference_is_a_foreign_key():
    for resource in R.values():
        table = resource.model.metadata.tables[resource.table]
        assert set(resource.refs) == {c.name for c in table.columns if c.foreign_keys}
