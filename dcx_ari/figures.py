"""What `GET /metrics` answers: the figures of all workers, each with its worker's name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from dcx_ari.asking import Asking
from dcx_ari.bus import Payload
from dcx_ari.metrics import OF_AN_ANSWER, Metrics
from dcx_ari.store.errors import StoreError

KIND = "metrics"
WITHIN_S = 1.0
_CREATED = "_created"

Name = Annotated[str, Meta(pattern="^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=200)]


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """`value` None: one that JSON has no number for."""

    name: Name
    labels: dict[Name, Annotated[str, Meta(max_length=500)]]
    value: float | None


class Family(msgspec.Struct, frozen=True):
    name: Name
    help: str
    type: Literal["counter", "gauge", "histogram", "summary", "info", "stateset", "unknown"]
    samples: list[Sample]


class Figures(msgspec.Struct, frozen=True):
    """The answer of one worker."""

    families: list[Family]


class Scrape:
    """For the worker `name`; `others` names those that live, `shared` says whether there is a Redis to ask them by.

    Answers other workers' questions for our own figures.
    """

    def __init__(
        self,
        metrics: Metrics,
        asking: Asking,
        name: str,
        others: Callable[[], Awaitable[Collection[str]]],
        *,
        shared: bool,
    ) -> None:
        self._metrics = metrics
        self._asking = asking
        self._name = name
        self._others = others
        self._shared = shared
        asking.answer(KIND, self._answer)

    async def text(self) -> bytes:
        """Prometheus text. Whoever does not answer within a second is left out, and counted as missing."""
        try:
            others = set(await self._others())
        except StoreError:
            others = set()
        told = await self._ask(others) if others and self._shared else {}
        self._metrics.cover(1 + len(told), len(others - told.keys()))
        return generate_latest(_All({self._name: own(self._metrics.registry), **told}))

    async def _ask(self, others: set[str]) -> dict[str, Figures]:
        answers = await self._asking.ask(KIND, {}, within_s=WITHIN_S, enough=lambda answers: others <= answers.keys())
        found = {}
        for worker, answer in answers.items():
            try:
                found[worker] = msgspec.convert(answer, Figures)
            except msgspec.ValidationError:
                continue
        return found

    async def _answer(self, _about: Payload) -> dict[str, Any]:
        mine = [family for family in own(self._metrics.registry).families if family.name not in OF_AN_ANSWER]
        told: dict[str, Any] = msgspec.to_builtins(Figures(mine))
        return told


def own(registry: CollectorRegistry) -> Figures:
    """The figures of this process. Not when each began to be counted: Prometheus sees a new process by itself."""
    return Figures(
        [
            Family(
                family.name,
                family.documentation,
                family.type,  # type: ignore[arg-type]  # the library's own names of types
                [
                    Sample(sample.name, dict(sample.labels), float(sample.value))
                    for sample in family.samples
                    if not sample.name.endswith(_CREATED)
                ],
            )
            for family in registry.collect()
        ]
    )


class _All(Collector):
    """Families of the same name and kind become one."""

    def __init__(self, workers: Mapping[str, Figures]) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        merged: dict[str, Metric] = {}
        for worker, figures in sorted(self._workers.items()):
            for family in figures.families:
                one = merged.setdefault(family.name, Metric(family.name, family.help, family.type))
                if one.type != family.type:  # of another release
                    continue
                for sample in family.samples:
                    if sample.value is not None:
                        one.add_sample(sample.name, {"worker": worker, **sample.labels}, sample.value)
        yield from merged.values()
