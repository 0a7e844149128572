"""A small client of Asterisk's manager interface: what ARI has no verb for, and that is MixMonitor.

The manager's user needs `write=system,call` (MixMonitor is a `system` action) and `read=` empty.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import logging
import re
from collections.abc import Mapping

from dcx_ari.ari.errors import AccessDenied, AriError, BadRequest, Gone, Unreachable

log = logging.getLogger(__name__)

# A path ends up inside `r(…)t(…)` of an option string without escapes, and its extension names the format.
_SAFE_PATH = re.compile(r"[^\x00-\x1f\x7f(),|;\"'\\^$&<>`{}]+\.[a-z0-9]+")
_ID_VARIABLE = "DCX_MIXMONITOR"  # the manager tells the monitor's id only if it is also put into a variable
_MAX_ANSWER_LINES = 200


class AmiClient:
    """One manager connection, opened at the first action and again after it was lost.

    Manager passwords and commands travel in clear: only a loopback `host` is accepted (ValueError).
    `timeout_s` bounds each action, with connecting and the wait for earlier ones.
    """

    def __init__(self, host: str, port: int, user: str, password: str, *, timeout_s: float = 5.0) -> None:
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"the manager interface must be on loopback, not {host}")
        self._where = (host, port)
        self._login = {"Username": _value(user), "Secret": _value(password), "Events": "off"}
        self._timeout_s = timeout_s
        self._one_at_a_time = asyncio.Lock()
        self._ids = itertools.count(1)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def mix_monitor(self, channel: str, receive: str, transmit: str) -> str:
        """Record both directions of a channel into two time-aligned files; the monitor's id.

        `receive` is what the party says, `transmit` what it hears. Paths are absolute or relative to the
        spool's `monitor` directory; missing directories are made; the format is the extension (`wav` is
        16-bit mono at 8 kHz). A path with a character that the option string cannot hold is a ValueError;
        a file that cannot be opened is only in Asterisk's log. `Gone` where the channel has gone.
        """
        for path in (receive, transmit):
            if not _SAFE_PATH.fullmatch(path) or ".." in path.split("/"):
                raise ValueError(f"{path!r} is no name for a recording")
        options = f"r({receive})t({transmit})i({_ID_VARIABLE})"
        answer = await self.action("MixMonitor", {"Channel": channel, "Options": options})
        return answer["MixMonitorID"]

    async def stop(self, channel: str, monitor: str) -> None:
        """End one monitor of a channel, or with an empty id all; its files are complete when this returns."""
        one = {"MixMonitorID": monitor} if monitor else {}
        await self.action("StopMixMonitor", {"Channel": channel, **one})

    async def mute(self, channel: str, on: bool, *, direction: str = "both") -> None:
        """Write silence instead of sound into the channel's monitors (`read`, `write` or `both`)."""
        state = "1" if on else "0"
        await self.action("MixMonitorMute", {"Channel": channel, "Direction": direction, "State": state})

    async def ping(self) -> None:
        await self.action("Ping", {})

    async def action(self, name: str, headers: Mapping[str, str]) -> dict[str, str]:
        """The fields of the answer.

        Raises `Gone`, `AccessDenied` or `BadRequest` as the manager says, `Unreachable` where it says
        nothing in time, and ValueError for a header that would smuggle in another.
        """
        fields = {_value(key): _value(value) for key, value in headers.items()}
        try:
            async with asyncio.timeout(self._timeout_s), self._one_at_a_time:
                return await self._act(name, fields)
        except TimeoutError:
            raise Unreachable(f"manager {name}: no answer within {self._timeout_s:g} s") from None
        except (OSError, EOFError) as error:
            raise Unreachable(f"manager {name}: {error!r}") from None

    async def close(self) -> None:
        """Hang up on the manager; a later action connects again."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()

    async def _act(self, name: str, fields: Mapping[str, str]) -> dict[str, str]:
        if self._streams is None or self._streams[0].at_eof():
            await self.close()
            self._streams = await asyncio.open_connection(*self._where)
            await self._converse("Login", self._login)
        return await self._converse(name, fields)

    async def _converse(self, name: str, fields: Mapping[str, str]) -> dict[str, str]:
        """Send and read up to the answer. Whatever breaks it off half-way leaves no connection behind."""
        assert self._streams is not None  # noqa: S101 — _act opened it
        reader, writer = self._streams
        action_id = str(next(self._ids))
        lines = [f"{key}: {value}" for key, value in {"Action": name, "ActionID": action_id, **fields}.items()]
        try:
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
            await writer.drain()
            answer = await _read_answer(reader, action_id)
        except BaseException:
            await self.close()
            raise
        if answer.get("Response") != "Success":
            if name == "Login":
                await self.close()
            raise _refusal(name, answer.get("Message", "no reason given"))
        return answer


async def _read_answer(reader: asyncio.StreamReader, action_id: str) -> dict[str, str]:
    """The next block of lines that carries the action's id; the banner and anything else is passed over."""
    block: dict[str, str] = {}
    while True:
        line = (await reader.readuntil(b"\n")).decode("utf-8", "replace").rstrip("\r\n")
        if not line:
            if block.get("ActionID") == action_id:
                return block
            block = {}
            continue
        key, _, value = line.partition(": ")
        block[key] = value
        if len(block) > _MAX_ANSWER_LINES:
            raise EOFError("the manager's answer has no end")


def _refusal(name: str, message: str) -> AriError:
    said = message.lower()
    kind: type[AriError] = BadRequest
    if "no such channel" in said or "not found" in said:
        kind = Gone
    elif "permission denied" in said or "authentication failed" in said:
        kind = AccessDenied
    return kind(f"manager {name}: {message}")


def _value(text: str) -> str:
    if "\r" in text or "\n" in text:
        raise ValueError("a manager header cannot hold a line break")
    return text
