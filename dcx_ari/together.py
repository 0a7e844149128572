"""What the workers of one installation know of each other and do for each other, wired for one of them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dcx_ari.asking import Asking
from dcx_ari.bus.memory import MemoryBus
from dcx_ari.call.call import Call
from dcx_ari.decide.snapshot import Snapshot
from dcx_ari.figures import Scrape
from dcx_ari.live import LiveCalls
from dcx_ari.live_all import AllCalls
from dcx_ari.media.recording import StereoRecorder
from dcx_ari.metrics import Metrics
from dcx_ari.pausing import Pausing
from dcx_ari.settings import Settings
from dcx_ari.store.db import Database
from dcx_ari.store.installation import shared_secret
from dcx_ari.store.workers import alive

if TYPE_CHECKING:
    from dcx_ari.bus.redis import RedisBus

SEEN_LATELY_MS = 3_000


class Together:
    """Live view, figures and orders over all workers that `redis` reaches; without it, of this worker alone."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        calls: Mapping[str, Call],
        snapshot: Callable[[], Snapshot],
        recorder: StereoRecorder,
        metrics: Metrics,
        clock: Callable[[], int],
        redis: RedisBus | None = None,
    ) -> None:
        name, shared = settings.app_name, redis is not None
        bus = redis or MemoryBus()
        self._redis = redis
        self._asking = Asking(bus, name)

        async def others() -> Sequence[str]:
            return await alive(database, name, clock() - SEEN_LATELY_MS)

        self.live = AllCalls(LiveCalls(calls, snapshot, MemoryBus(), clock), bus, name, others, shared=shared)
        self.pausing = Pausing(calls, recorder, database, self._asking, name, clock, shared=shared)
        self.scrape = Scrape(metrics, self._asking, name, others, shared=shared)
        if redis is not None:
            metrics.watch_redis(lambda: redis.away is None, lambda: redis.dropped)

    def parts(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What runs as long as the worker does."""
        yield "live view", self.live.run()
        yield "questions of workers", self._asking.run()
        if self._redis is not None:
            yield "Redis", self._redis.run()


async def bus_of(settings: Settings, database: Database) -> RedisBus | None:
    """The bus to the other workers, not yet running; None where no Redis is set. Raises StoreError."""
    if not settings.redis_url:
        return None
    from dcx_ari.bus.redis import RedisBus

    return RedisBus(settings.redis_url, await shared_secret(database), settings.redis_prefix)
