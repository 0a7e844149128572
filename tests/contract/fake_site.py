"""The fake as a `Site`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from dcx_ari.ari.transport import Transport
from dcx_ari.testing import Caller, FakeAsterisk, FarEnd
from tests.contract.world import APP, LONG, MISSING, SHORT


class FakePerson:
    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.channel_id = caller.channel.id

    async def press(self, digits: str) -> None:
        await self._caller.press(digits)

    async def hang_up(self) -> None:
        self._caller.hang_up()


class FakeSite:
    def __init__(self) -> None:
        self.fake = FakeAsterisk(APP)
        self.fake.sound(LONG, 30.0)
        self.fake.sound(SHORT, 0.42)
        self.fake.no_sound(MISSING)
        self.fake.core.dialplan = lambda channel: None  # the real site parks those who leave Stasis
        self._count = 0

    async def endpoint(self, *scripts: FarEnd) -> str:
        self._count += 1
        return self.fake.phone(f"PJSIP/f{self._count}@loop", *scripts).endpoint

    async def dial_in(self, dialled: str, caller: str) -> FakePerson:
        return FakePerson(self.fake.call(dialled, caller=caller))

    def media(self, connection: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self.fake.media(connection)

    def second(self, app: str) -> Transport:
        return self.fake.client(app)
