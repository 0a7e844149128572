"""CSV over HTTP and on the command line: uploads, downloads, and what is refused before anything is read."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData, web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import update
from sqlmodel import col
from typer.testing import CliRunner

from dcx_ari.api import csv as api_csv
from dcx_ari.api.app import make_app
from dcx_ari.services import export_calls, exporting
from dcx_ari.services.keys import create_key
from dcx_ari.services.listing import Query
from dcx_ari.store.db import Database
from dcx_ari.store.models import Call, Recording
from dcx_cli.main import app as cli
from tests.unit.objects_kit import add, make_template, open_copy

pytestmark = pytest.mark.unit
Client = TestClient[web.Request, web.Application]
SAMPLE = "name,endpoint_value,tier\nA,+15551230001,-10\nB,+15551230002,0\nC,+15551230003,0\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    opened = open_copy(template, tmp_path)
    yield opened
    await opened.close()


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with db.write() as session:
        _, key = await create_key(session, "tests", rate_limit_per_minute=0)
    async with TestClient(TestServer(make_app(db)), headers={"Authorization": f"Bearer {key}"}) as made:
        yield made


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def form(text: str, name: str = "file") -> FormData:
    made = FormData()
    made.add_field(name, io.BytesIO(text.encode()), filename="buyers.csv", content_type="text/csv")
    return made


async def test_a_file_in_a_form_or_as_it_is(client: Client):
    made = await client.post("/api/buyers/bulk-import", data=form(SAMPLE))
    assert (made.status, (await made.json())["created"]) == (200, 3)
    again = await client.post(
        "/api/buyers/bulk-import", data="name,tier\nA,x\nB,4\n", headers={"Content-Type": "text/csv"}
    )
    told = await again.json()
    assert (told["updated"], told["failed"]) == (1, 1)
    assert told["errors"] == [{"row": 2, "field": "tier", "message": "tier: must be a whole number"}]


async def test_dry_run_and_atomic(client: Client):
    bad = SAMPLE + "D,nonsense,0\n"
    told = await (await client.post("/api/buyers/bulk-import?dry_run=true", data=form(bad))).json()
    assert (told["dry_run"], told["created"], told["failed"]) == (True, 3, 1)
    refused = await client.post("/api/buyers/bulk-import?atomic=true", data=form(bad))
    told = await refused.json()
    assert (refused.status, told["created"], told["errors"][0]["row"]) == (422, 0, 5)
    assert told["error"]["message"] == "rows: 1 of 4 rows are refused, so none is written"
    assert (await (await client.get("/api/buyers")).json())["total"] == 0


@pytest.mark.parametrize(
    ("sent", "status", "told"),
    [
        ({"data": form(SAMPLE), "params": {"atomic": "perhaps"}}, 422, "atomic: must be true or false"),
        ({"data": form(SAMPLE), "params": {"encoding": "rot13"}}, 422, "encoding: must be one of"),
        ({"json": {"name": "A"}}, 415, "request: Content-Type must be multipart/form-data or text/csv"),
        ({"data": form("nonsense\n")}, 422, "header: 'nonsense' (column 1) is not a column of buyers"),
        ({"data": form("")}, 422, "file: must name the columns in its first row"),
        (
            {"data": "--x\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
            422,
            "file: is required: a part of the form with the CSV file",
        ),
        (
            {"data": "", "headers": {"Content-Type": "multipart/form-data"}},
            422,
            "body: must be a form with a file",
        ),
    ],
)
async def test_uploads_that_cannot_be_used(client: Client, sent: dict[str, Any], status: int, told: str):
    response = await client.post("/api/buyers/bulk-import", **sent)
    assert response.status == status
    assert (await response.json())["error"]["message"].startswith(told)


async def test_an_upload_that_is_too_large_is_not_read_to_its_end(client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(api_csv, "MAX_UPLOAD", 100_000)
    long = SAMPLE + "".join(f"N{n},+15551230001,0\n" for n in range(20_000))
    for sent in ({"data": form(long)}, {"data": io.BytesIO(long.encode()), "headers": {"Content-Type": "text/csv"}}):
        response = await client.post("/api/buyers/bulk-import", **sent)
        assert response.status == 413
    assert (await (await client.get("/api/buyers")).json())["total"] == 0


async def test_more_than_the_limit_of_other_bodies_is_taken(client: Client):
    rows = "".join(f'N{n},+1512{2_000_000 + n},"{"x" * 500}"\n' for n in range(2_500))
    response = await client.post("/api/buyers/bulk-import", data=form("name,endpoint_value,notes\n" + rows))
    assert (response.status, (await response.json())["created"]) == (200, 2_500)


async def test_two_files_in_one_form(client: Client):
    both = form(SAMPLE)
    both.add_field("file", b"name\nB\n", filename="b.csv")
    response = await client.post("/api/buyers/bulk-import", data=both)
    assert (response.status, (await response.json())["error"]["message"]) == (
        422,
        "file: must be the only part of the form",
    )


async def test_the_export_is_the_list(client: Client, monkeypatch: pytest.MonkeyPatch):
    """Same filters, same order, all pages: of whatever length the parts are."""
    await client.post("/api/buyers/bulk-import", data=form(SAMPLE))
    query = "?filters[tier]=0,-10&sort_by=tier&sort_order=desc&limit=1&trackdrive_table_id=7&q=55512"
    for chunk in (1, 2, 500):
        monkeypatch.setattr(exporting, "CHUNK", chunk)
        response = await client.get(f"/api/buyers/export.csv{query}")
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert response.headers["Content-Disposition"] == 'attachment; filename="buyers.csv"'
        rows = table(await response.text())
        assert [(row["name"], row["tier"], row["created_by"]) for row in rows] == [
            ("C", "0", "tests"),
            ("B", "0", "tests"),
            ("A", "-10", "tests"),
        ]
        assert rows[0]["created_at"].endswith("Z")
    chosen = await client.get("/api/buyers/export.csv?columns=name,tier&sort_by=name")
    assert await chosen.text() == "name,tier\r\nA,-10\r\nB,0\r\nC,0\r\n"
    assert await (await client.head("/api/buyers/export.csv")).read() == b""


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/api/buyers/export.csv?tear=1", 400, "tear: is not a filter of buyers: did you mean tier?"),
        ("/api/buyers/export.csv?sort_by=x", 400, "sort_by: 'x' is not one of"),
        ("/api/buyers/export.csv?columns=nam", 422, "columns: 'nam' is not a column of buyers: did you mean name?"),
        ("/api/calls/export.csv?buyers=1", 400, "buyers: is not a filter of calls"),
        ("/api/calls/export.csv?sort_by=x", 400, "sort_by: 'x' is not one of"),
    ],
)
async def test_exports_that_cannot_be_made(client: Client, path: str, status: int, told: str):
    response = await client.get(path)
    assert response.status == status
    assert (await response.json())["error"]["message"].startswith(told)


async def test_a_template_for_every_alias(client: Client):
    for path in ("buyers", "traffic-sources", "sources", "suppressions", "suppression-lists"):
        response = await client.get(f"/api/{path}/import-template.csv")
        header = (await response.text()).strip()
        told = await client.post(f"/api/{path}/bulk-import", data=form(f"{header}\n"))
        assert (told.status, (await told.json())["rows"]) == (200, 0)


async def _calls(db: Database, count: int) -> None:
    await add(db, "buyers", name="=Buyer", endpoint_value="+15551230001")
    async with db.write() as session:
        for n in range(count):
            call = Call(
                id=f"call{n:04d}",
                caller="+12125550001" if n % 2 else "=cmd|'x'!A1",
                caller_name='Ann, "A"\r\n' if n % 2 else "",
                dialled="+18005550001",
                status="COMPLETED" if n % 3 else "BUSY",
                buyer_id=1 if n % 3 else 99,
                started_at=1_700_000_000_000 + n // 2,  # two at a time: the id decides
                talk_ms=1_234,
                revenue_cents=n,
            )
            session.add(call)
        await session.flush()
        session.add(Recording(id="call0001.rec1", call_id="call0001", state="ready", path="recordings/x.wav"))


async def test_the_call_log(client: Client, db: Database, monkeypatch: pytest.MonkeyPatch):
    await _calls(db, 7)
    for chunk in (1, 2, 3, 7, 2_000):
        monkeypatch.setattr(export_calls, "CHUNK", chunk)
        rows = table(await (await client.get("/api/calls/export.csv")).text())
        assert [row["id"] for row in rows] == [f"call{n:04d}" for n in (6, 5, 4, 3, 2, 1, 0)]
        oldest = table(await (await client.get("/api/calls/export.csv?sort_by=revenue&sort_order=asc")).text())
        assert [row["id"] for row in oldest] == [f"call{n:04d}" for n in range(7)]
    second = rows[-2]
    assert (second["started_at"], second["buyer"], second["duration_s"]) == (
        "2023-11-14T22:13:20.000Z",
        "'=Buyer",
        "1.234",
    )
    assert (second["caller_name"], second["number"], second["cause"]) == ('Ann, "A"\r\n', "", "")
    assert (second["caller"], second["recording"], second["converted"]) == ("+12125550001", "call0001.rec1", "false")
    assert (rows[-1]["caller"], rows[-1]["buyer_id"], rows[-1]["buyer"]) == ("'=cmd|'x'!A1", "99", "")
    busy = table(await (await client.get("/api/calls/export.csv?status=busy&trackdrive_table_id=1")).text())
    assert [row["id"] for row in busy] == ["call0006", "call0003", "call0000"]


async def test_a_slow_reader_keeps_no_transaction_open(db: Database, monkeypatch: pytest.MonkeyPatch):
    """Between two parts the log of writes can be emptied, and what is written then is told when its turn comes."""
    await _calls(db, 6)
    monkeypatch.setattr(export_calls, "CHUNK", 2)
    parts = export_calls.export_calls(db, Query())
    taken = [await anext(parts)]
    async with db.write() as session:
        await session.exec(update(Call).where(col(Call.id) == "call0000").values(outcome="sale"))
    async with db.engine.connect() as connection:
        busy = (await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")).one()[0]
    taken += [part async for part in parts]
    rows = table(b"".join(taken).decode())
    assert (busy, len(rows), rows[-1]["outcome"]) == (0, 6, "sale")


async def test_a_buyer_s_key_sees_his_own(db: Database):
    await _calls(db, 4)
    await add(db, "buyers", name="Other", endpoint_value="+15551230002")
    async with db.write() as session:
        _, key = await create_key(session, "his", "viewer", buyer_id=1, rate_limit_per_minute=0)
    headers = {"Authorization": f"Bearer {key}"}
    async with TestClient(TestServer(make_app(db)), headers=headers) as client:
        calls = table(await (await client.get("/api/calls/export.csv")).text())
        buyers = table(await (await client.get("/api/buyers/export.csv")).text())
        refused = await client.post("/api/buyers/bulk-import", data=form(SAMPLE))
    assert ({row["buyer_id"] for row in calls}, "payout_cents" in calls[0]) == ({"1"}, False)
    assert [(row["name"], row["created_by"]) for row in buyers] == [("'=Buyer", "")]
    assert refused.status == 403


class Dcx:
    """`dcx` with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *args: str, stdin: str | bytes | None = None) -> tuple[int, str, str]:
        result = CliRunner().invoke(cli, ["--home", str(self.home), *args], input=stdin)
        return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def dcx(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Dcx:
    for name in ("DCX_HOME", "DCX_DATABASE_URL", "DCX_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    shutil.copy(template, tmp_path / "home" / "dcx.db")
    return Dcx(tmp_path / "home")


def test_files_on_the_command_line(dcx: Dcx, tmp_path: Path):
    file = tmp_path / "buyers.csv"
    file.write_text(SAMPLE + "D,nonsense,0\n")
    told = "row 5: endpoint_value: must be an E.164 number such as +15551234567 or a sip: URI\n"
    would = "Nothing was written (dry run). It would be: 3 added, 0 changed, 0 as they were, 1 refused.\n"
    assert dcx("buyers", "import", str(file), "--dry-run") == (1, would, told)
    assert dcx("buyers", "import", str(file), "--atomic") == (
        1,
        "Nothing was written: 1 of 4 rows are refused.\n",
        told,
    )
    assert dcx("buyers", "import", str(file)) == (1, "3 added, 0 changed, 0 as they were, 1 refused.\n", told)
    assert dcx("buyers", "import", "-", stdin=SAMPLE) == (0, "0 added, 0 changed, 3 as they were, 0 refused.\n", "")
    status, out, _ = dcx("buyers", "import", "-", "--json", stdin="name,tier\nA,x\n")
    assert (status, json.loads(out)["errors"][0]["row"]) == (1, 2)


def test_what_the_command_line_refuses(dcx: Dcx, tmp_path: Path):
    assert dcx("buyers", "import")[::2] == (
        2,
        "Error: file: is required: a CSV file, or - for standard input; --template prints its header\n",
    )
    missing = dcx("buyers", "import", str(tmp_path / "no.csv"))
    assert (missing[0], missing[2]) == (1, f"Error: {tmp_path}/no.csv: No such file or directory\n")
    assert dcx("buyers", "export", "--where", "x=1", "--out", str(tmp_path / "out.csv"))[0] == 2
    assert not (tmp_path / "out.csv").exists()


def test_export_template_and_links_on_the_command_line(dcx: Dcx, tmp_path: Path):
    header = dcx("buyers", "import", "--template")[1]
    assert header == "name,endpoint_type,endpoint_value,tier,weight,revenue_cents,daily_cap,monthly_cap\n"
    dcx("buyers", "import", "-", stdin=SAMPLE)
    out = tmp_path / "out.csv"
    sorted_by = ("--sort-by", "tier", "--desc", "--columns", "name,tier")
    assert dcx("buyers", "export", "--where", "tier=0,-10", *sorted_by, "--out", str(out)) == (0, "", "")
    assert out.read_bytes() == b"name,tier\r\nC,0\r\nB,0\r\nA,-10\r\n"
    dcx("campaigns", "import", "-", stdin="name\nAuto\n")
    assert dcx("campaigns", "import-buyers", "-", stdin="campaign,buyer,weight\nAuto,A,7\nAuto,B,\n")[0] == 0
    exported = dcx("campaigns", "export-buyers", "--columns", "campaign,buyer,weight")[1]
    assert exported == "campaign,buyer,weight\nAuto,A,7\nAuto,B,\n"
    assert dcx("calls", "export")[1].startswith("id,started_at,")
