"""Users over a real connection: logging in, being locked out, invitations, preferences."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from access_kit import PASSWORD, Client, Clock, bearer, fault, key_of, migrated, serving
from argon2 import PasswordHasher

from dcx_ari.services import passwords
from dcx_ari.services.users import PREFERENCES
from dcx_ari.store.db import Database, open_database

pytestmark = pytest.mark.unit

ANN = "ann@example.com"


@pytest.fixture(scope="module")
def template() -> Path:
    return migrated()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hash with parameters that take a millisecond; one test uses the real ones."""
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "_HASHER", hasher)
    monkeypatch.setattr(passwords, "_NOBODY", hasher.hash("nobody"))


@pytest.fixture
async def db(tmp_path: Path, template: Path) -> AsyncIterator[Database]:
    shutil.copy(template, tmp_path / "dcx.db")
    opened = open_database(f"sqlite:///{tmp_path}/dcx.db")
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(db: Database, clock: Clock) -> AsyncIterator[Client]:
    async with serving(db, clock, base_url="https://dcx.example.com") as made:
        yield made


@pytest.fixture
async def admin(db: Database) -> dict[str, str]:
    return await key_of(db, "boss")


@pytest.fixture
async def ann(client: Client, admin: dict[str, str]) -> dict[str, Any]:
    body = {"email": "Ann@Example.com", "name": "Ann", "role": "agent", "password": PASSWORD}
    made = await client.post("/api/users", headers=admin, json=body)
    row: dict[str, Any] = await made.json()
    assert (made.status, row["email"], made.headers["Location"]) == (201, ANN, f"/api/users/{row['id']}")
    return row


async def login(client: Client, email: str = ANN, password: str = PASSWORD) -> tuple[int, dict[str, Any]]:
    answer = await client.post("/api/session", json={"email": email, "password": password})
    return answer.status, await answer.json()


async def me(client: Client, token: str) -> int:
    return (await client.get("/api/me", headers=bearer(token))).status


def kept(db: Database, query: str) -> list[Any]:
    connection = sqlite3.connect(db.where)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


@pytest.mark.usefixtures("ann")
async def test_logging_in_and_out(client: Client, db: Database):
    status, session = await login(client, "  ANN@example.com ")
    assert (status, session["user"]["email"], "password" in session["user"]) == (201, ANN, False)
    token = session["token"]
    found = await (await client.get("/api/me", headers=bearer(token))).json()
    assert (found["kind"], found["role"], found["company"]["date_format"]) == ("user", "agent", "MM/DD/YYYY")
    assert (await client.get("/api/users", headers=bearer(token))).status == 403
    assert token not in json.dumps(kept(db, "SELECT * FROM user_sessions"))
    assert PASSWORD not in json.dumps(kept(db, "SELECT * FROM users"))
    assert (await client.delete("/api/session", headers=bearer(token))).status == 204
    assert await me(client, token) == 401
    actions = [each[0] for each in kept(db, "SELECT action FROM audit_entries ORDER BY id")]
    assert actions[-2:] == ["session.created", "session.ended"]


@pytest.mark.usefixtures("ann")
async def test_a_login_ends_after_twelve_hours(client: Client, clock: Clock):
    _, session = await login(client)
    clock.s += 12 * 3600 - 1
    assert await me(client, session["token"]) == 200
    clock.s += 1
    assert await me(client, session["token"]) == 401


async def test_a_wrong_password_and_an_unknown_account_look_the_same(client: Client, db: Database, ann: dict[str, Any]):
    wrong = await login(client, password="not the right one")
    unknown = await login(client, email="bob@example.com")
    odd = [await login(client, email=each) for each in ("", "ann", "a\x00b", "' OR 1=1 --", "ä@ö")]
    assert wrong[0] == 401
    assert {json.dumps(each) for each in (unknown, *odd)} == {json.dumps(wrong)}
    refused = kept(db, "SELECT resource_id, changes, address FROM audit_entries WHERE action = 'session.refused'")
    assert refused[0][::2] == (str(ann["id"]), "127.0.0.1")
    assert "OR 1=1" not in json.dumps(refused)  # people type passwords into the wrong field


async def test_an_unknown_account_takes_as_long(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    monkeypatch.setattr(passwords, "_verify", lambda hashed, password: asked.append(hashed) or True)
    assert await passwords.is_password(None, "x") is False
    assert asked == [passwords._NOBODY]


@pytest.mark.usefixtures("ann")
async def test_after_failures_everybody_waits_longer_and_longer(client: Client, clock: Clock):
    assert [(await login(client, password="wrong"))[0] for _ in range(5)] == [401] * 5
    answer = await client.post("/api/session", json={"email": ANN, "password": PASSWORD})
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")  # the right one has to wait too
    clock.s += 1
    assert (await login(client, password="wrong"))[0] == 401
    assert (await login(client, password="wrong"))[1]["error"]["rule"] == "too many failures: wait 2 s"
    clock.s += 2
    assert (await login(client))[0] == 201
    assert (await login(client, password="wrong"))[0] == 401  # and it begins again
    unknown = [(await login(client, email="bob@example.com", password="wrong"))[0] for _ in range(6)]
    assert unknown == [401] * 5 + [429]  # which does not tell whether there is a Bob


async def test_one_address_cannot_try_many_accounts(client: Client, clock: Clock):
    tried = [(await login(client, email=f"u{n}@example.com", password="wrong"))[0] for n in range(21)]
    assert tried == [401] * 20 + [429]
    clock.s += 1
    assert (await login(client, email="u99@example.com"))[0] == 401


@pytest.mark.usefixtures("ann")
async def test_many_at_once_are_counted_all_the_same(client: Client):
    tried = await asyncio.gather(*(login(client, password="wrong") for _ in range(12)))
    answers = [status for status, _ in tried]
    assert answers.count(401) in (5, 6)  # two are looked at side by side
    assert answers.count(401) + answers.count(429) == 12


async def test_ones_own_password(client: Client, ann: dict[str, Any], admin: dict[str, str]):
    tokens = [(await login(client))[1]["token"] for _ in range(2)]

    async def change(current: str, new: str) -> tuple[int, str]:
        body = {"current_password": current, "new_password": new}
        answer = await client.post("/api/me/password", headers=bearer(tokens[0]), json=body)
        return (answer.status, "") if answer.status == 204 else (await fault(answer))[::2]

    assert await change("wrong", "another good password") == (403, "is wrong")
    assert await change(PASSWORD, "short") == (422, "must have 12 to 200 characters")
    assert await change(PASSWORD, ANN) == (422, "is too easy to guess")
    assert await change(PASSWORD, "aaaaaaaaaaaaaaa") == (422, "is too easy to guess")
    assert await change(PASSWORD, "another good password") == (204, "")
    assert [await me(client, each) for each in tokens] == [200, 401]
    assert (await login(client))[0] == 401
    assert (await login(client, password="another good password"))[0] == 201
    body = {"password": PASSWORD}
    assert (await client.post(f"/api/users/{ann['id']}/password", headers=admin, json=body)).status == 204
    assert await me(client, tokens[0]) == 401
    assert (await fault(await client.post("/api/me/password", headers=admin, json={**body})))[0] == 422


@pytest.mark.parametrize("change", [{"status": "INACTIVE"}, None])
async def test_who_is_switched_off_or_removed_is_out_at_once(
    client: Client, ann: dict[str, Any], admin: dict[str, str], change: dict[str, str] | None
):
    _, session = await login(client)
    assert await me(client, session["token"]) == 200
    if change is not None:
        assert (await client.patch(f"/api/users/{ann['id']}", headers=admin, json=change)).status == 200
    else:
        assert (await client.delete(f"/api/users/{ANN}", headers=admin)).status == 204
    assert await me(client, session["token"]) == 401
    assert (await login(client))[0] == 401


async def test_changing_a_user(client: Client, ann: dict[str, Any], admin: dict[str, str]):
    changed = await client.patch(f"/api/users/{ANN}", headers=admin, json={"role": "manager", "name": "Ann B"})
    assert (await changed.json())["role"] == "manager"
    for body, field in (
        ({"email": "no address"}, "email"),
        ({"email": "a@example.com\r\nBcc: x@example.com"}, "email"),
        ({"email": "Ann <ann@example.com>"}, "email"),
        ({"role": "king"}, "role"),
        ({"status": "GONE"}, "status"),
        ({"password_hash": "x"}, "password_hash"),
        ({"buyer_id": 77}, "buyer_id"),
    ):
        assert (await fault(await client.patch(f"/api/users/{ANN}", headers=admin, json=body)))[:2] == (422, field)
    again = await client.post("/api/users", headers=admin, json={"email": "ANN@example.com"})
    assert (await fault(again))[:2] == (409, "email")
    for missing in ("99", "x@example.com", "%00", "9" * 30):
        assert (await client.get(f"/api/users/{missing}", headers=admin)).status == 404


async def test_what_one_wants_to_be_told(client: Client, ann: dict[str, Any], admin: dict[str, str], db: Database):
    token = bearer((await login(client))[1]["token"])
    path = f"/api/users/{ann['id']}/notification-preferences"
    found = await (await client.get(path, headers=token)).json()
    assert found == {
        "user_id": ann["id"],
        "email_enabled": True,
        "sms_enabled": False,
        "slack_enabled": False,
        "notify_call_maxed_out": True,
        "notify_buyer_offline": True,
        "notify_daily_summary": True,
        "notify_conversion": False,
    }
    assert set(found) == {"user_id", *PREFERENCES}
    changed = await client.patch(path, headers=token, json={"notify_conversion": True})
    assert (await changed.json()) == {**found, "notify_conversion": True}
    mine = await client.get("/api/users/me/notification-preferences", headers=token)
    assert (await mine.json())["notify_conversion"] is True
    assert (await client.patch(path, headers=admin, json={"slack_enabled": True})).status == 200
    assert (await fault(await client.patch(path, headers=token, json={"loud": True})))[:2] == (422, "loud")
    assert (await fault(await client.patch(path, headers=token, json={"email_enabled": 1})))[:2] == (
        422,
        "email_enabled",
    )
    other = (await (await client.post("/api/users", headers=admin, json={"email": "b@example.com"})).json())["id"]
    seen = {
        (await (await client.get(f"/api/users/{key}/notification-preferences", headers=token)).text())
        for key in (other, 99, "nobody")
    }
    assert len(seen) == 1  # whether there is such a user is not told
    assert "lacks settings.manage" in seen.pop()
    changes = kept(db, "SELECT changes FROM audit_entries WHERE action = 'notification_preferences.updated'")
    assert json.loads(changes[0][0]) == {"before": {"notify_conversion": False}, "after": {"notify_conversion": True}}


# -- invitations ---------------------------------------------------------------------------------------------


async def invited(client: Client, admin: dict[str, str], **body: Any) -> tuple[dict[str, Any], str]:
    """The invitation, and the path of its link."""
    body = {"email": "bob@example.com", "role": "agent", **body}
    answer = await client.post("/api/team-members/invite", headers=admin, json=body)
    row = await answer.json()
    assert answer.status == 201, row
    return row, row["accept_url"].removeprefix("https://dcx.example.com")


async def test_an_invitation_from_first_to_last(client: Client, admin: dict[str, str], db: Database):
    row, path = await invited(client, admin)
    token = path.split("/")[3]
    assert (len(token), row["status"], row["invited_by"]) == (64, "pending", "boss")
    mail = json.loads(kept(db, "SELECT payload FROM outbox WHERE kind = 'email'")[0][0])
    assert (mail["to"], row["accept_url"] in mail["text"]) == (["bob@example.com"], True)
    assert token not in json.dumps(kept(db, "SELECT * FROM invitations") + kept(db, "SELECT * FROM audit_entries"))
    waiting = kept(db, "SELECT id FROM outbox")[0][0]
    assert token not in await (await client.get(f"/api/outbox/{waiting}", headers=admin)).text()
    shown = await (await client.get(path)).json()
    assert (shown["email"], shown["role"]) == ("bob@example.com", "agent")
    assert (await client.get(path)).status == 200  # looking does not use it up
    assert (await fault(await client.post(path, json={"password": "short"})))[:2] == (422, "password")
    assert (await client.post(path, json={"password": PASSWORD, "name": "Bob"})).status == 201
    assert (await fault(await client.post(path, json={"password": PASSWORD})))[0] == 404
    assert (await login(client, "bob@example.com"))[0] == 201
    listed = (await (await client.get("/api/invitations", headers=admin)).json())["data"]
    assert [each["status"] for each in listed] == ["accepted"]
    assert (await client.delete(f"/api/invitations/{row['id']}", headers=admin)).status == 409
    again = {"email": "bob@example.com"}
    assert (await client.post("/api/team-members/invite", headers=admin, json=again)).status == 409


async def test_in_a_browser(client: Client, admin: dict[str, str]):
    _, path = await invited(client, admin, role="viewer")
    page = await client.get(path, headers={"Accept": "text/html"})
    assert (page.status, page.headers["Referrer-Policy"]) == (200, "no-referrer")
    assert "bob@example.com is invited as viewer" in await page.text()
    again = await client.post(path, data={"name": "<b>Bob</b>", "password": "short"})
    assert again.status == 422
    assert "&lt;b&gt;Bob&lt;/b&gt;" in await again.text()
    done = await client.post(path, data={"name": "Bob", "password": PASSWORD})
    assert (done.status, "log in as bob@example.com" in await done.text()) == (201, True)
    gone = await client.get(path, headers={"Accept": "text/html"})
    assert (gone.status, gone.content_type) == (404, "text/html")


async def test_invitations_that_no_longer_count(client: Client, admin: dict[str, str], db: Database):
    _, first = await invited(client, admin)
    row, second = await invited(client, admin, role="viewer")
    _, other = await invited(client, admin, email="eve@example.com")
    assert (await client.get(first)).status == 404  # a newer one took its place
    assert (await client.get(second)).status == 200
    assert (await client.delete(f"/api/invitations/{row['id']}", headers=admin)).status == 204
    assert (await client.get(second)).status == 404
    connection = sqlite3.connect(db.where)
    connection.execute("UPDATE invitations SET expires_at = 1 WHERE email = 'eve@example.com'")
    connection.commit()
    connection.close()
    refused = await client.post(other, json={"password": PASSWORD})
    assert refused.status == 404
    for odd in ("x", "0" * 64, "0" * 63 + "%27", "%00" * 64, "é" * 64):
        answer = await client.get(f"/api/invitations/{odd}/accept")
        assert await answer.text() == await refused.text()
    for missing in ("0", "abc", "9" * 30):
        assert (await client.delete(f"/api/invitations/{missing}", headers=admin)).status == 404


async def test_two_cannot_accept_one_invitation(client: Client, admin: dict[str, str]):
    _, path = await invited(client, admin)
    answers = await asyncio.gather(*(client.post(path, json={"password": PASSWORD}) for _ in range(4)))
    assert sorted(each.status for each in answers) == [201, 404, 404, 404]


async def test_an_invitation_for_one_source(client: Client, admin: dict[str, str]):
    await client.post("/api/traffic-sources", headers=admin, json={"name": "S"})
    _, path = await invited(client, admin, role="manager", traffic_source_id="S")
    user = await (await client.post(path, json={"password": PASSWORD})).json()
    _, session = await login(client, "bob@example.com")
    found = await (await client.get("/api/me", headers=bearer(session["token"]))).json()
    assert found["traffic_source_id"] == user["traffic_source_id"] == 1
    assert not [name for name in found["permissions"] if name.endswith(".write")]


async def test_the_company(client: Client, admin: dict[str, str], ann: dict[str, Any]):
    token = bearer((await login(client))[1]["token"])
    found = {"timezone": "America/New_York", "date_format": "MM/DD/YYYY", "currency": "USD", "locale": "en-US"}
    assert await (await client.get("/api/company", headers=token)).json() == found
    assert (await client.patch("/api/company", headers=token, json={"locale": "de-DE"})).status == 403
    changed = await client.patch("/api/company", headers=admin, json={"locale": "de-DE", "date_format": "DD.MM.YYYY"})
    assert await changed.json() == {**found, "locale": "de-DE", "date_format": "DD.MM.YYYY"}
    for body in ({"locale": "german"}, {"date_format": "%s"}, {"currency": "EUR"}, {"timezone": "UTC"}):
        assert (await client.patch("/api/company", headers=admin, json=body)).status == 422


async def test_the_real_hash_is_argon2id_and_salted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher())
    first = await passwords.hash_password(PASSWORD)
    assert first.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await passwords.is_password(first, PASSWORD)
    assert not await passwords.is_password(first, PASSWORD + "x")
    assert not await passwords.is_password("not a hash", PASSWORD)
    assert not passwords.is_outdated(first)
