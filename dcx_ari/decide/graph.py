"""What can be seen of a flow without a call: nodes that nothing leads to, loops that never wait or never end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Fault = Literal["unreachable", "spins", "no_way_out"]


@dataclass(frozen=True, slots=True)
class Vertex:
    """A node: where it leads, whether it waits (for the caller, or until something was played), and whether the flow
    may end there.
    """

    targets: tuple[str, ...]
    waits: bool
    ends: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """`nodes` in the order in which they are met; a loop is told once, from its first node in the document."""

    fault: Fault
    nodes: tuple[str, ...]


def findings(start: str, vertices: Mapping[str, Vertex]) -> list[Finding]:
    """Everything wrong. Targets that do not exist are somebody else's finding and are passed over here."""
    reached = _reached([start], {name: _known(vertex.targets, vertices) for name, vertex in vertices.items()})
    found = [Finding("unreachable", (name,)) for name in vertices if name not in reached]
    loops = list(_spinning({name: vertex for name, vertex in vertices.items() if name in reached}))
    found += [Finding("spins", loop) for loop in loops]
    told = {name for loop in loops for name in loop}
    stuck = [name for name in _stuck(vertices) if name in reached]
    if stuck and not told.intersection(stuck):
        found.append(Finding("no_way_out", tuple(stuck)))
    return found


def _known(targets: Iterable[str], vertices: Mapping[str, Vertex]) -> list[str]:
    return [target for target in targets if target in vertices]


def _reached(starts: Iterable[str], leads: Mapping[str, Iterable[str]]) -> set[str]:
    waiting, seen = deque(name for name in starts if name in leads), set[str]()
    while waiting:
        name = waiting.popleft()
        if name not in seen:
            seen.add(name)
            waiting.extend(leads[name])
    return seen


def _stuck(vertices: Mapping[str, Vertex]) -> list[str]:
    """Nodes from which the flow can never end by itself."""
    back: dict[str, list[str]] = {name: [] for name in vertices}
    for name, vertex in vertices.items():
        for target in _known(vertex.targets, vertices):
            back[target].append(name)
    # A target that does not exist is an end as far as loops are concerned.
    ends = [n for n, v in vertices.items() if v.ends or len(_known(v.targets, vertices)) < len(v.targets)]
    free = _reached(ends, back)
    return [name for name in vertices if name not in free]


def _spinning(vertices: Mapping[str, Vertex]) -> Iterator[tuple[str, ...]]:
    """Loops of nodes none of which waits: nodes that lead nowhere further are peeled off until only loops are left."""
    leads = {n: [t for t in _known(v.targets, vertices) if not vertices[t].waits] for n, v in vertices.items()}
    left = {name for name, vertex in vertices.items() if not vertex.waits}
    while True:
        _peel(left, leads)
        first = next((name for name in vertices if name in left), None)
        if first is None:
            return
        loop = _loop_from(first, left, leads)
        yield tuple(loop)
        left.difference_update(loop)


def _peel(left: set[str], leads: Mapping[str, list[str]]) -> None:
    out = {name: sum(target in left for target in leads[name]) for name in left}
    back: dict[str, list[str]] = {name: [] for name in left}
    for name in left:
        for target in leads[name]:
            if target in left:
                back[target].append(name)
    bare = [name for name, count in out.items() if count == 0]
    while bare:
        name = bare.pop()
        left.discard(name)
        for before in back[name]:
            out[before] -= 1
            if out[before] == 0:
                bare.append(before)


def _loop_from(first: str, left: set[str], leads: Mapping[str, list[str]]) -> list[str]:
    way: list[str] = []
    met: dict[str, int] = {}
    name = first
    while name not in met:
        met[name] = len(way)
        way.append(name)
        name = next(target for target in leads[name] if target in left)
    return way[met[name] :]
