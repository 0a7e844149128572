"""The floor: the least a Python program must do to connect two legs over ARI. No database, no rules, no rows.

    python -m bench.floor http://127.0.0.1:8088/ari USER PASSWORD APP "PJSIP/{number}@trunk"

Prints `ready` once the event socket is open; ends on SIGTERM or when Asterisk goes.
"""

import asyncio
import json
import sys
from base64 import b64encode
from typing import Any

import aiohttp


class Floor:
    def __init__(self, http: aiohttp.ClientSession, ari: str, app: str, endpoint: str) -> None:
        self.http, self.ari, self.app, self.endpoint = http, ari, app, endpoint
        self.other: dict[str, str] = {}  # channel id → id of the other leg
        self.bridge: dict[str, str] = {}  # caller's channel id → bridge id
        self.tasks: set[asyncio.Task[None]] = set()

    async def rest(self, method: str, path: str, **params: str) -> int:
        async with self.http.request(method, f"{self.ari}/{path}", params=params) as response:
            await response.read()
            return response.status

    async def dial(self, caller: str, number: str) -> None:
        leg = f"{caller}.leg"
        self.other |= {caller: leg, leg: caller}
        where = {"endpoint": self.endpoint.format(number=number), "app": self.app, "appArgs": "leg"}
        if await self.rest("POST", f"channels/{leg}", **where, timeout="30", originator=caller) >= 400:
            await self.rest("DELETE", f"channels/{caller}")

    async def connect(self, caller: str, leg: str) -> None:
        bridge = self.bridge[caller] = f"{caller}.bridge"
        answered = self.rest("POST", f"channels/{caller}/answer")
        await asyncio.gather(answered, self.rest("POST", f"bridges/{bridge}", type="mixing"))
        await self.rest("POST", f"bridges/{bridge}/addChannel", channel=f"{caller},{leg}")

    async def end(self, gone: str) -> None:
        other = self.other.pop(gone, None)
        if other is not None and self.other.pop(other, None) is not None:
            await self.rest("DELETE", f"channels/{other}")
        if (bridge := self.bridge.pop(gone, None)) is not None:
            await self.rest("DELETE", f"bridges/{bridge}")

    def handle(self, event: dict[str, Any]) -> None:
        step, kind, channel = None, event["type"], event.get("channel", {})
        if kind == "StasisStart" and event["args"] == ["leg"] and channel["id"] in self.other:
            step = self.connect(self.other[channel["id"]], channel["id"])
        elif kind == "StasisStart" and not event["args"]:
            step = self.dial(channel["id"], channel["dialplan"]["exten"])
        elif kind in (
            "StasisEnd",
            "ChannelDestroyed",
        ):  # the caller gives the one, a leg that failed the other
            step = self.end(channel["id"])
        if step is not None:
            task = asyncio.create_task(step)
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)


async def main(ari: str, user: str, password: str, app: str, endpoint: str) -> None:
    login = {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}
    async with (
        aiohttp.ClientSession(headers=login) as http,
        http.ws_connect(f"{ari}/events?app={app}") as socket,
    ):
        floor = Floor(http, ari, app, endpoint)
        print("ready", flush=True)
        async for message in socket:
            floor.handle(json.loads(message.data))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:6]))
