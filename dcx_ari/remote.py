"""The API of a running engine, as a client sees it: for commands that need the engine itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from dcx_ari.services.errors import Refused
from dcx_ari.settings import Settings

_TIMEOUT_S = 15.0
_HEARTBEAT_S = 10.0
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 — compared, not bound


class EngineAway(ConnectionError):
    """No engine answers, or what answers is not ours; the message says what to do."""


def api_url(settings: Settings) -> str:
    """Where the engine of these settings serves its API, as seen from this machine."""
    host = "127.0.0.1" if settings.api_host in _EVERYWHERE else settings.api_host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.api_port}"


class Remote:
    """Requests with a key. Answers are JSON data; refusals become the `Refused` that the engine raised."""

    def __init__(self, url: str, key: str = "", *, timeout_s: float = _TIMEOUT_S) -> None:
        self.url = url
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session = aiohttp.ClientSession(headers=headers, timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Status and JSON of any answer (None where it is not JSON). Raises EngineAway where there is none."""
        try:
            async with self._session.request(method, f"{self.url}{path}", json=body) as answer:
                try:
                    return answer.status, await answer.json()
                except (aiohttp.ContentTypeError, ValueError):
                    return answer.status, None
        except TimeoutError:
            raise EngineAway(f"the engine at {self.url} does not answer: see dcx doctor") from None
        except (aiohttp.ClientError, OSError):
            raise EngineAway(f"no engine answers at {self.url}: start it with dcx up (or set DCX_API_PORT)") from None

    async def get(self, path: str) -> Any:
        return await self._wanted("GET", path)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return await self._wanted("POST", path, body)

    async def watch(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """The messages of a WebSocket, until it ends. Raises EngineAway, Refused."""
        try:
            async with self._session.ws_connect(f"{self.url}{path}", heartbeat=_HEARTBEAT_S) as socket:
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        yield msgspec.json.decode(message.data)
        except aiohttp.WSServerHandshakeError as error:
            if error.status in (401, 403):
                raise Refused("key", f"the engine at {self.url} refuses it ({error.status})") from None
            raise EngineAway(f"the engine at {self.url} has no live view ({error.status})") from None
        except (aiohttp.ClientError, OSError, TimeoutError):
            raise EngineAway(f"no engine answers at {self.url}: start it with dcx up (or set DCX_API_PORT)") from None

    async def _wanted(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Raises Refused with the engine's words, EngineAway."""
        status, data = await self.ask(method, path, body)
        if status < 300:
            return data
        error = data.get("error") if isinstance(data, dict) else None
        if not isinstance(error, dict):
            raise EngineAway(f"what answers at {self.url} is not DCX (status {status}): set DCX_API_PORT")
        if status == 401:
            raise EngineAway(
                f"the engine at {self.url} does not know the key: is it the one of this home? "
                "Name its home with --home, or give --key"
            )
        if status >= 500:
            raise EngineAway(f"the engine at {self.url}: {error.get('message')}")
        raise Refused(str(error.get("field")), str(error.get("rule")))
