"""The contract suite on a real Asterisk: proof that the fake does not lie."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.contract.real_site import RealSite, real_site
from tests.contract.suite import Scenario, each_scenario
from tests.contract.world import APP, Log, World, connected

pytestmark = [pytest.mark.ari, pytest.mark.asyncio(loop_scope="module")]

FIRST_PORT = 25000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealSite]:
    async with real_site(tmp_path_factory.mktemp("asterisk"), FIRST_PORT) as site:
        yield site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def log(site: RealSite) -> AsyncIterator[Log]:
    async with connected(site, APP) as log:
        yield log


@each_scenario
async def test_on_a_real_asterisk(site: RealSite, log: Log, scenario: Scenario) -> None:
    log.events.clear()
    world = World(site, log, scenario.__name__)
    try:
        await scenario(world)
    finally:
        await world.sweep()
