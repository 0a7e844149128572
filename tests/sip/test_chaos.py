"""The chaos program in short: two workers under calls with sound, and what is killed meanwhile."""

from __future__ import annotations

import pytest

from chaos.check import summary, violations
from chaos.run import Plan, chaos

pytestmark = pytest.mark.sip

SEED = 20


@pytest.mark.flaky(reruns=3)  # sound is judged by the packet: other programs on the machine can cost some
async def test_whatever_is_killed_those_who_talk_go_on_talking() -> None:
    plan = Plan(
        seed=SEED,
        calls=30,
        kills=5,
        rate=4.0,
        talk_s=4.0,
        workers=2,
        database="sqlite",
        redis=False,
        only=["worker-kill", "worker-stop", "api-kill"],
    )
    said: list[str] = []
    evidence = await chaos(plan, said.append)
    assert violations(evidence, plan.talk_s) == [], said
    figures = summary(evidence, plan.talk_s)
    assert figures["talked"] >= 20
    assert figures["talking when something was struck"] >= 5
    assert figures["blows"] == 5
