"""The calls of the other workers, as far as they have told us."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from dcx_ari.live_news import News

GHOST_S = 2.5
"""A worker that says nothing for so long has no calls any more; it is asked every second."""
MOST = 256

Call = Mapping[str, Any]


@dataclass(slots=True)
class Delta:
    """Calls that are new or otherwise than before, whole; ids of those that a worker has no more."""

    changed: list[Call] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Mirror:
    """One process. `n`: of the last message that was taken; None: some were lost, or we know nothing yet."""

    worker: str
    began: int
    heard_at: float
    n: int | None = None
    calls: dict[str, Call] = field(default_factory=dict)
    awaited: set[str] = field(default_factory=set)
    complete: bool = False

    def take(self, news: News, delta: Delta) -> None:
        if news.whole is not None:
            self.awaited = set(news.whole)
            delta.removed += self._remove(self.calls.keys() - self.awaited)
            self.awaited -= self.calls.keys()
        elif self.n is None or news.n < self.n:
            return
        elif news.n > self.n + bool(news.changed or news.removed):
            self.n = None  # something was lost between
            return
        self.n = news.n
        told: list[Call] = [msgspec.to_builtins(call) for call in news.changed]
        self.calls |= {call["id"]: call for call in told}
        delta.changed += told
        self.awaited.difference_update(call["id"] for call in told)
        self.awaited.difference_update(news.removed)
        delta.removed += self._remove(news.removed)
        self.complete = self.complete or not self.awaited

    def _remove(self, ids: Iterable[str]) -> list[str]:
        return [call_id for call_id in list(ids) if self.calls.pop(call_id, None) is not None]


class Mirrors:
    """By life of the process. `now` in seconds of a clock that only goes forward."""

    def __init__(self) -> None:
        self._of: dict[str, _Mirror] = {}

    @property
    def known(self) -> list[str]:
        return list(self._of)

    @property
    def lost(self) -> list[str]:
        """Those who have to tell everything again."""
        return [life for life, mirror in self._of.items() if mirror.n is None]

    @property
    def workers(self) -> set[str]:
        """Those whose calls are all here."""
        return {mirror.worker for mirror in self._of.values() if mirror.complete}

    def calls(self) -> dict[str, Call]:
        """Of a call that two have, because one has just taken it over, what the younger process says."""
        found: dict[str, Call] = {}
        for mirror in sorted(self._of.values(), key=lambda each: each.began):
            found |= mirror.calls
        return found

    def take(self, news: News, now: float) -> Delta:
        """What a worker has told. A new process has taken the place of another of the same slot."""
        delta = Delta()
        mirror = self._of.get(news.life)
        if mirror is None:
            former = [life for life, each in self._of.items() if each.worker == news.worker]
            if any(self._of[life].began > news.began for life in former) or len(self._of) >= MOST:
                return delta
            for life in former:
                delta.removed += self._of.pop(life).calls
            mirror = self._of[news.life] = _Mirror(news.worker, news.began, now)
        mirror.heard_at = now
        mirror.take(news, delta)
        return delta

    def expire(self, now: float) -> Delta:
        """Those who have not been heard are gone."""
        delta = Delta()
        for life in [life for life, mirror in self._of.items() if now - mirror.heard_at >= GHOST_S]:
            delta.removed += self._of.pop(life).calls
        return delta

    def clear(self) -> None:
        self._of.clear()
