"""Files become rows: good ones land, bad ones are told by row, field and rule; the rules are those of single rows."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from dcx_ari.services import importing
from dcx_ari.services.audit import Actor
from dcx_ari.services.errors import Invalid, Refused
from dcx_ari.services.exporting import template_csv
from dcx_ari.services.import_batch import telling
from dcx_ari.services.importing import Report, import_csv
from dcx_ari.services.listing import Query, list_rows
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.db import Database
from dcx_ari.store.errors import StoreError
from dcx_ari.store.models import AuditEntry, Buyer, ConfigVersion
from tests.unit.objects_kit import add, make_template, open_copy

pytestmark = pytest.mark.unit
HEADER = "name,endpoint_type,endpoint_value,tier,weight,revenue_cents,daily_cap,monthly_cap"
SAMPLE = f"""{HEADER}
"Buyer A",PHONE_NUMBER,+15551234567,0,100,1000,50,1500
"Buyer B",PHONE_NUMBER,+15559876543,1,50,800,25,750
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    opened = replace(open_copy(template, tmp_path), info={"actor": Actor("cli", "ann", "ann")})
    yield opened
    await opened.close()


async def load(db: Database, text: str | bytes, kind: str = "buyers", **options: Any) -> Report:
    data = text.encode() if isinstance(text, str) else text
    return await import_csv(db, RESOURCES[kind], io.BytesIO(data), **options)


async def rows_of(db: Database, kind: str = "buyers", *columns: str) -> list[Any]:
    async with db.read() as session:
        items = (await list_rows(session, RESOURCES[kind], Query(limit=None))).items
    return [tuple(item[name] for name in columns) for item in items] if columns else items


def counts(report: Report) -> tuple[int, int, int, int]:
    return report.created, report.updated, report.unchanged, report.failed


def faults(report: Report) -> list[tuple[int, str, str]]:
    return [(fault.row, fault.field, fault.rule) for fault in report.errors]


async def test_the_sample_of_the_contract(db: Database):
    assert template_csv(RESOURCES["buyers"]).decode().strip() == HEADER
    report = await load(db, SAMPLE)
    assert report.as_json() == {
        "created": 2,
        "updated": 0,
        "unchanged": 0,
        "failed": 0,
        "rows": 2,
        "dry_run": False,
        "errors": [],
    }
    assert await rows_of(db, "buyers", "name", "endpoint_value", "tier", "weight", "daily_cap", "monthly_cap") == [
        ("Buyer A", "+15551234567", 0, 100, 50, 1500),
        ("Buyer B", "+15559876543", 1, 50, 25, 750),
    ]


async def test_rows_are_made_or_changed_by_their_key(db: Database):
    await load(db, SAMPLE)
    report = await load(db, "name,tier,weight\nBuyer A,5,100\nBuyer B,1,50\n")
    assert counts(report) == (0, 1, 1, 0)
    assert await rows_of(db, "buyers", "name", "tier", "weight", "version", "daily_cap") == [
        ("Buyer A", 5, 100, 2, 50),
        ("Buyer B", 1, 50, 1, 25),
    ]


async def test_good_rows_land_and_bad_ones_are_named(db: Database):
    text = f"""{HEADER}
Good,PHONE_NUMBER,+15551230001,0,100,1000,50,1500
Bad number,PHONE_NUMBER,5551230002,0,100,1000,50,1500
Bad weight,PHONE_NUMBER,+15551230003,0,101,1000,50,1500

,PHONE_NUMBER,+15551230004,0,100,1000,50,1500
Bad type,FAX,+15551230005,0,100,1000,50,1500
Good,PHONE_NUMBER,+15551230006,0,100,1000,50,1500
Long,PHONE_NUMBER,+15551230007,0,100,1000,50,1500,9
17,PHONE_NUMBER,+15551230008,0,100,1000,50,1500
Short,PHONE_NUMBER,+15551230009
"""
    report = await load(db, text)
    assert faults(report) == [
        (3, "endpoint_value", "must be an E.164 number such as +15551234567"),
        (4, "weight", "must be at most 100"),
        (6, "name", "is required"),
        (7, "endpoint_type", "must be one of PHONE_NUMBER, SIP, AGENT, GROUP or AI"),
        (8, "name", "is in the file already, in row 2"),
        (9, "row", "has 9 cells, the header only 8"),
        (10, "name", "must not be digits alone: those are taken for an id"),
    ]
    assert (counts(report), report.rows) == ((2, 0, 0, 7), 9)
    assert await rows_of(db, "buyers", "name", "revenue_cents", "daily_cap") == [("Good", 1000, 50), ("Short", 0, None)]
    assert report.as_json()["errors"][0] == {
        "row": 3,
        "field": "endpoint_value",
        "message": "endpoint_value: must be an E.164 number such as +15551234567",
    }


async def test_an_empty_cell_is_the_default_and_a_missing_column_is_left_alone(db: Database):
    await load(db, SAMPLE)
    await load(db, "name,daily_cap,weight,endpoint_type,endpoint_value\nBuyer A,,,,sip:a@10.0.0.1\n")
    assert await rows_of(db, "buyers", "daily_cap", "weight", "monthly_cap", "endpoint_type", "endpoint_value") == [
        (None, 100, 1500, "SIP", "sip:a@10.0.0.1"),
        (25, 50, 750, "PHONE_NUMBER", "+15559876543"),
    ]


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("name,endpoint,tier", "header: 'endpoint' (column 2) is not a column of buyers: did you mean endpoint_type?"),
        ("Buyer A,PHONE_NUMBER,+15551234567", "header: 'buyer_a' (column 1) is not a column of buyers"),
        ("tier,weight", "header: must have the column name; a whole one: " + HEADER),
        ("name,tier,Tier", "header: names tier twice"),
        ("", "file: must name the columns in its first row, which is empty"),
        ('"name,tier', "header: a quote is opened in this row and not closed"),
        ("name,password", "header: 'password' (column 2) is not a column of buyers"),
    ],
)
async def test_a_header_that_cannot_be_used(db: Database, header: str, told: str):
    with pytest.raises(Invalid) as error:
        await load(db, header)
    assert str(error.value).startswith(told)


async def test_columns_in_any_order_and_spelling_and_those_of_an_export(db: Database):
    text = "Weight;Endpoint Value;ID;NAME;created-at;version;created_by\n7;+15551230001;99;A;2020-01-01;4;eve\n"
    assert counts(await load(db, text)) == (1, 0, 0, 0)
    assert await rows_of(db, "buyers", "id", "name", "weight", "version") == [(1, "A", 7, 1)]


async def test_other_rows_are_named_by_key_or_id(db: Database):
    await add(db, "campaigns", name="Auto")
    source = await add(db, "sources", name="Web", number_limit=1)
    text = f"""phone_number,campaign,traffic_source_id
+18005550001,Auto,{source["id"]}
+18005550002,Aut,
+18005550003,Auto,{source["id"]}
+18005550004,{1},
"""
    report = await load(db, text, "numbers")
    assert faults(report) == [
        (3, "campaign", "there is no campaign 'Aut': did you mean Auto?"),
        (4, "traffic_source_id", "number_limit_exceeded: 'Web' may have 1"),
    ]
    assert await rows_of(db, "numbers", "phone_number", "campaign", "traffic_source") == [
        ("+18005550001", "Auto", "Web"),
        ("+18005550004", "Auto", None),
    ]


async def test_the_rules_of_single_rows_hold(db: Database):
    """Those that need other rows, which are looked up for the whole batch."""
    await add(db, "numbers", phone_number="+18005550001")
    await add(db, "groups", name="Team")
    text = """name,endpoint_type,endpoint_value
Loop,PHONE_NUMBER,+18005550001
Nobody,GROUP,Temm
Team,GROUP,Team
Fine,,+15551230001
"""
    report = await load(db, text)
    assert faults(report) == [
        (2, "endpoint_value", "must not lead back to our own number +18005550001 (loop)"),
        (3, "endpoint_value", "must be the name of a group: there is no group 'Temm'"),
    ]
    assert counts(report) == (2, 0, 0, 2)
    forwards = "phone_number,forward_to\n+18005550002,+18005550003\n+18005550003,+18005550002\n+15551230001,\n"
    assert [fault[:2] for fault in faults(await load(db, forwards, "numbers"))] == [
        (3, "forward_to"),
        (4, "phone_number"),
    ]
    trunks = "name,host,is_default\nOne,a.example.com,true\nTwo,b.example.com,yes\n"
    assert counts(await load(db, trunks, "trunks")) == (2, 0, 0, 0)
    assert await rows_of(db, "trunks", "name", "is_default") == [("One", False), ("Two", True)]


async def test_suppressions_are_the_same_by_number_list_and_buyer(db: Database):
    await load(db, SAMPLE)
    text = """phone_number,list_type,buyer,reason,expires_at
+12125550001,blacklist,,spam,2030-01-01T00:00:00Z
(212) 555-0002,blacklist,,spam,
+1 212 555 0003,,Buyer A,,
+12125550001,,Buyer A,asked,
+12125550001,blacklist,,again,
+12125550004,blacklist,Buyer A,,
"""
    report = await load(db, text, "suppressions")
    assert faults(report) == [
        (3, "phone_number", "must be an E.164 number such as +15551234567"),
        (6, "phone_number", "is in the file already, in row 2"),
        (7, "buyer_id", "goes with list_type buyer_suppression, and only there"),
    ]
    again = await load(db, "phone_number,buyer,reason\n+12125550001,,fraud\n+12125550003,Buyer A,\n", "suppressions")
    assert counts(again) == (0, 1, 1, 0)
    assert await rows_of(db, "suppressions", "phone_number", "list_type", "buyer", "reason") == [
        ("+12125550001", "blacklist", None, "fraud"),
        ("+12125550003", "buyer_suppression", "Buyer A", ""),
        ("+12125550001", "buyer_suppression", "Buyer A", "asked"),
    ]


async def test_dry_run_says_the_same_and_writes_nothing(db: Database):
    await load(db, SAMPLE)
    text = f"{HEADER}\nBuyer A,,+15551234567,9,,,,\nNew,,+15551230001,,,,,\nBad,,nonsense,,,,,\n"
    told = await load(db, text, dry_run=True)
    assert counts(told) == (1, 1, 0, 1)
    assert await rows_of(db, "buyers", "name", "version") == [("Buyer A", 1), ("Buyer B", 1)]
    real = await load(db, text)
    assert (counts(real), faults(real)) == (counts(told), faults(told))


@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_atomic_is_all_or_none(db: Database, monkeypatch: pytest.MonkeyPatch, batch: int):
    monkeypatch.setattr(importing, "BATCH", batch)
    await add(db, "numbers", phone_number="+18005550001")
    start = f"{HEADER}\nA,,+15551230001,,,,,\nB,,+15551230002,,,,,\n"
    for bad in ("C,,nonsense,,,,,\n", "C,,+18005550001,,,,,\n", "A,,+15551230003,,,,,\n"):
        report = await load(db, start + bad, atomic=True)
        assert (report.landed, counts(report)) == (False, (0, 0, 0, 1))
        assert await rows_of(db) == []
    report = await load(db, start, atomic=True)
    assert (report.landed, counts(report)) == (True, (2, 0, 0, 0))
    monkeypatch.setattr(importing, "ATOMIC_ROWS", 1)
    with pytest.raises(Invalid, match="atomic: takes at most 1 rows at once"):
        await load(db, start, atomic=True)


@pytest.mark.parametrize(
    ("row", "tier", "weight"), [("Buyer A,7,100,+15551234567", 7, 100), ("New,8,,+15551230001", 8, 100)]
)
async def test_a_change_by_somebody_else_meanwhile(
    db: Database, monkeypatch: pytest.MonkeyPatch, row: str, tier: int, weight: int
):
    """Prepared rows are compared again under the lock: what moved goes through the rules once more."""
    await load(db, SAMPLE)
    prepare = importing.Preparer.prepare

    async def slow(self: Any, session: Any, taken: Any) -> Any:
        batch = await prepare(self, session, taken)
        await add(db, "buyers", name="New", endpoint_value="+15551230001", notes="somebody's")
        async with db.write() as other:
            old = (await other.exec(select(Buyer).where(col(Buyer.name) == "Buyer A"))).one()
            old.notes, old.weight, old.version = "somebody's", 3, old.version + 1
        return batch

    monkeypatch.setattr(importing.Preparer, "prepare", slow)
    report = await load(db, f"name,tier,weight,endpoint_value\n{row}\n")
    assert counts(report) == (0, 1, 0, 0)
    name = row.partition(",")[0]
    rows = await rows_of(db, "buyers", "name", "tier", "weight", "notes")
    assert [each for each in rows if each[0] == name] == [(name, tier, weight, "somebody's")]


def test_keys_of_several_columns_are_found_by_the_one_that_tells_them_apart():
    """Not by "no buyer", which half of a large table may have."""
    columns = ("phone_number", "list_type", "buyer_id")
    keys = [(f"+{n}", "blacklist", None) for n in range(3)]
    assert telling(columns, keys) == {"phone_number": {"+0", "+1", "+2"}}
    assert telling(columns, keys[:1]) == {"phone_number": {"+0"}, "list_type": {"blacklist"}}
    assert telling(("campaign_id", "buyer_id", "group_id"), [(1, 2, None), (1, 3, None)]) == {"buyer_id": {2, 3}}


async def test_every_row_is_in_the_audit_log_and_routing_is_told(db: Database):
    await load(db, SAMPLE)
    async with db.read() as session:
        before = (await session.exec(select(ConfigVersion.version))).one()
    await load(db, "name,tier\nBuyer A,3\nBuyer B,1\n")
    async with db.read() as session:
        entries = (await session.exec(select(AuditEntry).order_by(col(AuditEntry.id)))).all()
        after = (await session.exec(select(ConfigVersion.version))).one()
    assert [(each.action, each.resource_id, each.actor_name) for each in entries] == [
        ("buyer.created", "1", "ann"),
        ("buyer.created", "2", "ann"),
        ("buyer.updated", "1", "ann"),
    ]
    assert entries[2].changes == '{"after":{"tier":3},"before":{"tier":0}}'
    assert after == before + 1


async def test_a_password_is_not_in_the_audit_log(db: Database):
    await load(db, "name,host,username,password\nT,a.example.com,u,hunter2\n", "trunks")
    async with db.read() as session:
        changes = (await session.exec(select(AuditEntry.changes))).one()
    assert "hunter2" not in changes
    assert "password" not in [n for n in (await rows_of(db, "trunks"))[0] if not n.startswith("has_")]


async def test_flows_schedules_and_lists_in_cells(db: Database):
    flows = 'name,document,status\nF,"{""start"":""end"",""nodes"":{""end"":{""type"":""hangup""}}}",published\nG,{},\n'
    report = await load(db, flows, "flows")
    assert (counts(report)[0], [fault[:2] for fault in faults(report)]) == (1, [(3, "document")])
    schedules = 'name,weekly\nS,"{""mon"":[[""09:00"",""17:00""]]}"\nT,"{""mon"":[[""9"",""5""]]}"\nU,[\n'
    report = await load(db, schedules, "schedules")
    assert [fault[:2] for fault in faults(report)] == [(3, "weekly.mon.0.0"), (4, "weekly")]
    buyers = 'name,endpoint_value,skills,filters\nA,+15551230001,"es, fr","[{""tag"":""zip"",""op"":""exists""}]"\n'
    assert counts(await load(db, buyers)) == (1, 0, 0, 0)
    assert (await rows_of(db, "buyers", "skills"))[0] == (["es", "fr"],)


async def test_a_million_errors_are_counted_not_kept(db: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importing, "MOST_ERRORS", 3)
    report = await load(db, "name,tier\n" + "A,x\n" * 1_200)
    assert (report.failed, len(report.errors), report.rows) == (1_200, 3, 1_200)


async def test_a_busy_database_is_asked_again(db: Database, monkeypatch: pytest.MonkeyPatch):
    once = importing._write_once
    asked = []

    async def busy(*args: Any) -> None:
        asked.append(1)
        if len(asked) == 1:
            raise StoreError("database is busy", retry=True)
        await once(*args)

    monkeypatch.setattr(importing, "_write_once", busy)
    monkeypatch.setattr(importing, "_PAUSE_S", 0)
    assert counts(await load(db, SAMPLE)) == (2, 0, 0, 0)


async def test_a_rule_that_only_the_database_knows(db: Database, monkeypatch: pytest.MonkeyPatch):
    """It costs the batch its speed, not its rows: each then goes through the rules by itself."""
    from dcx_ari.services import import_write
    from dcx_ari.services.import_batch import Ready

    write = import_write._write

    async def breaking(session: Any, resource: Any, run: list[Ready]) -> Any:
        run[1].values["weight"] = 1_000  # as if no rule of ours had seen it
        return await write(session, resource, run)

    monkeypatch.setattr(import_write, "_write", breaking)
    text = "name,endpoint_value,weight\nA,+15551230001,1\nB,+15551230002,2\nC,+15551230003,3\n"
    assert counts(await load(db, text)) == (3, 0, 0, 0)
    assert await rows_of(db, "buyers", "name", "weight") == [("A", 1), ("B", 2), ("C", 3)]


async def test_refused_is_what_single_rows_are_refused_with(db: Database):
    """One rule, one message: the import says what `rows.create` says."""
    cases = {
        "weight": {"name": "A", "endpoint_value": "+15551230001", "weight": "-1"},
        "ring_timeout_s": {"name": "A", "endpoint_value": "+15551230001", "ring_timeout_s": "1"},
        "timezone": {"name": "A", "endpoint_value": "+15551230001", "timezone": "Mars"},
        "accept_digit": {"name": "A", "endpoint_value": "+15551230001", "accept_digit": "12"},
        "name": {"name": "B-1\x07", "endpoint_value": "+15551230001"},
    }
    for field, values in cases.items():
        with pytest.raises(Refused) as single:
            await add(db, "buyers", **values)
        text = ",".join(values) + "\n" + ",".join(values.values()) + "\n"
        assert faults(await load(db, text)) == [(2, single.value.field, single.value.rule)], field
