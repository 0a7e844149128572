"""The API's place on the network: one port, served by one of the workers."""

from __future__ import annotations

import asyncio
import errno

from aiohttp import web

from dcx_ari.failure import EngineFailed
from dcx_ari.settings import Settings

_CLOSING_S = 2.0
_AGAIN_S = 0.5


class Front:
    """Serves an application until it is cancelled. `serving` is set once it listens."""

    def __init__(self, settings: Settings) -> None:
        self.serving = asyncio.Event()
        self._settings = settings

    @property
    def shared(self) -> bool:
        """Whether other workers may have the port: the first gets it, and when that one is gone another."""
        return self._settings.workers > 1

    async def run(self, app: web.Application) -> None:
        """Raises EngineFailed where it cannot listen."""
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSING_S)
        await runner.setup()
        try:
            await self._listen(runner)
            self.serving.set()
            await asyncio.get_running_loop().create_future()
        finally:
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> None:
        host, port = self._settings.api_host, self._settings.api_port
        while True:
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not self.shared:
                    raise EngineFailed(
                        f"DCX_API_PORT: cannot listen on {host}:{port}: {error.strerror or error}. "
                        "Stop the other program, or set DCX_API_PORT to a free port."
                    ) from None
                await asyncio.sleep(_AGAIN_S)
            else:
                return
