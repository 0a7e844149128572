"""Flows from draft to version and back, through services, API and command line; and their pictures."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator
from dataclasses import replace
from io import BytesIO
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from dcx_ari import examples
from dcx_ari.flows.document import from_data, load_yaml, parse
from dcx_ari.flows.drawing import Counts, TooLarge, mermaid, svg
from dcx_ari.flows.known import Known
from dcx_ari.flows.source import as_text
from dcx_ari.services import flow_pictures, flow_versions, rows
from dcx_ari.services.errors import Conflict, Invalid, NotFound
from dcx_ari.services.publishing import NotPublished
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store import models as m
from dcx_ari.store.db import Database
from dcx_cli.main import app
from tests.unit.access_kit import key_of, migrated, serving
from tests.unit.rows_kit import add, edit, opened

pytestmark = pytest.mark.unit

EXAMPLE = Path(examples.__file__).with_name("insurance.yaml")
HANGUP = {"start": "end", "nodes": {"end": {"type": "hangup"}}}
SAYS = {"start": "end", "nodes": {"end": {"type": "hangup", "say": "Bye."}}}
AHEAD = {
    "start": "a",
    "nodes": {"a": {"type": "route", "campaign": "To come", "on": {"any": "b"}}, "b": {"type": "hangup"}},
}


@pytest.fixture(scope="module")
def template() -> Path:
    return migrated()


@pytest.fixture
async def db(template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(template, tmp_path) as database:
        yield database


async def numbers(db: Database, flow: str) -> list[tuple[int, bool]]:
    async with db.read() as session:
        return [(each["number"], each["active"]) for each in await flow_versions.versions(session, flow)]


async def test_drafts_become_numbered_versions(db: Database) -> None:
    await add(db, "flows", name="F", document=HANGUP)
    assert await numbers(db, "F") == []
    async with db.write() as session:
        made = await flow_versions.publish(session, "F", note="first")
    assert (made.version["number"], made.version["active"], made.version["note"]) == (1, True, "first")
    async with db.write() as session:
        assert (await flow_versions.publish(session, "F")).version["number"] == 1  # nothing has changed
    await edit(db, "flows", "F", document=SAYS)
    assert await numbers(db, "F") == [(1, True)]
    async with db.read() as session:
        told = await flow_versions.diff(session, "F")
        assert "--- F (version 1)" in told
        assert "+++ F (draft)" in told
        assert "+    say: Bye." in told
        assert await flow_versions.diff(session, "F", 1, 1) == ""
    source = "# with a comment\nstart: end\nnodes: {end: {type: hangup, say: Bye.}}\n"
    async with db.write() as session:
        assert (await flow_versions.publish(session, "F", source=source)).version["number"] == 2
    async with db.read() as session:
        assert (await flow_versions.show(session, "F"))["source"] == source
        assert load_yaml((await flow_versions.show(session, "F", 1))["source"]) == HANGUP


async def test_back_to_an_earlier_version(db: Database) -> None:
    await add(db, "flows", name="F", document=HANGUP, status="published")
    with pytest.raises(Conflict, match="none before version 1"):
        async with db.write() as session:
            await flow_versions.roll_back(session, "F")
    await edit(db, "flows", "F", document=SAYS, status="published")
    async with db.write() as session:
        made = await flow_versions.roll_back(session, "F")
    assert (made.version["number"], made.version["note"]) == (3, "back to version 1")
    async with db.read() as session:
        assert (await flow_versions.show(session, "F"))["document"] == HANGUP
        assert await flow_versions.diff(session, "F") == ""  # the draft went back, too
    for number, fault in ((9, NotFound), (0, Invalid), (3, Conflict)):
        with pytest.raises(fault):
            async with db.write() as session:
                await flow_versions.roll_back(session, "F", number)
    assert [number for number, _ in await numbers(db, "F")] == [3, 2, 1]


async def test_a_draft_may_name_what_is_still_to_come(db: Database) -> None:
    await add(db, "flows", name="F", document=AHEAD)
    with pytest.raises(NotPublished, match='there is no campaign "To come"') as refused:
        async with db.write() as session:
            await flow_versions.publish(session, "F")
    (problem,) = [each for each in refused.value.as_json()["problems"] if each["level"] == "error"]
    assert (problem["path"], problem["line"], problem["column"]) == (["nodes", "a", "campaign"], 5, 15)
    with pytest.raises(NotPublished):
        await edit(db, "flows", "F", status="published")
    async with db.read() as session:
        assert await flow_versions.versions(session, "F") == []
    await add(db, "campaigns", name="To come")
    async with db.write() as session:
        assert (await flow_versions.publish(session, "F")).version["number"] == 1


async def test_the_api(db: Database) -> None:
    headers = await key_of(db, "k")
    viewer = await key_of(db, "v", "viewer")
    await add(db, "flows", name="F", document=HANGUP)
    async with serving(db) as client:

        async def ask(method: str, path: str, body: Any = None, by: dict[str, str] = headers) -> tuple[int, Any]:
            async with client.request(method, f"/api/flows/{path}", json=body, headers=by) as response:
                return response.status, await response.json()

        assert (await ask("POST", "F/publish", by=viewer))[0] == 403
        status, told = await ask("POST", "F/publish", {"source": "start: a\nnodes:\n  a: {type: goto, next: b}\n"})
        assert status == 422
        assert [(each["line"], each["column"]) for each in told["problems"]] == [(3, 25)]
        bomb = "a: &a [x]\nb: [*a, *a]\n"
        assert (await ask("POST", "F/publish", {"source": bomb}))[0] == 422
        large, kind = BytesIO(b'{"source": "%s"}' % (b"x" * 10_000_000)), {"Content-Type": "application/json"}
        async with client.post("/api/flows/F/publish", data=large, headers={**headers, **kind}) as response:
            assert response.status == 413
        assert (await ask("POST", "F/publish", {"note": "n", "extra": 1}))[0] == 422
        assert (await ask("POST", "F/publish", {"note": "first"}))[1]["number"] == 1
        assert (await ask("POST", "F/rollback", {"to": 7}))[0] == 404
        assert (await ask("POST", "F/rollback", {"to": True}))[0] == 422
        assert (await ask("GET", "F/versions/9", by=viewer))[0] == 404
        assert (await ask("GET", "F/versions/1", by=viewer))[1]["document"] == HANGUP
        assert [each["number"] for each in (await ask("GET", "F/versions"))[1]["data"]] == [1]
        assert (await ask("GET", "F/diff?from=1&to=draft"))[1] == {"diff": ""}
        assert (await ask("GET", "F/diff?from=x"))[0] == 422
        status, told = await ask("POST", "check", {"source": bomb})
        assert (status, told["errors"], told["problems"][0]["code"]) == (200, 1, "alias")
        assert (await ask("POST", "check", {"document": HANGUP}))[1]["errors"] == 0
        assert (await ask("POST", "check", {}))[0] == 422
        async with client.get("/api/flows/F/drawing.svg?from=2026-03-01", headers=viewer) as response:
            assert response.content_type == "image/svg+xml"
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            ElementTree.fromstring(await response.text())  # noqa: S314  our own
        async with db.read() as session:
            query = m.AuditEntry.__table__.select().order_by(m.AuditEntry.__table__.c.id)  # type: ignore[attr-defined]
            actions = [row.action for row in await (await session.connection()).execute(query)]
        assert actions.count("flow.published") == 1


UNHEARD: dict[str, dict[str, Any]] = {  # what each is about → a last word that callers would not hear
    "there is no sound": {"sound": "no-such-sound"},
    "there is no voice": {"say": [{"say": "Bye.", "voice": "hal"}]},
    "there is no prompt": {"say": [{"prompt": "goodbye"}]},
    "no engine": {"say": "Bye."},
}


def hears(problem: str) -> Known:
    """An Asterisk with one sound, and one voice unless it is said that none can speak."""
    silent = "flite is missing: no engine" if problem == "no engine" else ""
    return Known(sounds=frozenset({"beep"}), voices=frozenset({"slt"}), speech=silent)


@pytest.mark.parametrize("problem", UNHEARD)
async def test_what_callers_would_not_hear_is_refused_on_every_way_to_publish(db: Database, problem: str) -> None:
    document = {"start": "end", "nodes": {"end": {"type": "hangup", **UNHEARD[problem]}}}
    async with db.write() as session:
        session.info["audible"] = lambda: Known(speech="")
        flow = await rows.create(session, RESOURCES["flows"], {"name": "F", "document": HANGUP, "status": "published"})
        for each in (document, HANGUP):  # versions 2 and 3: what was heard then is not heard any more
            session.add(m.FlowVersion(flow_id=flow["id"], number=2 + (each is HANGUP), document=each, published_at=1))
    await edit(db, "flows", "F", document=document)
    headers = await key_of(db, "k")
    async with serving(replace(db, info={"audible": lambda: hears(problem)})) as client:
        ways = [
            ("POST", "/api/flows/F/publish", {}),
            ("POST", "/api/flows/F/publish", {"source": as_text(document)}),
            ("POST", "/api/flows/F/rollback", {"to": 2}),
            ("PATCH", "/api/flows/F", {"status": "published", "document": document}),
            ("POST", "/api/flows", {"name": "G", "status": "published", "document": document}),
        ]
        for method, path, body in ways:
            async with client.request(method, path, json=body, headers=headers) as response:
                assert (response.status, problem in await response.text()) == (422, True), (method, path)
        for body in ({"source": as_text(document)}, {"document": document}):
            async with client.post("/api/flows/check", json=body, headers=headers) as response:
                (found,) = [each for each in (await response.json())["problems"] if each["level"] == "error"]
                assert problem in found["message"]
    assert await numbers(db, "F") == [(3, True), (2, False), (1, False)]


@pytest.mark.parametrize("problem", UNHEARD)
def test_what_callers_would_not_hear_is_refused_by_the_commands(
    tmp_path: Path, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCX_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("dcx_ari.audible.audible", lambda: hears(problem))
    document = tmp_path / "flow.json"
    document.write_text(json.dumps({"start": "end", "nodes": {"end": {"type": "hangup", **UNHEARD[problem]}}}))

    def dcx(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["flows", *arguments])
        return result.exit_code, result.output

    assert dcx("add", "F", "--document", f"@{document}")[0] == 0  # a draft may wait for its sounds
    for arguments in (("publish", "F"), ("publish", "F", str(document)), ("check", str(document))):
        status, told = dcx(*arguments)
        assert (status, problem in told) == (2, True), told
    status, told = dcx("set", "F", "--status", "published")
    assert (status, problem in told) == (2, True), told
    assert dcx("versions", "F", "--json") == (0, "[]\n")


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCX_HOME", str(tmp_path / "home"))
    file, bad = tmp_path / "flow.yaml", tmp_path / "bad.yaml"
    file.write_text("start: end\nnodes: {end: {type: hangup, say: Bye.}}  # short\n")
    bad.write_text("start: a\nnodes:\n  a: {type: goto, next: b}\n")

    def dcx(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["flows", *arguments])
        return result.exit_code, result.stdout

    assert dcx("add", "F", "--document", f"@{file}")[0] == 0
    assert dcx("publish", "F", str(bad)) == (2, f'{bad}:3:25: error: nodes.a.next: there is no node "b"\n')
    assert dcx("publish", "F", str(file)) == (0, "Published F: version 1\n")
    assert dcx("show", "F", "--version", "1") == (0, file.read_text())
    assert dcx("rollback", "F", "--to", "4")[0] == 2
    assert dcx("diff", "F") == (0, "")
    assert "1" in dcx("versions", "F")[1]
    assert dcx("draw", "F", "--mermaid")[1].startswith("flowchart TD\n")
    picture = tmp_path / "flow.svg"
    assert dcx("draw", "F", "--svg", str(picture), "--counts", "yesterday")[0] == 0
    ElementTree.parse(picture)  # noqa: S314  our own
    assert dcx("draw", str(bad))[0] == 2


async def test_callers_are_counted_by_the_way_they_took(db: Database) -> None:
    flow = await add(db, "flows", name="F", document=HANGUP, status="published")
    paths = ["main:1 sell:end", "main:2 hours:next main:1 sell:end", "main", None]
    async with db.write() as session:
        for number, path in enumerate(paths):
            row: dict[str, Any] = {"flow_id": flow["id"], "flow_path": path, "started_at": 1_000 + number}
            session.add(m.Call(id=f"c{number}", channel_id=f"ch{number}", worker="dcx-0", **row))
    async with db.read() as session:
        counts = await flow_pictures.counts_of(session, "F", 1_000, 2_000)
        assert (await flow_pictures.counts_of(session, "F", 0, 1_000)).calls == 0
    assert (counts.calls, counts.nodes["main"], counts.edges["main", "1"], counts.edges["main", ""]) == (4, 3, 2, 1)


@pytest.mark.parametrize("counted", [False, True])
def test_no_label_of_a_picture_stands_on_another(counted: bool) -> None:
    """In the example, which has three ways out of a node, and labels that are longer than their boxes are apart."""
    document = from_data(load_yaml(EXAMPLE.read_text()))
    edges = {(name, edge.label): 1234 for name, node in document.nodes.items() for edge in node.edges()}
    root = ElementTree.fromstring(svg(document, Counts(edges, {}, 9) if counted else None))  # noqa: S314  our own
    labels = [each for each in root.iter() if each.get("class") == "label"]
    spots = [(float(each.get("x", 0)), float(each.get("y", 0)), len(each.text or "") * 5.5) for each in labels]
    assert len(spots) >= 10
    for (x, y, wide), (other_x, other_y, other_wide) in combinations(spots, 2):
        assert abs(y - other_y) >= 11 or abs(x - other_x) >= (wide + other_wide) / 2


MARKUP = "<script>alert('x')</script>\"]|`#"


def test_pictures_hold_nothing_that_runs() -> None:
    choices = {"1": {"next": "end", "label": MARKUP}, "2": "again"}
    nodes = {"main": {"type": "menu", "say": "x", "choices": choices}, "again": {"type": "goto", "next": "main"}}
    document = from_data({"start": "main", "description": MARKUP, "nodes": {**nodes, "end": {"type": "hangup"}}})
    counts = Counts({("main", "1"): 12, ("main", ""): 3}, {"main": 15}, 15)
    drawn, text = svg(document, counts, MARKUP), mermaid(document, counts)
    root = ElementTree.fromstring(drawn)  # noqa: S314  our own
    assert not [each for each in root.iter() if each.tag.endswith("script")]
    words = "".join(root.itertext())
    assert MARKUP in words
    assert "15 calls, 3 hung up" in words
    assert not set("<`|]") & set(text.split("-- ")[1].split(" -->")[0])
    assert "#60;script#62;" in text
    assert "(12)" not in text
    assert "1 #60;" in text


def test_boxes_do_not_overlap_and_all_lines_are_there() -> None:
    nodes: dict[str, Any] = {f"m{i}": {"type": "menu", "say": "x", "choices": {}} for i in range(20)}
    for i, node in enumerate(nodes.values()):
        node["choices"] = {"1": f"m{(i * 7 + 3) % 20}", "2": f"m{(i + 1) % 20}", "9": f"m{i}", "0": "end"}
    document = from_data({"start": "m0", "nodes": {**nodes, "end": {"type": "hangup"}}})
    root = ElementTree.fromstring(svg(document))  # noqa: S314  our own
    boxes = [each for each in root.iter("{http://www.w3.org/2000/svg}rect") if "box" in each.get("class", "")]
    assert len(boxes) == 21
    spans = sorted((float(b.get("y", 0)), float(b.get("x", 0)), float(b.get("width", 0))) for b in boxes)
    for (y, x, width), (other_y, other_x, _) in pairwise(spans):
        assert y != other_y or x + width < other_x
    lines = {(name, edge.target) for name, node in document.nodes.items() for edge in node.edges()}
    assert len([e for e in root.iter("{http://www.w3.org/2000/svg}path") if e.get("class") == "line"]) == len(lines) + 1


def test_what_is_too_large_is_not_drawn() -> None:
    nodes: dict[str, Any] = {f"n{i}": {"type": "play", "say": "x", "next": f"n{i + 1}"} for i in range(401)}
    with pytest.raises(TooLarge):
        svg(from_data({"start": "n0", "nodes": {**nodes, "n401": {"type": "hangup"}}}))
    nodes = {f"n{i}": {"type": "menu", "say": "x", "choices": {}} for i in range(390)}
    for i, node in enumerate(nodes.values()):
        node["choices"] = {f"{j:03}": f"n{min(i + 1 + j, 389)}" for j in range(100)}
    with pytest.raises(TooLarge):
        svg(from_data({"start": "n0", "nodes": nodes}))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(st.characters(codec="utf-8")),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz019_-", min_size=1), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
@example("\x85")
@example("a \u2028 b\nc")
@settings(max_examples=60, deadline=None)
def test_written_data_reads_as_the_same(data: Any) -> None:
    clean = as_text({"k": data})
    assert load_yaml(clean) == {"k": data}


def test_words_that_look_like_numbers_stay_words() -> None:
    words = ["08", "1e5", "1.", "on", "no", "13:00", "*", "#", "", "~", "null", "True"]
    assert load_yaml(as_text({"w": words})) == {"w": words}
    assert parse(as_text(SAYS)).start == "end"
