"""Mail: what may go into the outbox, and what a real SMTP server gets."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path, PurePath
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from hypothesis import given
from hypothesis import strategies as st
from outbox_kit import NOON, Outbox

from dcx_ari.integrations.mail import MailSender, SmtpServer, parse_server
from dcx_ari.store.db import Database, open_database
from dcx_ari.store.mail import MAX_ATTACHED, BadMail, Mail, payload, put_mail
from dcx_ari.store.migrate import migrate
from dcx_ari.store.outbox import to_text

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def template(dbms: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "dcx.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    shutil.copy(template, tmp_path / "dcx.db")
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db")
    yield opened
    await opened.close()


class Postman:
    """What a mail server does: some addresses it does not know, some it will take later."""

    def __init__(self) -> None:
        self.got: list[tuple[list[str], bytes]] = []
        self.refuses: dict[str, str] = {}
        self.content = ""

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.content:
            return self.content
        self.got.append((list(envelope.rcpt_tos), envelope.content))
        return "250 taken"

    @property
    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(content, _class=EmailMessage, policy=default) for _, content in self.got]


@pytest.fixture
def postman() -> Postman:
    return Postman()


@pytest.fixture
async def server(postman: Postman) -> AsyncIterator[SmtpServer]:
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: SMTP(postman, loop=loop), "127.0.0.1", 0)
    yield SmtpServer("127.0.0.1", listening.sockets[0].getsockname()[1])
    listening.close()
    await listening.wait_closed()


@pytest.fixture
def outbox(db: Database, server: SmtpServer, tmp_path: Path) -> Outbox:
    return Outbox(db, MailSender(server, "DCX <dcx@example.com>", tmp_path))


async def put(outbox: Outbox, mail: Mail) -> str:
    async with outbox.database.write() as session:
        message_id = await put_mail(session, mail)
    assert message_id is not None
    return message_id


async def test_a_mail_with_everything(outbox: Outbox, postman: Postman, tmp_path: Path):
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "calls.csv").write_bytes(b"a,b\r\n")
    mail = Mail(
        ["ann@example.com", "ann@example.com", "bob@example.org"],
        "Bericht für März",
        "Plain: ü",
        html="<p>ü</p>",
        attachments=[
            ("../../evil.csv", "text/csv", PurePath("reports/calls.csv")),
            ("calls.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b"PK\x00\xff"),
        ],
    )
    message_id = await put(outbox, mail)
    await outbox.deliver()
    [got], [row] = postman.mails, await outbox.rows()
    assert row.state == "delivered"
    assert row.recipients == {"ann@example.com": "sent", "bob@example.org": "sent"}
    assert postman.got[0][0] == ["ann@example.com", "bob@example.org"]
    assert (got["From"], got["Subject"]) == ("DCX <dcx@example.com>", "Bericht für März")
    assert got["Message-ID"] == f"<{message_id}@example.com>"
    plain, html = got.get_body(("plain",)), got.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert (plain.get_content().strip(), html.get_content().strip()) == ("Plain: ü", "<p>ü</p>")
    files = [(part.get_filename(), part.get_payload(decode=True)) for part in got.iter_attachments()]
    assert files == [(".._.._evil.csv", b"a,b\r\n"), ("calls.xlsx", b"PK\x00\xff")]


async def test_the_same_at_every_attempt_and_only_to_those_who_wait(outbox: Outbox, postman: Postman):
    postman.refuses = {"full@example.com": "450 mailbox full", "none@example.com": "550 no such user"}
    await put(outbox, Mail(["ann@example.com", "full@example.com", "none@example.com"], "S", "T", html="<p>T</p>"))
    await outbox.deliver()
    [row] = await outbox.rows()
    assert (row.state, row.last_status) == ("pending", 550)
    assert row.recipients == {
        "ann@example.com": "sent",
        "full@example.com": "waiting: 450 mailbox full",
        "none@example.com": "refused: 550 no such user",
    }
    postman.refuses = {}
    await outbox.deliver(10_000)
    [row] = await outbox.rows()
    assert (row.state, row.recipients["full@example.com"] if row.recipients else "") == ("delivered", "sent")
    assert [to for to, _ in postman.got] == [["ann@example.com"], ["full@example.com"]]
    assert len({content for _, content in postman.got}) == 1


@pytest.mark.parametrize("refuses", ["RCPT", "DATA"])
async def test_refused_by_all_is_dead(outbox: Outbox, postman: Postman, refuses: str):
    if refuses == "RCPT":
        postman.refuses = {"none@example.com": "550 no such user"}
    else:
        postman.content = "554 we do not want this"
    await put(outbox, Mail(["none@example.com"], "S", "T"))
    await outbox.deliver()
    [row] = await outbox.rows()
    assert (row.state, (row.last_error or "")[:3]) == ("dead", "550" if refuses == "RCPT" else "554")


async def test_a_server_that_has_trouble_is_asked_again(outbox: Outbox, postman: Postman):
    postman.content = "451 try later"
    await put(outbox, Mail(["ann@example.com"], "S", "T"))
    await outbox.deliver()
    assert await outbox.states() == ["pending"]
    postman.content = ""
    await outbox.deliver(10_000)
    assert await outbox.states() == ["delivered"]


async def test_without_a_server_mail_waits_and_says_why(db: Database, server: SmtpServer, tmp_path: Path):
    outbox = Outbox(db)
    await put(outbox, Mail(["ann@example.com"], "S", "T"))
    for _ in range(3):
        await outbox.deliver(70_000)
    [row] = await outbox.rows()
    assert (row.state, row.attempts) == ("pending", 0)
    assert "DCX_SMTP_URL" in (row.last_error or "")
    set_now = Outbox(db, MailSender(server, "dcx@example.com", tmp_path))
    set_now.now = NOON + 300_000
    await set_now.deliver()
    assert await outbox.states() == ["delivered"]


async def test_a_server_that_is_not_there(db: Database, tmp_path: Path):
    outbox = Outbox(db, MailSender(SmtpServer("127.0.0.1", 1), "dcx@example.com", tmp_path))
    await put(outbox, Mail(["ann@example.com"], "S", "T"))
    await outbox.deliver()
    [row] = await outbox.rows()
    assert (row.state, row.attempts) == ("pending", 1)
    assert (row.last_error or "").startswith("127.0.0.1:1: ")


@pytest.mark.parametrize("path", ["reports/none.csv", "link.csv", "reports"])
async def test_an_attachment_that_is_not_a_file_of_the_home(
    outbox: Outbox, postman: Postman, tmp_path: Path, path: str
):
    (tmp_path / "reports").mkdir()
    (tmp_path / "link.csv").symlink_to("/etc/hostname")
    await put(outbox, Mail(["ann@example.com"], "S", "T", attachments=[("a", "text/csv", PurePath(path))]))
    await outbox.deliver()
    [row] = await outbox.rows()
    assert (row.state, "not a file in the home" in (row.last_error or "")) == ("dead", True)
    assert postman.got == []


@given(st.text(), st.text())
def test_no_text_makes_a_header(subject: str, name: str):
    mail = Mail(["ann@example.com"], subject, "T", attachments=[(name, "text/plain", b"x")])
    made = MailSender(None, "dcx@example.com", Path("/nowhere"))._build(payload(mail), "msg_1", NOON)
    got = message_from_bytes(made, _class=EmailMessage, policy=default)
    assert set(got.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"),
    }
    assert "\n" not in got["Subject"]


@pytest.mark.parametrize(
    "address",
    [
        *("", "ann", "ann@", "@example.com", "ann@exa mple.com", "ann@example.com\r\nBcc: x@example.com"),
        *("Ann <ann@example.com>", "ann@example.com,bob@example.com", "a" * 300 + "@example.com", "ann@[127.0.0.1]"),
    ],
)
def test_addresses_that_are_none(address: str):
    with pytest.raises(BadMail, match=r"^to: "):
        payload(Mail([address], "S", "T"))


@pytest.mark.parametrize(
    "mail",
    [
        Mail([], "S", "T"),
        Mail([f"a{n}@example.com" for n in range(51)], "S", "T"),
        Mail(["a@example.com"], "S", "T" * 500_001),
        Mail(["a@example.com"], "S", "T", attachments=[("a", "text/csv", b"x" * (MAX_ATTACHED + 1))]),
        Mail(["a@example.com"], "S", "T", attachments=[("a", "text/csv\r\nX: y", b"x")]),
        Mail(["a@example.com"], "S", "T", attachments=[("a", "text/csv", PurePath("/etc/passwd"))]),
        Mail(["a@example.com"], "S", "T", attachments=[("a", "text/csv", PurePath("a/../../b"))]),
    ],
)
def test_mails_that_are_none(mail: Mail):
    with pytest.raises(BadMail):
        payload(mail)


def test_a_domain_outside_ascii_is_spelled_in_it():
    assert payload(Mail(["ann@bücher.example"], "S", "T"))["to"] == ["ann@xn--bcher-kva.example"]


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.com", SmtpServer("mail.example.com", 25)),
        ("smtp://127.0.0.1:1025", SmtpServer("127.0.0.1", 1025)),
        ("smtp://u:p%40ss@localhost:1025", SmtpServer("localhost", 1025, "u", "p@ss")),
        ("smtp://u:pass@mail.example.com:587", SmtpServer("mail.example.com", 587, "u", "pass", starttls=True)),
        ("smtp+starttls://mail.example.com", SmtpServer("mail.example.com", 587, starttls=True)),
        ("smtps://u:pass@mail.example.com", SmtpServer("mail.example.com", 465, "u", "pass", tls=True, starttls=False)),
    ],
)
def test_servers(url: str, server: SmtpServer):
    assert parse_server(url) == server


async def test_a_password_is_not_sent_to_a_server_without_tls(server: SmtpServer, tmp_path: Path, postman: Postman):
    """Between us and the server somebody could take STARTTLS out of the greeting."""
    demanding = SmtpServer(server.host, server.port, "u", "secret", starttls=True)
    result = await MailSender(demanding, "dcx@example.com", tmp_path).send(
        "msg_1", to_text(payload(Mail(["ann@example.com"], "S", "T"))), NOON
    )
    assert not result.ok
    assert "STARTTLS" in (result.error or "")
    assert postman.got == []
