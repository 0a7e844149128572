"""Everything in this tier runs in virtual time: no test here waits for real."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dcx_ari.testing import FakeAsterisk, VirtualLoop

COMPLAINTS = pytest.StashKey[list[str]]()


def pytest_asyncio_loop_factories(
    config: pytest.Config,
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    complaints = config.stash.setdefault(COMPLAINTS, [])

    def complain(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        culprit = context.get("task") or context.get("future") or context.get("handle") or ""
        complaints.append(f"{context['message']}: {culprit} {context.get('exception', '')!r}")

    def loop() -> VirtualLoop:
        made = VirtualLoop()
        made.set_exception_handler(complain)
        return made

    return {"virtual": loop}


@pytest.fixture(autouse=True, scope="module")
def _nothing_lost(pytestconfig: pytest.Config) -> Iterator[None]:
    """No exception that nobody retrieved, no task destroyed while it waited."""
    yield
    gc.collect()
    complaints = pytestconfig.stash.get(COMPLAINTS, [])
    told, complaints[:] = "\n".join(complaints), []
    assert not told, told


@pytest.fixture
def fake() -> FakeAsterisk:
    """An Asterisk whose default application is `dcx-0`; nothing is connected yet."""
    return FakeAsterisk(app="dcx-0")
