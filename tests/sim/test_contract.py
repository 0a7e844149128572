"""The contract suite on the fake: what it claims about Asterisk is proved in tests/ari on a real one."""

import pytest

from tests.contract.fake_site import FakeSite
from tests.contract.suite import Scenario, each_scenario
from tests.contract.world import APP, World, connected

pytestmark = pytest.mark.sim


@each_scenario
async def test_on_the_fake(scenario: Scenario) -> None:
    site = FakeSite()
    async with connected(site, APP) as log:
        world = World(site, log, "t")
        await scenario(world)
        await world.sweep()
    await site.fake.settled()
