"""Figures for Prometheus. Names follow its conventions: base units, `_total` for counters."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

OF_AN_ANSWER = ("dcx_workers_shown", "dcx_workers_missing")
"""What is said of an answer to `GET /metrics`, and not of a worker."""


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter("dcx_calls", "Calls that have ended, by status", ["status"], registry=self.registry)
        self.orphans = Counter(
            "dcx_orphan_channels", "Channels hung up because their call was lost", registry=self.registry
        )
        self.adopted = Counter(
            "dcx_calls_taken_over",
            "Calls taken over from a process that is gone, by what became of them",
            ["verdict"],
            registry=self.registry,
        )
        self.outbox = Counter(
            "dcx_outbox_attempts",
            "Attempts to deliver webhooks, mails and Slack messages",
            ["kind", "result"],
            registry=self.registry,
        )
        self._shown = Gauge(OF_AN_ANSWER[0], "Workers whose figures these are", registry=self.registry)
        self._missing = Gauge(
            OF_AN_ANSWER[1], "Workers that live, but whose figures are not among these", registry=self.registry
        )
        self._redis = Gauge(
            "dcx_redis_connected", "1 while Redis passes news on to other workers", registry=self.registry
        )
        self._dropped = Gauge(
            "dcx_redis_dropped", "Messages that were not sent, because Redis was away or slow", registry=self.registry
        )
        self._live = Gauge("dcx_live_calls", "Calls in progress", registry=self.registry)
        self._connected = Gauge("dcx_ari_connected", "1 while events of Asterisk arrive", registry=self.registry)
        self._events = Gauge("dcx_ari_events_seen", "Events of Asterisk since the start", registry=self.registry)

    def watch(self, live: Callable[[], int], connected: Callable[[], bool], events: Callable[[], int]) -> None:
        """Read these when somebody asks."""
        self._live.set_function(live)
        self._connected.set_function(lambda: float(connected()))
        self._events.set_function(events)

    def watch_redis(self, connected: Callable[[], bool], dropped: Callable[[], int]) -> None:
        """Read these when somebody asks; without Redis both stay 0."""
        self._redis.set_function(lambda: float(connected()))
        self._dropped.set_function(dropped)

    def cover(self, shown: int, missing: int) -> None:
        """How many workers' figures somebody is about to be told."""
        self._shown.set(shown)
        self._missing.set(missing)
