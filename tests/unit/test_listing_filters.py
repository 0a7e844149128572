"""What lists are narrowed to, whose rows they show, and short ids wherever an id may stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows_kit import A, add, edit, listed, migrated, names, opened

from dcx_ari.services import links, rows
from dcx_ari.services.errors import Invalid, NotFound, Refused, UnknownKey
from dcx_ari.services.filters import values_in
from dcx_ari.services.find import find_id
from dcx_ari.services.listing import Query, list_rows
from dcx_ari.services.resources import RESOURCES
from dcx_ari.services.scope import Scope
from dcx_ari.services.short_ids import LONGEST, MAX_ID, id_of, short_id
from dcx_ari.store.db import Database
from dcx_ari.store.models import Call

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def db(tmp_path: Path, template: Path):
    async with opened(template, tmp_path) as database:
        yield database


def test_each_kind_has_two_letters_of_its_own():
    prefixes = [resource.prefix for resource in RESOURCES.values()]
    wrong = [
        name for name, resource in RESOURCES.items() if not (len(resource.prefix) == 2 and resource.prefix.isupper())
    ]
    assert wrong == [], "give them a prefix in services/resources.py"
    assert len(set(prefixes)) == len(prefixes)


@given(st.integers(1, MAX_ID))
def test_a_short_id_is_read_back(number: int):
    for name in ("campaigns", "sources", "buyers"):
        text = short_id(RESOURCES[name], number)
        assert (id_of(RESOURCES[name], text), len(text) <= LONGEST) == (number, True)


@given(st.text("CMcm-0129azAZ_ é", max_size=8))
def test_what_is_read_as_a_short_id_is_spelled_so(text: str):
    campaigns = RESOURCES["campaigns"]
    number = id_of(campaigns, text)
    assert number is None or short_id(campaigns, number) == text[:2].upper() + text[2:]


def test_the_examples():
    found = {name: RESOURCES[name].prefix for name in ("campaigns", "sources", "buyers")}
    assert found == {"campaigns": "CM", "sources": "TS", "buyers": "BY"}
    assert short_id(RESOURCES["campaigns"], 61 + 62 * 2) == "CM-2z"
    assert id_of(RESOURCES["campaigns"], "cm-2z") == 185
    for text in ("CM-", "CM-0", "CM-01", "CM-zzzzzzz", "TS-1", "CM1", "CM-é", "CM--1", "", "-1"):
        assert id_of(RESOURCES["campaigns"], text) is None


async def test_short_ids_stand_wherever_ids_do(db: Database):
    campaign = await add(db, "campaigns", name="C")
    number = await add(db, "numbers", phone_number=A, campaign=campaign["short_id"])
    buyer = await add(db, "buyers", name="B", endpoint_value="+12125550111")
    assert number["campaign"] == "C"
    async with db.write() as session:
        assert await find_id(session, RESOURCES["campaigns"], "cm-1") == 1
        assert (await rows.get(session, RESOURCES["campaigns"], "CM-1"))["name"] == "C"
        await links.attach(session, "campaigns", "CM-1", {"buyer": buyer["short_id"]})
        assert [each["buyer"] for each in await links.links(session, "campaigns", "CM-1")] == ["B"]
        await links.detach(session, "campaigns", "CM-1", {"buyer_id": "BY-1"})
    assert (await listed(db, "numbers", campaign="CM-1")).total == 1
    assert (await listed(db, "numbers", campaign_id="CM-2")).total == 0
    assert (await listed(db, "numbers", id="NU-1,NU-7")).total == 1
    assert (await listed(db, "numbers", short_id="1")).total == 1
    assert (await listed(db, "numbers", "nu-1")).total == 1
    with pytest.raises(Invalid):
        await listed(db, "numbers", id="CM-1")


async def test_a_name_that_could_be_another_rows_short_id_is_refused(db: Database):
    await add(db, "sources", name="TS-Google")  # too large for an id
    await add(db, "sources", name="CM-1")  # another kind's
    with pytest.raises(Invalid, match="short id"):
        await add(db, "sources", name="TS-1")
    with pytest.raises(Invalid, match="short id"):
        await edit(db, "sources", "TS-1", name="ts-2")


async def test_values_empty_values_and_ranges(db: Database):
    for name, vertical in (("A", "MEDICARE"), ("B", "ACA"), ("C", ""), ('Q, "x"', "ACA")):
        await add(db, "campaigns", name=name, vertical=vertical)
    await add(db, "numbers", phone_number=A)
    assert names(await listed(db, "campaigns", vertical="MEDICARE,ACA", name="A,B")) == ["A", "B"]
    assert (await listed(db, "numbers", campaign="null")).total == 1
    assert (await listed(db, "numbers", campaign="null,A", status="ACTIVE")).total == 1
    assert (await listed(db, "numbers", campaign="A")).total == 0
    assert (await listed(db, "campaigns", daily_cap="null")).total == 4
    assert (await listed(db, "campaigns", created_from="2020-01-01", created_to="2999-01-01")).total == 4
    assert (await listed(db, "campaigns", updated_to="2020-01-01")).total == 0
    async with db.read() as session:
        quoted = Query({"name": values_in('"Q, ""x""",B')})
        assert names(await list_rows(session, RESOURCES["campaigns"], quoted)) == ["B", 'Q, "x"']


async def test_a_day_ends_on_the_companys_clock(db: Database):
    await add(db, "campaigns", name="C")
    async with db.write() as session:
        row: Any = await session.get(RESOURCES["campaigns"].model, 1)
        row.created_at = 1_767_243_600_000  # 2026-01-01T00:00-05:00
    assert (await listed(db, "campaigns", created_from="2026-01-01", created_to="2026-01-01")).total == 1
    assert (await listed(db, "campaigns", created_to="2025-12-31")).total == 0
    assert (await listed(db, "campaigns", created_from="2026-01-01T05:00:00.001Z")).total == 0


async def test_campaigns_with_buyers_who_are_not_paused(db: Database):
    for name in ("None", "Paused", "Detached", "Buyer", "Empty group", "Group"):
        await add(db, "campaigns", name=name)
    for name, status in (("on", "ACTIVE"), ("off", "INACTIVE")):
        await add(db, "buyers", name=name, endpoint_value="+12125550111", status=status)
        await add(db, "groups", name=name)
    await add(db, "group-members", group="on", buyer="on")
    await add(db, "group-members", group="off", buyer="off")
    for campaign, link in (
        ("Paused", {"buyer": "off"}),
        ("Detached", {"buyer": "on", "status": "INACTIVE"}),
        ("Buyer", {"buyer": "on"}),
        ("Empty group", {"group": "off"}),
        ("Group", {"group": "on"}),
    ):
        await add(db, "campaign-buyers", campaign=campaign, **link)
    assert names(await listed(db, "campaigns", has_active_buyers="true")) == ["Buyer", "Group"]
    assert len(names(await listed(db, "campaigns", has_active_buyers="false"))) == 4


async def test_campaigns_by_what_their_calls_brought(db: Database):
    for name in ("None", "Little", "Much"):
        await add(db, "campaigns", name=name)
    calls = ((2, 2_550, False), (3, 9_000, False), (3, 1_000, False), (2, 99_999, True))
    async with db.write() as session:
        for number, (campaign, cents, test) in enumerate(calls):
            session.add(Call(id=f"c{number}", started_at=1, campaign_id=campaign, revenue_cents=cents, test=test))
    for filters, found in (
        ({"revenue_min": "25.50"}, ["Little", "Much"]),
        ({"revenue_min": "25.51"}, ["Much"]),
        ({"revenue_max": "25.5"}, ["None", "Little"]),
        ({"revenue_min": "0"}, ["None", "Little", "Much"]),
        ({"revenue_min": "0.01", "revenue_max": "99.99"}, ["Little"]),
        ({"revenue_max": "-1"}, []),
    ):
        assert names(await listed(db, "campaigns", **filters)) == found, filters


async def test_words_are_looked_for_in_all_texts(db: Database):
    await add(db, "sources", name="Radio", first_name="Ann", last_name="Smith", notes="met in 50% off_sale")
    await add(db, "sources", name="Ann", company="Smythe")
    assert names(await listed(db, "sources", "smith ANN")) == ["Radio"]
    assert names(await listed(db, "sources", "ann")) == ["Radio", "Ann"]
    for text, total in (("50%", 1), ("f_s", 1), ("%", 1), ("_", 1), ("\\", 0), ("ann\nsmith", 1), ("  ", 2)):
        assert (await listed(db, "sources", text)).total == total, text


async def test_a_secret_is_neither_searched_nor_sorted_nor_filtered_by(db: Database):
    await add(db, "trunks", name="T", host="sip.example", username="u", password="hunter2hunter2")
    assert (await listed(db, "trunks", "hunter2")).total == 0
    for query in (Query({"password": ["x"]}), Query(sort_by="password")):
        async with db.read() as session:
            with pytest.raises(UnknownKey):
                await list_rows(session, RESOURCES["trunks"], query)


@pytest.mark.parametrize(
    ("filters", "field", "rule"),
    [
        ({"stauts": "ACTIVE"}, "stauts", "did you mean status?"),
        ({"tier": "1.5"}, "tier", "not a value"),
        ({"created_from": "soon"}, "created_from", "must be a day"),
        ({"has_active_buyers": "perhaps"}, "has_active_buyers", "true or false"),
        ({"revenue_min": "1e400"}, "revenue_min", "amount of money"),
        ({"revenue_min": "nan"}, "revenue_min", "amount of money"),
        ({"revenue_max": "1.005"}, "revenue_max", "amount of money"),
        ({"name": "a\0b"}, "name", "NUL"),
        ({"id": "9" * 400}, "id", "is not the id"),
    ],
)
async def test_filters_that_make_no_sense(db: Database, filters: dict[str, str], field: str, rule: str):
    kind = "campaigns" if field != "tier" else "buyers"
    with pytest.raises(Refused) as caught:
        await listed(db, kind, **filters)
    assert (caught.value.field, rule in caught.value.rule) == (field, True), caught.value.rule


async def test_a_scope_shows_ones_own_rows_and_nothing_of_others(db: Database):
    for number in (1, 2):
        await add(db, "sources", name=f"S{number}")
        await add(db, "buyers", name=f"B{number}", endpoint_value="+12125550111")
        await add(db, "numbers", phone_number=f"+1555123000{number}", traffic_source=f"S{number}")
        await add(db, "campaigns", name=f"C{number}")
    seen = {
        "buyer": (Scope(buyer_id=2), {"buyers": [2], "sources": [], "numbers": [], "campaigns": []}),
        "source": (Scope(source_id=2), {"buyers": [], "sources": [2], "numbers": [2], "campaigns": []}),
        "both": (Scope(2, 1), {"buyers": [], "sources": [], "numbers": [], "campaigns": []}),
        "nobody": (Scope(buyer_id=77), {"buyers": [], "sources": [], "numbers": []}),
        "all": (Scope(), {"buyers": [1, 2], "sources": [1, 2], "numbers": [1, 2], "campaigns": [1, 2]}),
    }
    for scope, wanted in seen.values():
        async with db.read() as session:
            session.info["scope"] = scope
            for kind, ids in wanted.items():
                page = await list_rows(session, RESOURCES[kind], Query())
                assert ([each["id"] for each in page.items], page.total) == (ids, len(ids)), (scope, kind)
                for row_id in (1, 2):
                    assert (await find_id(session, RESOURCES[kind], row_id) is not None) == (row_id in ids)


async def test_a_row_outside_the_scope_is_not_there_and_not_proposed(db: Database):
    for name in ("Acme", "Other"):
        await add(db, "buyers", name=name, endpoint_value="+12125550111")
    async with db.read() as session:
        session.info["scope"] = Scope(buyer_id=2)
        for key in ("Acme", "acme", "1", "BY-1"):
            with pytest.raises(NotFound) as caught:
                await rows.get(session, RESOURCES["buyers"], key)
            assert caught.value.rule == f"there is no buyer {key!r}"
        assert (await rows.get(session, RESOURCES["buyers"], "Other"))["id"] == 2
