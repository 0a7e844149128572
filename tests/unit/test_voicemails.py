"""Voicemails and prompts over HTTP, mail and transcription: a real API, SMTP server and HTTP server on loopback."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any, cast

import aiohttp
import numpy as np
import pytest
import soundfile
from aiohttp import web
from aiosmtpd.smtp import SMTP
from outbox_kit import Outbox
from sqlmodel import select

from dcx_ari.integrations.mail import MailSender, SmtpServer
from dcx_ari.integrations.transcribe import transcriber_of
from dcx_ari.media import sound
from dcx_ari.media.tones import heard, sine, write_wav
from dcx_ari.services import call_notes
from dcx_ari.services.transcription import transcribe_job
from dcx_ari.services.voicemails import mark_done
from dcx_ari.settings import SettingsError
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.journal import Journal
from dcx_ari.store.models import AuditEntry
from dcx_ari.store.models.voicemails import Voicemail
from dcx_ari.voicemails import PromptFiles, VoicemailBox
from tests.unit.access_kit import Client, key_of, serving
from tests.unit.call_log_kit import ZONE, add, at, call, configure
from tests.unit.rows_kit import migrated

pytestmark = pytest.mark.unit

NOON = at("2026-03-02T12:00")
ONE = "call0000a.vm1"
BASE = "/api/calls/voicemails"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture
async def db(template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    (tmp_path / "dcx.db").write_bytes(template.read_bytes())
    opened = replace(open_database(f"sqlite:///{tmp_path}/dcx.db"), info={"zone": ZONE})
    await configure(opened)
    await add(opened, call("call0000a", NOON, number_id=1, campaign_id=1, status="ABANDONED", worker="dcx-0"))
    await add(opened, Voicemail(id=ONE, call_id="call0000a", number_id=1, campaign_id=1, caller="+12125550100"))
    yield opened
    await opened.close()


@pytest.fixture
async def client(db: Database, tmp_path: Path) -> AsyncIterator[Client]:
    async with serving(db, home=tmp_path) as made:
        made.session.headers.update(await key_of(db, "boss", "admin"))
        yield made


async def collected(db: Database, home: Path, *mail_to: str) -> Voicemail:
    """What a process that died has recorded is fetched."""
    (home / "recording").mkdir(exist_ok=True)
    write_wav(home / f"recording/{ONE}.wav", sine(900, 2.0, amplitude=2000))
    async with db.write() as session:
        row = await session.get_one(Voicemail, ONE)
        row.mail_to, row.created_at = list(mail_to), NOON
        session.add(row)

    async def commit(_: Any) -> None: ...

    box = VoicemailBox(db, Journal(commit, "dcx-0"), home, home / "recording", lambda: NOON, "dcx-0", transcribes=True)
    await box.collect()
    return await row_of(db)


async def row_of(db: Database) -> Voicemail:
    async with db.read() as session:
        return await session.get_one(Voicemail, ONE)


async def test_a_voicemail_over_the_api(client: Client, db: Database, tmp_path: Path) -> None:
    assert (await (await client.get(BASE)).json())["data"] == []  # still being recorded
    assert (await collected(db, tmp_path)).audio == "ready"
    [listed] = (await (await client.get(f"{BASE}?state=new&assigned_to=none&q=2125550100")).json())["data"]
    assert (listed["id"], listed["playable"], listed["duration_ms"]) == (ONE, True, 2000)
    assert (await (await client.get(f"{BASE}?state=done")).json())["total"] == 0
    assert (await client.patch(f"{BASE}/{ONE}/assign", json={"assigned_to": "kim"})).status == 200
    back = await client.post(f"{BASE}/{ONE}/schedule-callback", json={"due_at": "2026-03-03T09:00"})
    assert (back.status, (await back.json())["assigned_to"]) == (201, "kim")
    again = await client.post(f"{BASE}/call0000a/schedule-callback", json={"due_at": "2026-03-04T09:00"})
    assert (await again.json())["due_at"] == "2026-03-04T14:00:00.000Z"
    link = await (await client.get(f"{BASE}/{ONE}/url")).json()
    path = link["url"].partition("8080")[2]
    audio = await client.get(path, headers={"Authorization": "", "Range": "bytes=0-3"})
    assert (audio.status, await audio.read()) == (206, b"RIFF")
    assert (await client.get(path + "x")).status == 403
    shown = await (await client.get(f"{BASE}/{ONE}")).json()
    assert (shown["state"], shown["callback_scheduled_at"]) == ("heard", "2026-03-04T14:00:00.000Z")
    done = await (await client.patch(f"{BASE}/{ONE}/done", json={"notes": "sold"})).json()
    assert (done["state"], done["notes"]) == ("done", "sold")
    assert (await (await client.patch(f"{BASE}/{ONE}/heard")).json())["state"] == "done"
    for body in ({"state": "lost"}, {"path": "/etc/passwd"}):
        assert (await client.patch(f"{BASE}/{ONE}", json=body)).status in (400, 422)
    assert (await client.get(f"{BASE}/..%2F..%2Fetc")).status == 404
    client.session.headers.update(await key_of(db, "their", "viewer", buyer_id=1))
    assert (await (await client.get(BASE)).json())["total"] == 0
    assert (await client.get(f"{BASE}/{ONE}")).status == 404


async def test_a_path_in_the_row_that_leads_out_is_not_served(client: Client, db: Database, tmp_path: Path) -> None:
    await collected(db, tmp_path)
    async with db.write() as session:
        (await session.get_one(Voicemail, ONE)).path = "dcx.db"
    assert (await client.get(f"{BASE}/{ONE}/url")).status == 404


async def test_a_voicemail_is_deleted_with_its_file_and_nothing_else(
    client: Client, db: Database, tmp_path: Path
) -> None:
    row = await collected(db, tmp_path)
    file, other = tmp_path / str(row.path), tmp_path / "voicemail/other.wav"
    other.write_bytes(b"RIFF")
    agent = await key_of(db, "agent", "agent")
    assert (await client.delete(f"{BASE}/{ONE}", headers=agent)).status == 403
    async with db.write() as session:
        await call_notes.hold_call(session, "call0000a", "case 7")
    assert (await client.delete(f"{BASE}/{ONE}")).status == 409
    assert file.exists()
    async with db.write() as session:
        await call_notes.release_call(session, "call0000a")
    gone = await client.delete(f"{BASE}/call0000a", json={"reason": "he asked for it"})
    assert (gone.status, (await gone.json())["id"]) == (200, ONE)
    assert (file.exists(), other.exists()) == (False, True)
    for answer in (await client.get(f"{BASE}/{ONE}"), await client.delete(f"{BASE}/{ONE}")):
        assert answer.status == 404
    async with db.read() as session:
        assert (await session.exec(select(Voicemail))).all() == []
        query = select(AuditEntry).where(AuditEntry.action == "voicemail.deleted")
        (entry,) = (await session.exec(query)).all()
    assert (entry.resource_id, entry.reason) == (ONE, "he asked for it")


async def test_a_path_in_the_row_that_leads_out_is_not_deleted(client: Client, db: Database, tmp_path: Path) -> None:
    await collected(db, tmp_path)
    (tmp_path / "precious").write_text("x")
    async with db.write() as session:
        (await session.get_one(Voicemail, ONE)).path = "voicemail/../precious"
    assert (await client.delete(f"{BASE}/{ONE}")).status == 200
    assert (tmp_path / "precious").exists()


async def test_a_mail_with_the_audio(db: Database, tmp_path: Path) -> None:
    got: list[bytes] = []

    class Postman:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
            got.append(envelope.content)
            return "250 taken"

    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: SMTP(Postman(), loop=loop), "127.0.0.1", 0)
    try:
        row = await collected(db, tmp_path, "ann@example.com")
        server = SmtpServer("127.0.0.1", listening.sockets[0].getsockname()[1])
        await Outbox(db, MailSender(server, "dcx@example.com", tmp_path)).deliver()
    finally:
        listening.close()
        await listening.wait_closed()
    mail = message_from_bytes(got[0], policy=policy.default)
    assert mail["Subject"] == "Voicemail from +12125550100"
    [audio] = cast("Any", mail).iter_attachments()
    assert audio.get_payload(decode=True) == (tmp_path / str(row.path)).read_bytes()


@asynccontextmanager
async def service(answers: list[tuple[int, Any]]) -> AsyncIterator[tuple[str, list[tuple[str, Any]]]]:
    asked: list[tuple[str, Any]] = []

    async def handle(request: web.Request) -> web.Response:
        body = dict(await request.post()) if request.content_type.startswith("multipart") else await request.read()
        body = (
            {k: v.file.read(4) if hasattr(v, "file") else v for k, v in body.items()}
            if isinstance(body, dict)
            else body
        )
        asked.append((f"{request.path_qs} {request.headers.get('Authorization', '')}", body))
        status, said = answers.pop(0)
        return web.json_response(said, status=status)

    app = web.Application()
    app.router.add_post("/{tail:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{cast('Any', runner.addresses)[0][1]}", asked
    finally:
        await runner.cleanup()


async def test_as_openai_after_a_service_that_was_busy(db: Database, tmp_path: Path) -> None:
    await collected(db, tmp_path)
    said = {"text": " Call me back. ", "segments": [{"avg_logprob": -0.5}]}
    async with service([(503, {}), (200, said)]) as (url, asked):
        transcriber = transcriber_of(f"openai+{url}?model=small", "k1")
        await transcribe_job(db, tmp_path, transcriber, NOON)
        row = await row_of(db)
        assert (row.transcribing, row.transcription_error) == ("waiting", "the service answers 503")
        await transcribe_job(db, tmp_path, transcriber, NOON)  # too early
        assert len(asked) == 1
        await transcribe_job(db, tmp_path, transcriber, NOON + 60_000)
    row = await row_of(db)
    assert (row.transcription, row.transcribing) == ("Call me back.", "done")
    assert row.transcription_confidence == pytest.approx(0.607, abs=0.001)
    assert asked[1][0] == "/v1/audio/transcriptions Bearer k1"
    assert asked[1][1]["model"] == "small"
    assert asked[1][1]["file"] == b"RIFF"


@pytest.mark.parametrize(
    ("answer", "state", "text"),
    [
        ((200, {"results": {"channels": [{"alternatives": [{"transcript": "hi", "confidence": 0.9}]}]}}), "done", "hi"),
        ((200, {"results": {"channels": []}}), "failed", None),
        ((200, ["junk"]), "failed", None),
        ((302, {}), "failed", None),
        ((401, {}), "failed", None),
    ],
)
async def test_as_deepgram(db: Database, tmp_path: Path, answer: tuple[int, Any], state: str, text: str | None) -> None:
    await collected(db, tmp_path)
    async with service([answer]) as (url, asked):
        await transcribe_job(db, tmp_path, transcriber_of(f"deepgram+{url}?model=nova", "k2"), NOON)
    row = await row_of(db)
    assert (row.transcribing, row.transcription) == (state, text)
    assert asked[0][0] == "/v1/listen?model=nova Token k2"
    assert asked[0][1][:4] == b"RIFF"


def test_settings_of_transcribers() -> None:
    assert transcriber_of("none") is None
    for wrong in ("https://example.com", "openai+ftp://host", "whisper", "openai+https://u:p@host"):
        with pytest.raises(SettingsError, match="DCX_TRANSCRIBER"):
            transcriber_of(wrong)


async def test_pocketsphinx_where_it_is_installed(db: Database, tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx")
    await collected(db, tmp_path)
    await transcribe_job(db, tmp_path, transcriber_of("pocketsphinx"), NOON)
    row = await row_of(db)
    assert (row.transcribing, row.transcription_confidence) == ("done", 0.3)


# -- prompts ------------------------------------------------------------------------------------------------


def encoded(kind: str, seconds: float = 1.0, rate: int = 44_100, amplitude: float = 0.05) -> bytes:
    samples = amplitude * np.sin(2 * np.pi * 700 * np.arange(round(rate * seconds)) / rate)
    made = io.BytesIO()
    soundfile.write(made, np.column_stack([samples, samples]), rate, format=kind)
    return made.getvalue()


async def upload(client: Client, name: str, content: bytes) -> aiohttp.ClientResponse:
    form = aiohttp.FormData()
    form.add_field("name", name)
    form.add_field("file", content, filename="../../x.wav")
    return await client.post("/api/prompts", data=form)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
async def test_a_prompt_of_any_format(client: Client, db: Database, tmp_path: Path, kind: str) -> None:
    made = await upload(client, "hello", encoded(kind))
    assert made.status == 201, await made.text()
    media = await PromptFiles(db, tmp_path).media("hello")
    path = Path(f"{media.removeprefix('sound:')}.wav")
    samples, rate = soundfile.read(path)
    assert (rate, samples.ndim, path.is_relative_to(tmp_path / "prompts")) == (8000, 1, True)
    assert 20 * np.log10(np.sqrt(np.mean(samples[1000:-1000] ** 2))) == pytest.approx(-19, abs=0.7)
    assert heard(path, 700, 0.2, 0.8) > 4000
    assert [each.name for each in (tmp_path / "prompts").iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("hello", b"GIF89a" * 100, "cannot be read as sound"),
        ("hello", b"", "cannot be read as sound"),
        ("hello", b"RIFF\xff\xff\xff\xffWAVEfmt " + bytes(100), "cannot be read as sound"),
        ("hello", encoded("WAV", amplitude=0.0), "nothing to be heard"),
        ("../../etc/cron", encoded("WAV"), "letters, digits"),
        ("", encoded("WAV"), "letters, digits"),
    ],
)
async def test_uploads_that_are_refused(client: Client, tmp_path: Path, name: str, content: bytes, words: str) -> None:
    refused = await upload(client, name, content)
    assert (refused.status, words in await refused.text()) == (422, True)
    assert list((tmp_path / "prompts").iterdir()) == []
    assert (await (await client.get("/api/prompts")).json())["total"] == 0


def test_a_bomb_is_given_up_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = tmp_path / "bomb"
    bomb.write_bytes(encoded("FLAC", 60, 8000, 0.0))
    assert bomb.stat().st_size < 20_000
    read = []
    original = soundfile.SoundFile.read
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *a, **k: read.append(1) or original(*a, **k))
    with pytest.raises(sound.NotSound, match="longer than 5 s"):
        sound.read(bomb, 5)
    assert len(read) <= 7


async def test_a_prompt_that_is_named_stays(client: Client, db: Database, tmp_path: Path) -> None:
    assert (await client.patch("/api/numbers/1", json={"voicemail_greeting": "hello"})).status == 422
    await upload(client, "hello", encoded("WAV"))
    assert (await client.patch("/api/numbers/1", json={"voicemail_greeting": "hello"})).status == 200
    refused = await client.delete("/api/prompts/hello")
    assert (refused.status, "number +18005550001" in await refused.text()) == (409, True)
    await client.patch("/api/numbers/1", json={"voicemail_greeting": None})
    assert (await client.delete("/api/prompts/hello")).status == 200
    assert list((tmp_path / "prompts").iterdir()) == []


def test_loud_peaks_are_pressed_not_cut() -> None:
    rng = np.random.default_rng(3)
    samples = (rng.standard_normal(8000) * 0.02).astype(np.float32)
    samples[4000] = 0.9
    made = sound.even(samples)
    assert np.max(np.abs(made)) <= sound.PEAK + 1e-3
    assert np.sqrt(np.mean(made[:3000] ** 2)) > 3 * np.sqrt(np.mean(samples[:3000] ** 2))


async def test_done_by_the_command_line_too(db: Database, tmp_path: Path) -> None:
    await collected(db, tmp_path)
    async with db.write() as session:
        assert (await mark_done(session, ONE, NOON))["done_at"] == "2026-03-02T17:00:00.000Z"
