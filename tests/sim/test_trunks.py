"""Trunks are pushed once, whoever pushes them: while one is pushed, calls from it are refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from dcx_ari.ari.resources import Ari
from dcx_ari.ari.transport import Request
from dcx_ari.ari.trunks import TrunkAccount, TrunkObjects
from dcx_ari.testing import FakeAsterisk

pytestmark = pytest.mark.sim

TRUNK = TrunkAccount(3, "carrier", "192.0.2.1", 5060, "udp", accept_from=["192.0.2.1"])
IDENTIFY = ("identify", TRUNK.endpoint)


class Worker:
    """A process of its own on the one Asterisk. `deleted`: what it took away."""

    def __init__(self, fake: FakeAsterisk, app: str) -> None:
        self.deleted: list[str] = []
        self._transport = fake.client(app)
        self.trunks = TrunkObjects(Ari(self))

    async def request(self, request: Request) -> bytes:
        if request.method == "DELETE":
            self.deleted.append(request.path)
        return await self._transport.request(request)

    def sessions(self) -> AsyncIterator[Any]:
        return self._transport.sessions()

    async def close(self) -> None:
        await self._transport.close()


async def test_a_second_worker_does_not_push_what_is_there(fake: FakeAsterisk) -> None:
    first, second = Worker(fake, "dcx-0"), Worker(fake, "dcx-1")
    assert await first.trunks.sync([TRUNK]) == []
    assert IDENTIFY in fake.core.objects
    assert await second.trunks.sync([TRUNK]) == []
    assert second.deleted == []

    changed = replace(TRUNK, accept_from=["192.0.2.2"])
    await second.trunks.sync([changed])
    assert second.deleted != []
    assert fake.core.objects[IDENTIFY]["match"] == "192.0.2.2"
    await first.trunks.sync([replace(changed, name="renamed")])
    assert fake.core.objects[IDENTIFY]["match"] == "192.0.2.2"

    await first.trunks.sync([])
    assert IDENTIFY not in fake.core.objects
    await Worker(fake, "dcx-2").trunks.sync([changed])
    assert IDENTIFY in fake.core.objects


async def test_another_asterisk_knows_nothing(fake: FakeAsterisk) -> None:
    worker, other = Worker(fake, "dcx-0"), FakeAsterisk(app="dcx-0")
    await worker.trunks.sync([TRUNK])
    moved = Worker(other, "dcx-0")
    await moved.trunks.sync([TRUNK])
    assert IDENTIFY in other.core.objects
