"""One real Asterisk for the whole tier, and a wired-up client for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from dcx_ari.ari.ami import AmiClient
from dcx_asterisk.instance import Instance
from dcx_asterisk.ports import free_ports
from dcx_asterisk.process import Asterisk, running
from tests.ari.line import Line, open_line

# Far ends for Local channels; the dialplan that callers reach is the product's own.
FAR = """[far]
exten = echo,1,Answer()
 same = n,Echo()
exten = tone,1,Answer()
 same = n,Playtones(440)
 same = n,Wait(60)
exten = ring,1,Ringing()
 same = n,Wait(60)
"""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def asterisk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asterisk]:
    """A running Asterisk with the product's configuration and the context `far`."""
    ari, sip, ami = free_ports(3, within=range(22000, 22100))
    first_rtp = free_ports(1, spacing=100, within=range(22100, 22900, 100))[0]
    instance = Instance(
        home=tmp_path_factory.mktemp("asterisk"),
        ari_port=ari,
        sip_port=sip,
        ami_port=ami,
        rtp_ports=(first_rtp, first_rtp + 99),
    )
    instance.etc.mkdir(parents=True)
    (instance.etc / "local.conf").write_text(FAR)
    async with running(instance) as asterisk:
        yield asterisk


@pytest.fixture
async def line(asterisk: Asterisk) -> AsyncIterator[Line]:
    async with open_line(asterisk) as line:
        yield line


@pytest.fixture
async def ami(asterisk: Asterisk) -> AsyncIterator[AmiClient]:
    client = AmiClient(asterisk.ami_host, asterisk.ami_port, asterisk.ami_user, asterisk.ami_secret)
    yield client
    await client.close()
