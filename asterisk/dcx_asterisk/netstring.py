"""The control connection of a baresip phone: JSON objects in netstrings (`length:text,`) over TCP on
loopback."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable
from typing import Any

from dcx_asterisk.errors import CommandFailed

_LIMIT = 1 << 20


class Control:
    """Commands out, answers matched by token, everything else to `on_event`."""

    def __init__(self, on_event: Callable[[dict[str, Any]], None], on_closed: Callable[[], None]) -> None:
        self._on_event = on_event
        self._on_closed = on_closed
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._tokens = itertools.count(1)
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    async def connect(self, port: int) -> None:
        """Raises OSError while nobody listens there."""
        reader, self._writer = await asyncio.open_connection("127.0.0.1", port, limit=_LIMIT)
        self._task = asyncio.create_task(self._read(reader))

    async def command(self, name: str, parameters: str = "", timeout_s: float = 5) -> str:
        """What the phone answers. Raises CommandFailed where it refuses, has gone or says nothing."""
        if self._writer is None or self._task is None or self._task.done():
            raise CommandFailed(f"the phone is not there to {name}")
        token = str(next(self._tokens))
        message = {"command": name, "token": token, **({"params": parameters} if parameters else {})}
        future = asyncio.get_running_loop().create_future()
        self._waiting[token] = future
        try:
            text = json.dumps(message).encode()
            self._writer.write(b"%d:%s," % (len(text), text))
            await self._writer.drain()
            answer = await asyncio.wait_for(future, timeout_s)
        except (TimeoutError, OSError) as error:
            raise CommandFailed(f"the phone did not answer {name!r}") from error
        finally:
            self._waiting.pop(token, None)
        said = str(answer.get("data", "")).strip()
        if not answer.get("ok"):
            raise CommandFailed(f"the phone refused {name!r}: {said}")
        return said

    async def close(self) -> None:
        """Close the connection; pending commands fail."""
        if self._writer is not None:
            self._writer.close()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                length = int((await reader.readuntil(b":"))[:-1])
                text = await reader.readexactly(length + 1)
                message: dict[str, Any] = json.loads(text[:-1].decode(errors="replace"))
                if not message.get("response"):
                    self._on_event(message)
                elif (future := self._waiting.get(str(message.get("token")))) and not future.done():
                    future.set_result(message)
        except (asyncio.IncompleteReadError, ValueError, OSError):
            pass  # gone, or no longer speaking our protocol: both end it
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(CommandFailed("the phone has gone"))
            self._on_closed()
