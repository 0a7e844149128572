"""A real Asterisk as a `Site`: it calls itself over a SIP trunk on loopback.

The far ends are channels of the same Asterisk in an application of their own, `far`, which plays the scripts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from dcx_ari.ari.client import AriClient
from dcx_ari.ari.media import MediaSockets
from dcx_ari.ari.resources import Ari
from dcx_ari.ari.transport import Transport
from dcx_ari.testing import FarEnd
from dcx_asterisk.instance import Instance
from dcx_asterisk.process import Asterisk, running
from tests.contract.world import Log, quietly

FAR = "far"
TRUNK = "loop"
DIALPLAN = """\
[far]
exten = _f.,1,Stasis(far,${EXTEN})
exten = park,1,Wait(30)
 same = n,Hangup()
exten = _+X.,1,Goto(from-trunk,${EXTEN},1)
"""


class Tasks:
    """Owns the tasks of the far ends; a failure of one is raised at the end."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def stop(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


class RealLine:
    """A far end that has been dialled: plays a script on its channel."""

    def __init__(self, ari: Ari, tasks: Tasks, channel: str) -> None:
        self._ari = ari
        self._tasks = tasks
        self._channel = channel

    def at(self, seconds: float, act: Callable[..., object], *args: Any) -> None:
        asyncio.get_running_loop().call_later(seconds, act, *args)

    def ring(self) -> None:
        self._do(self._ari.channels.ring(self._channel))

    def progress(self) -> None:
        self._do(self._ari.channels.progress(self._channel))

    def answer(self) -> None:
        self._do(self._ari.channels.answer(self._channel))

    def refuse(self, cause: int, status: int) -> None:
        self._do(self._ari.channels.hangup(self._channel, reason_code=str(cause)))

    def digit(self, digit: str) -> None:
        self._do(self._ari.channels.send_dtmf(self._channel, dtmf=digit))

    def hang_up(self) -> None:
        self._do(self._ari.channels.hangup(self._channel))

    def _do(self, request: Coroutine[Any, Any, None]) -> None:
        self._tasks.start(quietly(request))


class RealPerson:
    def __init__(self, ari: Ari, far_channel: str) -> None:
        self._ari = ari
        self._far_channel = far_channel
        self.channel_id = ""

    async def press(self, digits: str) -> None:
        await self._ari.channels.send_dtmf(self._far_channel, dtmf=digits)

    async def hang_up(self) -> None:
        await quietly(self._ari.channels.hangup(self._far_channel))


class RealSite:
    def __init__(self, asterisk: Asterisk) -> None:
        self.asterisk = asterisk
        self.tasks = Tasks()
        self.far = Log(self.second(FAR), FAR)
        self._scripts: dict[str, list[FarEnd]] = {}
        self._count = 0
        self._served = 0

    def media(self, connection: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return MediaSockets(self.asterisk.ari_url).open(connection)

    def second(self, app: str) -> Transport:
        asterisk = self.asterisk
        return AriClient(asterisk.ari_url, asterisk.ari_user, asterisk.ari_password, app)

    async def prepare(self) -> None:
        """Push the trunk that leads back to this Asterisk."""
        port = self.asterisk.instance.sip_port
        await self._put("aor", TRUNK, {"contact": f"sip:127.0.0.1:{port}"})
        fields = {"context": "far", "aors": TRUNK, "allow": "!all,ulaw", "direct_media": "no", "callerid": ""}
        await self._put("endpoint", TRUNK, fields)
        await self._put("identify", TRUNK, {"endpoint": TRUNK, "match": "127.0.0.1"})

    async def _put(self, kind: str, name: str, fields: Mapping[str, str]) -> None:
        pairs = [{"attribute": attribute, "value": value} for attribute, value in fields.items()]
        await self.far.ari.asterisk.update_object("res_pjsip", kind, name, fields=pairs)

    async def serve(self) -> None:
        """Play the scripts on every far end that is dialled."""
        while True:
            await self.far.until(lambda: len(self.far.events) > self._served, "any event", 3600)
            event = self.far.events[self._served]
            self._served += 1
            if event["type"] == "StasisStart" and event["args"][:1] != ["caller"]:
                self._begin(event["args"][0], event["channel"]["id"])

    def _begin(self, number: str, channel: str) -> None:
        scripts = self._scripts[number]
        script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        script.begin(RealLine(self.far.ari, self.tasks, channel))

    # Site

    async def endpoint(self, *scripts: FarEnd) -> str:
        self._count += 1
        if not scripts[0].dialable:
            return f"PJSIP/f{self._count}@nobody-there"
        self._scripts[f"f{self._count}"] = list(scripts)
        return f"PJSIP/f{self._count}@{TRUNK}"

    async def dial_in(self, dialled: str, caller: str) -> RealPerson:
        self._count += 1
        far_channel = f"far.caller{self._count}"
        endpoint = f"PJSIP/{dialled}@{TRUNK}"
        await self.far.ari.channels.originate(
            endpoint=endpoint, app=FAR, app_args="caller", channel_id=far_channel, caller_id=f"<{caller}>", timeout_s=60
        )
        return RealPerson(self.far.ari, far_channel)


@asynccontextmanager
async def real_site(home: Path, first_port: int) -> AsyncIterator[RealSite]:
    """An Asterisk of our own on loopback; takes ports from `first_port` to `first_port` + 799."""
    instance = Instance(
        home=home,
        ari_port=first_port,
        ami_port=first_port + 1,
        sip_port=first_port + 2,
        rtp_ports=(first_port + 100, first_port + 799),
    )
    instance.etc.mkdir(parents=True)
    (instance.etc / "local.conf").write_text(DIALPLAN, encoding="utf-8")
    async with running(instance) as asterisk:
        site = RealSite(asterisk)
        reading = asyncio.create_task(site.far.read())
        await site.far.connected(1)
        await site.prepare()
        serving = asyncio.create_task(site.serve())
        try:
            yield site
        finally:
            for task in (serving, reading):
                task.cancel()
            await asyncio.gather(serving, reading, return_exceptions=True)
            await site.tasks.stop()
            await site.far.close()
