"""Figures and orders over several workers on one real Redis."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from workers_kit import Worker, Workers, redis_server, workers

from dcx_ari import pausing
from dcx_ari.ari.errors import Unreachable
from dcx_ari.pausing import Pausing
from dcx_ari.services.errors import Unavailable

__all__ = ["redis_server", "workers"]

pytestmark = pytest.mark.unit


# -- figures ------------------------------------------------------------------------------------------------------


def samples(text: bytes, name: str) -> dict[str, float]:
    families = text_string_to_metric_families(text.decode())
    return {
        ",".join(each.labels.values()): each.value
        for family in families
        for each in family.samples
        if each.name == name
    }


async def test_figures_of_all_workers(workers: Workers) -> None:
    one, two = await workers.add("dcx-0"), await workers.add("dcx-1")
    two.metrics.calls.labels("COMPLETED").inc(3)
    two.metrics.watch(lambda: 7, lambda: True, lambda: 9)
    text = await one.scrape.text()
    assert samples(text, "dcx_calls_total") == {"COMPLETED,dcx-1": 3}
    assert samples(text, "dcx_live_calls") == {"dcx-0": 0, "dcx-1": 7}
    assert (samples(text, "dcx_workers_shown"), samples(text, "dcx_workers_missing")) == ({"dcx-0": 2}, {"dcx-0": 0})
    await two.kill()
    text = await one.scrape.text()
    assert samples(text, "dcx_live_calls") == {"dcx-0": 0}
    assert samples(text, "dcx_workers_missing") == {"dcx-0": 1}


async def test_figures_without_redis(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await workers.add("dcx-0", redis=False)
    monkeypatch.setattr(one.asking, "ask", None)  # there is nobody to be asked, nor to be waited for
    workers.slots.add("dcx-1")
    text = await one.scrape.text()
    assert samples(text, "dcx_live_calls") == {"dcx-0": 0}
    assert samples(text, "dcx_workers_missing") == {"dcx-0": 1}
    one.database_away = True
    assert samples(await one.scrape.text(), "dcx_live_calls") == {"dcx-0": 0}


async def test_figures_of_a_strange_form_are_left_out(workers: Workers) -> None:
    one, two = await workers.add("dcx-0"), await workers.add("dcx-1")

    async def bad(_about: Any) -> dict[str, Any]:
        return {"families": [{"name": "x{} 1\ny", "help": "", "type": "gauge", "samples": []}]}

    two.asking.answer("metrics", bad)
    text = await one.scrape.text()
    assert samples(text, "dcx_workers_missing") == {"dcx-0": 1}
    assert b"\ny" not in text


# -- orders -------------------------------------------------------------------------------------------------------


class Paused:
    """Stands for the recorder of one worker."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, bool]] = []
        self.broken = False

    async def pause(self, recording_id: str, paused: bool, _at_ms: int) -> None:
        if self.broken:
            raise Unreachable("no answer")
        self.orders.append((recording_id, paused))


def pausing_of(worker: Worker, recorder: Paused, calls: dict[str, Any], shared: bool = True) -> Pausing:
    database: Any = None
    return Pausing(calls, recorder, database, worker.asking, worker.name, lambda: 0, shared=shared)  # type: ignore[arg-type]


async def test_a_recording_is_paused_where_its_call_is(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    owners = {"here": "dcx-0", "there": "dcx-1", "silent": "dcx-1", "moved": "dcx-9"}

    async def worker_of(_database: Any, call_id: str) -> str | None:
        return owners.get(call_id)

    monkeypatch.setattr(pausing, "worker_of", worker_of)
    one, two = await workers.add("dcx-0"), await workers.add("dcx-1")

    def up(recording_id: str | None) -> Any:
        return SimpleNamespace(recording_id=recording_id, note=lambda _kind: None)

    mine, other = Paused(), Paused()
    here = pausing_of(one, mine, {"here": up("r0")})
    pausing_of(two, other, {"there": up("r1"), "silent": up(None), "moved": up("r2")})
    assert await here.pause("here", True)
    assert await here.pause("there", True)
    assert await here.pause("moved", False)  # the row is a moment behind
    assert (mine.orders, other.orders) == ([("r0", True)], [("r1", True), ("r2", False)])
    assert not await here.pause("silent", True)
    assert not await here.pause("none", True)
    mine.broken = other.broken = True
    for call_id in ("here", "there"):
        with pytest.raises(Unavailable, match="Asterisk"):
            await here.pause(call_id, True)
    monkeypatch.setattr(pausing, "WITHIN_S", 0.1)
    await two.kill()
    with pytest.raises(Unavailable, match="dcx-1, which has the call, does not answer"):
        await here.pause("there", True)
    assert one.redis is not None
    one.redis.away = "connection refused"
    with pytest.raises(Unavailable, match="redis: connection refused"):
        await here.pause("there", True)
    alone = pausing_of(one, mine, {}, shared=False)
    with pytest.raises(Unavailable, match="DCX_REDIS_URL is not set"):
        await alone.pause("there", True)
