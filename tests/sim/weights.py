"""How much an engine is carrying: tasks, timers, files, threads, and everything that it holds on to.

Nothing is listed by hand: containers are found by walking the objects of `dcx_ari` from their roots, attribute by
attribute, so one that is added tomorrow is weighed tomorrow.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import re
import sys
import threading
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, MethodType, ModuleType
from typing import Any

_PASSED_BY = ("dcx_ari.testing.virtual_time",)
_WALKED = ("dcx_ari.", "asyncio.locks", "asyncio.queues", "prometheus_client.")
_LENGTHS = (dict, list, set, frozenset, deque, tuple)
_AN_ID = re.compile(r"\b(?=\w*\d)[0-9a-z]{6,}\b|\d+")


class Figures(Counter[str]):
    """What the scales hold themselves."""


_PASSING = ("weights.Figures", "sqlite3.Statement", "weakref.ReferenceType", "_contextvars.Context", "TimerHandle")
"""Not weighed: our own, what comes and goes, and timers that were cancelled."""


@dataclass(frozen=True)
class Weight:
    """`held` are the lengths of containers by their path, `classes` the objects of each class of `dcx_ari`, `objects`
    what the garbage collector knows, `size` the bytes of all Python objects there are (0: not asked for).
    """

    tasks: Mapping[str, int]
    timers: int
    files: int
    threads: int
    held: Mapping[str, int]
    classes: Mapping[str, int]
    objects: int
    size: int

    def grown(self, since: Weight) -> dict[str, tuple[int, int]]:
        """What there is more of than there was: name to (then, now)."""
        counts = {
            "task": (since.tasks, self.tasks),
            "held": (since.held, self.held),
            "class": (since.classes, self.classes),
            "timers": ({"": since.timers}, {"": self.timers}),
            "files": ({"": since.files}, {"": self.files}),
            "threads": ({"": since.threads}, {"": self.threads}),
        }
        return {
            f"{kind} {name}".strip(): (then.get(name, 0), now[name])
            for kind, (then, now) in counts.items()
            for name in sorted(now)
            if now[name] > then.get(name, 0)
        }


def weigh(roots: Mapping[str, Any], *, size: bool = False) -> Weight:
    """Now, on the running loop; `size` takes a second of real time."""
    modules = {name: module for name, module in sys.modules.items() if name.startswith("dcx_ari")}
    _empty_bounded_caches(modules.values())
    gc.collect()
    held = Figures(dict(_held({**roots, **_of_modules(modules)})))  # first: an object looked into has more to it
    kinds = {kind: f"{kind.__module__}.{kind.__qualname__}" for kind in map(type, gc.get_objects())}
    objects = [each for each in gc.get_objects() if not kinds.get(type(each), "").endswith(_PASSING)]
    classes = Counter(kinds.get(type(each), "") for each in objects)
    loop: Any = asyncio.get_running_loop()
    return Weight(
        tasks=Figures(map(_name_of, asyncio.all_tasks(loop))),
        timers=sum(1 for timer in loop._scheduled if not timer.cancelled()) + len(loop._ready),
        files=len(os.listdir("/proc/self/fd")),
        threads=threading.active_count(),
        held=held,
        classes=Figures({name: count for name, count in classes.items() if name.startswith("dcx_ari.")}),
        objects=len(objects),
        size=_size(objects) if size else 0,
    )


def _empty_bounded_caches(modules: Collection[ModuleType]) -> None:
    """They fill up to their bound, which may take longer than a day."""
    for module in modules:
        for each in vars(module).values():
            if isinstance(each, functools._lru_cache_wrapper) and each.cache_parameters()["maxsize"] is not None:
                each.cache_clear()


def _of_modules(modules: Mapping[str, ModuleType]) -> dict[str, Any]:
    return {
        f"{name}.{attribute}": value
        for name, module in modules.items()
        for attribute, value in vars(module).items()
        if isinstance(value, _LENGTHS) and not attribute.startswith("__")
    }


def _held(roots: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """(path, length) of every container; those of one path in many objects are added up."""
    found: Counter[str] = Counter()
    seen: set[int] = set()
    left = deque(roots.items())
    while left:
        path, value = left.popleft()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, _LENGTHS):
            found[path] += len(value)
        left.extend((f"{path}{step}", each) for step, each in _inside(value))
    yield from found.items()


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from (("[]", each) for each in value.values())
    elif isinstance(value, _LENGTHS):
        yield from (("[]", each) for each in value)
    elif isinstance(value, MethodType):
        yield "", value.__self__
    elif isinstance(value, functools.partial):
        yield from ((f"({number})", each) for number, each in enumerate(value.args))
    elif isinstance(value, FunctionType):
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=False):
            with_value = next(iter(gc.get_referents(cell)), None)
            yield f"<{name}>", with_value
    elif type(value).__module__.startswith(_WALKED) and type(value).__module__ not in _PASSED_BY:
        slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        names = {*getattr(value, "__dict__", ()), *slots} - {"__dict__", "__weakref__"}
        yield from ((f".{name}", getattr(value, name, None)) for name in sorted(names))


def _name_of(task: asyncio.Task[Any]) -> str:
    """Without ids; of a task that was given no name, what it runs."""
    name = task.get_name()
    if name.startswith("Task-"):
        return getattr(task.get_coro(), "__qualname__", name)
    return _AN_ID.sub("*", name)


def _size(objects: Collection[Any]) -> int:
    """Bytes of these, and of what they refer to that the garbage collector does not know: strings, numbers, and
    containers of nothing else.
    """
    total, seen = 0, set[int]()
    for each in objects:
        total += sys.getsizeof(each, 0)
        left = [each]
        while left:
            for inner in gc.get_referents(left.pop()):
                if not gc.is_tracked(inner) and id(inner) not in seen:
                    seen.add(id(inner))
                    total += sys.getsizeof(inner, 0)
                    if isinstance(inner, (dict, tuple)):
                        left.append(inner)
    return total
