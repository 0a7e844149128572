"""All scenarios: each public coroutine function of the modules below. One suite, two Asterisks."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from types import ModuleType

import pytest

from tests.contract import apps, bridges, calls, legs, media, objects, originated, playbacks, recordings
from tests.contract.world import World

Scenario = Callable[[World], Awaitable[None]]


def _of(module: ModuleType) -> list[Scenario]:
    return [
        member
        for name, member in vars(module).items()
        if inspect.iscoroutinefunction(member) and member.__module__ == module.__name__ and not name.startswith("_")
    ]


MODULES = (legs, originated, calls, bridges, playbacks, recordings, apps, objects, media)
SCENARIOS: list[Scenario] = [scenario for module in MODULES for scenario in _of(module)]

each_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
