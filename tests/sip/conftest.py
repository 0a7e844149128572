"""A real Asterisk for the whole tier, and real phones for each test."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from dcx_ari.store.db import open_database
from dcx_ari.store.migrate import migrate
from dcx_asterisk.fetch import ensure
from dcx_asterisk.instance import Instance
from dcx_asterisk.phone import PORTS, Phone
from dcx_asterisk.ports import free_ports
from dcx_asterisk.process import Asterisk, running
from dcx_asterisk.tree import Tree
from tests.sip.exchange import Exchange, exchange
from tests.sip.rows import Rows

MakePhone = Callable[..., Awaitable[Phone]]

# What a trunk is made of: calls in from its addresses only, one caller id on the way out and no renegotiation
# to change it.
TRUNK = {
    "transport": "transport-udp",
    "context": "from-trunk",
    "allow": "!all,ulaw,alaw",
    "callerid": "",
    "identify_by": "ip",
    "direct_media": "no",
    "rtp_symmetric": "yes",
    "force_rport": "yes",
    "rewrite_contact": "no",
    "send_pai": "yes",
    "send_connected_line": "no",
    "trust_id_inbound": "yes",
    "trust_id_outbound": "yes",
    "allow_overlap": "no",
    "allow_transfer": "no",
    "dtmf_mode": "rfc4733",
}
PAIR = """[pair]
exten = _.,1,Dial(PJSIP/${EXTEN}@out,20)
 same = n,Hangup(${HANGUPCAUSE})
"""


@dataclass(frozen=True)
class Switch:
    """The Asterisk under test, and what tests ask of its ARI."""

    asterisk: Asterisk
    session: aiohttp.ClientSession

    @property
    def sip(self) -> str:
        return f"127.0.0.1:{self.asterisk.instance.sip_port}"

    async def ask(self, method: str, path: str, body: object = None, **query: str) -> object:
        url = f"{self.asterisk.ari_url}/{path}"
        async with self.session.request(method, url, params=query, json=body) as answer:
            assert answer.status < 300, (path, answer.status, await answer.text())
            return await answer.json() if answer.status == 200 else None

    async def push(self, kind: str, name: str, fields: dict[str, str]) -> None:
        rows = [{"attribute": attribute, "value": value} for attribute, value in fields.items()]
        await self.ask("PUT", f"asterisk/config/dynamic/res_pjsip/{kind}/{name}", {"fields": rows})

    async def trunk(self, name: str, host: str, match: str = "", **changes: str) -> None:
        """A trunk to `host` (host:port); `match` is whom calls are accepted from."""
        await self.push("aor", name, {"contact": f"sip:{host}"})
        await self.push("endpoint", name, {**TRUNK, "aors": name, **changes})
        if match:
            await self.push("identify", name, {"endpoint": name, "match": match})

    async def drop(self, *names: str) -> None:
        for name in names:
            for kind in ("identify", "endpoint", "aor"):
                await self.session.delete(f"{self.asterisk.ari_url}/asterisk/config/dynamic/res_pjsip/{kind}/{name}")

    async def set(self, **globals_: str) -> None:
        """Change global variables of the dialplan."""
        for name, value in globals_.items():
            await self.ask("POST", "asterisk/variable", variable=name, value=value)


@pytest.fixture(scope="session")
def phones_tree() -> Tree:
    return ensure("phones")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def asterisk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asterisk]:
    """A running Asterisk: the product's configuration, a short wait for an engine, and the context `pair`."""
    sip, ari, ami, rtp = free_ports(4, spacing=40)
    instance = Instance(
        home=tmp_path_factory.mktemp("asterisk"),
        sip_port=sip,
        ari_port=ari,
        ami_port=ami,
        rtp_ports=(rtp, rtp + 39),
        retry_s=1,
    )
    instance.etc.mkdir(parents=True)
    (instance.etc / "local.conf").write_text(PAIR)
    async with running(instance) as asterisk:
        yield asterisk


@pytest.fixture
async def switch(asterisk: Asterisk) -> AsyncIterator[Switch]:
    """The Asterisk, left without trunks and with the usual global variables afterwards."""
    known = b64encode(f"{asterisk.ari_user}:{asterisk.ari_password}".encode()).decode()
    async with aiohttp.ClientSession(headers={"Authorization": f"Basic {known}"}) as session:
        switch = Switch(asterisk, session)
        yield switch
        await switch.drop("in", "out")
        await switch.set(DCX_ENGINES="1", DCX_RETRIES="4", DCX_FALLBACK_NUMBER="", DCX_FALLBACK_TRUNK="")


@pytest.fixture
async def phone(phones_tree: Tree, tmp_path: Path) -> AsyncIterator[MakePhone]:
    """Makes started phones: `await phone("buyer", tone_hz=700, answer="auto")`."""
    made: list[Phone] = []

    async def make(name: str, **options: object) -> Phone:
        (port,) = free_ports(1, spacing=PORTS)
        one = Phone(phones_tree, tmp_path / name, port, name=name, **options)  # type: ignore[arg-type]
        made.append(one)
        await one.start()
        return one

    yield make
    for one in made:
        await one.stop()


@pytest.fixture
async def x(asterisk: Asterisk, phones_tree: Tree, tmp_path: Path) -> AsyncIterator[Exchange]:
    """A running engine of its own on the Asterisk of the session, with a trunk, a campaign and its number."""
    async with exchange(asterisk, phones_tree, tmp_path) as made:
        yield made


@pytest.fixture
async def rows(tmp_path: Path) -> AsyncIterator[Rows]:
    """The database of a home in which nothing runs yet."""
    url = f"sqlite+aiosqlite:///{tmp_path}/home/dcx.db"
    (tmp_path / "home").mkdir()
    await migrate(url)
    database = open_database(url)
    made = Rows(database)
    await made.basics()
    yield made
    await database.close()
