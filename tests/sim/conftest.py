"""Everything in this tier runs in virtual time: no test here waits for real."""

import asyncio
from collections.abc import Callable

import pytest

from dcx_ari.testing import FakeAsterisk, VirtualLoop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual": VirtualLoop}


@pytest.fixture
def fake() -> FakeAsterisk:
    """An Asterisk whose default application is `dcx-0`; nothing is connected yet."""
    return FakeAsterisk(app="dcx-0")
