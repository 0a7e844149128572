"""The Asterisk under the bench, and the few things the bench asks of it."""

import asyncio
import base64
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench import ports
from dcx_asterisk.fetch import ensure
from dcx_asterisk.instance import Instance
from dcx_asterisk.process import Asterisk, running


@dataclass(frozen=True, slots=True)
class Bed:
    """A running Asterisk; the commands that start SIPp and a Python program."""

    asterisk: Asterisk
    sipp: list[str]
    versions: str
    python: list[str]

    @property
    def sip(self) -> str:
        """Where calls are sent, as host:port."""
        return f"{self.asterisk.instance.sip_bind}:{self.asterisk.instance.sip_port}"

    async def push(self, kind: str, name: str, fields: Mapping[str, str]) -> None:
        """Put one PJSIP object into Asterisk's memory; RuntimeError with its words if it is refused."""
        login = base64.b64encode(f"{self.asterisk.ari_user}:{self.asterisk.ari_password}".encode()).decode()
        body = {"fields": [{"attribute": key, "value": value} for key, value in fields.items()]}
        url = f"{self.asterisk.ari_url}/asterisk/config/dynamic/res_pjsip/{kind}/{name}"
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Basic {login}"}) as http,
            http.put(url, json=body, timeout=aiohttp.ClientTimeout(total=10)) as response,
        ):
            if response.status >= 400:
                raise RuntimeError(f"{kind} {name}: {response.status} {(await response.text())[:200]}")


@asynccontextmanager
async def bed(python: Sequence[str] = (sys.executable,), rtp_ports: tuple[int, int] = ports.RTP) -> AsyncIterator[Bed]:
    """A fresh Asterisk for the length of the block. Raises AsteriskError if it cannot be had."""
    phones = await asyncio.to_thread(ensure, "phones")
    with tempfile.TemporaryDirectory(prefix="dcx-bench-") as home:
        instance = Instance(
            home=Path(home),
            ari_port=ports.ARI,
            ami_port=ports.AMI,
            sip_port=ports.SIP,
            rtp_ports=rtp_ports,
        )
        async with running(instance) as asterisk:
            versions = [upstream(asterisk.tree.versions["asterisk"]), upstream(phones.versions["sip-tester"])]
            yield Bed(asterisk, phones.command("sipp"), "Asterisk {}, SIPp {}".format(*versions), list(python))


def upstream(version: str) -> str:
    """The upstream part of a Debian version: without epoch, repacking and revision."""
    return version.split(":")[-1].split("+")[0].split("-")[0]
