"""Where the boxes of a picture stand: in layers from top to bottom, lines between neighbouring layers only.

The classic way (Sugiyama, Tagawa, Toda 1981): turn round what goes back, layer by the longest way, order each layer by
the middle of its neighbours, then place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

MOST_BENDS = 20_000
"""Points that lines may have on their way through layers, in all."""
_SWEEPS = 12
_GAP = 34.0
_LAYER = 112.0
_BEND_W = 14.0

Edge = tuple[str, str]


class TooLarge(ValueError):
    """More than can be drawn so that it can be read."""


@dataclass(frozen=True, slots=True)
class Layout:
    """`centres` of boxes and `bends` of lines between two boxes (from the first to the second), in pixels."""

    centres: Mapping[str, tuple[float, float]]
    bends: Mapping[Edge, Sequence[tuple[float, float]]]
    width: float
    height: float


@dataclass(slots=True)
class _Place:
    width: float
    x: float = 0.0
    order: float = 0.0


def layout(widths: Mapping[str, float], edges: Sequence[Edge], start: str) -> Layout:
    """`widths` of the boxes by name, in the order of the document. Lines from a box to itself are left out.

    Raises TooLarge.
    """
    wanted = [edge for edge in dict.fromkeys(edges) if edge[0] != edge[1]]
    names = [start, *(name for name in widths if name != start)]
    back = _going_back(names, wanted)
    down = [(b, a) if (a, b) in back else (a, b) for a, b in wanted]
    level = _levels(names, list(dict.fromkeys(down)))
    if sum(max(0, level[b] - level[a] - 1) for a, b in down) > MOST_BENDS:
        raise TooLarge("the flow is too large to be drawn")
    places = {name: _Place(width) for name, width in widths.items()}
    ways = {edge: _way(edge, level, places) for edge in dict.fromkeys(down)}
    rows = _rows(places, ways, level)
    above, below = _neighbours(ways)
    _order(rows, places, above, below)
    _place(rows, places, above, below)
    left = min(place.x - place.width / 2 for place in places.values())
    right = max(place.x + place.width / 2 for place in places.values())
    height = {name: index * _LAYER for index, row in enumerate(rows) for name in row}
    at = {name: (place.x - left, height[name]) for name, place in places.items()}
    bends = {}
    for edge, turned in zip(wanted, down, strict=True):
        points = [at[name] for name in ways[turned][1:-1]]
        bends[edge] = points[::-1] if turned != edge else points
    return Layout({name: at[name] for name in widths}, bends, right - left, (len(rows) - 1) * _LAYER)


def _going_back(names: Sequence[str], edges: Sequence[Edge]) -> set[Edge]:
    """The lines that lead to a box which the way from the start to them has passed."""
    targets: dict[str, list[str]] = {name: [] for name in names}
    for a, b in edges:
        targets[a].append(b)
    state: dict[str, int] = {}  # 1: on the way, 2: done
    back = set()
    for root in names:
        stack = [] if root in state else [(root, iter(targets[root]))]
        if stack:
            state[root] = 1
        while stack:
            name, left = stack[-1]
            following = next(left, None)
            if following is None:
                state[name] = 2
                stack.pop()
            elif state.get(following) == 1:
                back.add((name, following))
            elif following not in state:
                state[following] = 1
                stack.append((following, iter(targets[following])))
    return back


def _levels(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Each box below all that lead to it."""
    targets: dict[str, list[str]] = {name: [] for name in names}
    waiting = dict.fromkeys(names, 0)
    for a, b in edges:
        targets[a].append(b)
        waiting[b] += 1
    level = dict.fromkeys(names, 0)
    ready = [name for name in names if not waiting[name]]
    while ready:
        name = ready.pop()
        for target in targets[name]:
            level[target] = max(level[target], level[name] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return level


def _way(edge: Edge, level: Mapping[str, int], places: dict[str, _Place]) -> list[str]:
    """The boxes of a line, and a bend on each layer between."""
    a, b = edge
    way = [a]
    for height in range(level[a] + 1, level[b]):
        name = f"{a} {b} {height}"  # names have no spaces
        places[name] = _Place(_BEND_W)
        way.append(name)
    return [*way, b]


def _rows(
    places: Mapping[str, _Place], ways: Mapping[Edge, Sequence[str]], level: Mapping[str, int]
) -> list[list[str]]:
    height = dict(level)
    for way in ways.values():
        for index, name in enumerate(way):
            height[name] = level[way[0]] + index if name not in level else level[name]
    rows: list[list[str]] = [[] for _ in range(max(height.values()) + 1)]
    for name in places:
        rows[height[name]].append(name)
    return rows


def _neighbours(ways: Mapping[Edge, Sequence[str]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    for way in ways.values():
        for a, b in pairwise(way):
            above.setdefault(b, []).append(a)
            below.setdefault(a, []).append(b)
    return above, below


def _order(
    rows: list[list[str]],
    places: Mapping[str, _Place],
    above: Mapping[str, Sequence[str]],
    below: Mapping[str, Sequence[str]],
) -> None:
    """Sweep down and up: each box to the middle of those it is joined with."""
    _number(rows, places)
    for sweep in range(_SWEEPS):
        downward = sweep % 2 == 0
        joined = above if downward else below
        for row in rows if downward else reversed(rows):
            middle = {name: _mean([places[n].order for n in joined.get(name, ())], places[name].order) for name in row}
            row.sort(key=middle.__getitem__)
            _number([row], places)


def _number(rows: Sequence[Sequence[str]], places: Mapping[str, _Place]) -> None:
    for row in rows:
        for index, name in enumerate(row):
            places[name].order = (index + 1) / (len(row) + 1)


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _place(
    rows: Sequence[Sequence[str]],
    places: Mapping[str, _Place],
    above: Mapping[str, Sequence[str]],
    below: Mapping[str, Sequence[str]],
) -> None:
    for row in rows:
        _spread(row, places, [0.0] * len(row))
    for sweep in range(2 * _SWEEPS):
        joined = (above, below) if sweep % 2 == 0 else (below, above)
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = []
            for name in row:
                near = joined[0].get(name) or joined[1].get(name, ())
                wanted.append(_mean([places[n].x for n in near], places[name].x))
            _spread(row, places, wanted)


def _spread(row: Sequence[str], places: Mapping[str, _Place], wanted: Sequence[float]) -> None:
    """As near to where they want to be as the order and the gaps allow; what is pushed is pushed to both sides."""
    groups: list[list[float]] = []  # [sum of wishes, count, offset of the last, width so far]
    offsets: list[float] = []
    for index, name in enumerate(row):
        apart = 0.0
        if index:
            apart = (places[row[index - 1]].width + places[name].width) / 2 + _GAP
        offsets.append(apart)
        groups.append([wanted[index], 1.0, 0.0])
        while len(groups) > 1 and _starts(groups[-1]) < _starts(groups[-2]) + groups[-2][2] + offsets[_first(groups)]:
            last = groups.pop()
            gap = groups[-1][2] + offsets[_first(groups) + int(groups[-1][1])]
            groups[-1][0] += last[0] - gap * last[1]
            groups[-1][1] += last[1]
            groups[-1][2] = gap + last[2]
    index = 0
    for group in groups:
        x = _starts(group)
        for number in range(int(group[1])):
            x += offsets[index] if number else 0.0
            places[row[index]].x = x
            index += 1


def _starts(group: Sequence[float]) -> float:
    return group[0] / group[1]


def _first(groups: Sequence[Sequence[float]]) -> int:
    """The index in the row of the first of the last group."""
    return sum(int(group[1]) for group in groups[:-1])
