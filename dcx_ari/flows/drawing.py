"""A picture of a flow: SVG by our own layout, and the text that Mermaid draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from dcx_ari.flows.document import Document
from dcx_ari.flows.layers import Layout, TooLarge, layout
from dcx_ari.flows.nodes.base import Node
from dcx_ari.flows.nodes.menu import Choice, Menu

__all__ = ["MOST_NODES", "Counts", "TooLarge", "mermaid", "svg"]

MOST_NODES = 400
_LABEL = 40
_BOX_H, _CALLS_H = 46.0, 14.0
_LABEL_CHAR, _LABEL_H = 6.4, 12.0
_ALONG = (0.5, 0.66, 0.34, 0.8, 0.2)  # where on its line a label may stand, best first
_MARGIN = 60.0
_CHAR = 7.3
_STYLE = (
    "text{font:12px sans-serif;fill:#1b1f24;text-anchor:middle}.name{font-weight:bold}.kind,.calls{fill:#57606a}"
    ".calls{font-size:11px}.box{fill:#f6f8fa;stroke:#57606a}.route,.forward{fill:#ddf4ff}.menu,.gather{fill:#fff8c5}"
    ".hangup{fill:#ffebe9}.line{fill:none;stroke:#57606a}.label,.halo{font-size:11px}.halo{stroke:#fff;"
    "stroke-width:4px;stroke-linejoin:round}.end{fill:#fff;stroke:#1b1f24;stroke-width:2}.dot{fill:#1b1f24}"
)


Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Counts:
    """Callers by node and way out: `edges["main", "1"]`; "end" and "" (they hung up there) are ways out, too."""

    edges: Mapping[tuple[str, str], int] = field(default_factory=dict)
    nodes: Mapping[str, int] = field(default_factory=dict)
    calls: int = 0


@dataclass(frozen=True, slots=True)
class _Line:
    source: str
    target: str
    label: str


def svg(document: Document, counts: Counts | None = None, title: str = "") -> str:
    """The picture as one SVG element without scripts. Raises TooLarge."""
    if len(document.nodes) > MOST_NODES:
        raise TooLarge(f"a picture has at most {MOST_NODES} nodes; this flow has {len(document.nodes)}")
    lines = _lines(document, counts)
    widths = {name: _width(name, node, counts) for name, node in document.nodes.items()}
    found = layout(widths, [(line.source, line.target) for line in lines], document.start)
    box = _BOX_H + (_CALLS_H if counts is not None else 0)
    width, height = found.width + 2 * _MARGIN, found.height + box + 2 * _MARGIN
    ways = [(line, _points(line, found, widths, box)) for line in lines]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">',
        f"<title>{_clean(title or document.description or 'flow')}</title><style>{_STYLE}</style>",
        '<defs><marker id="to" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#57606a"/></marker></defs>',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<g transform="translate({_MARGIN:.0f},{_MARGIN + box / 2:.0f})">',
        *(_drawn_line(line, points) for line, points in ways),
        *(
            _drawn_box(name, node, found.centres[name], (widths[name], box), counts)
            for name, node in document.nodes.items()
        ),
        _begin(found.centres[document.start], box),
        *_drawn_labels(ways),
        "</g></svg>",
    ]
    return "\n".join(parts) + "\n"


def mermaid(document: Document, counts: Counts | None = None) -> str:
    """A flow chart in Mermaid's language; every character of ours that could mean something there is spelled out."""
    ids = {name: f"n{number}" for number, name in enumerate(document.nodes)}
    text = ["flowchart TD", f"  start((start)) --> {ids[document.start]}"]
    for name, node in document.nodes.items():
        calls = f"<br/>{counts.nodes.get(name, 0)} calls" if counts is not None else ""
        shape = ("([", "])") if node.ends() else ("[", "]")
        text.append(f'  {ids[name]}{shape[0]}"{_spelled(name)}<br/>{_spelled(node.type)}{calls}"{shape[1]}')
    for line in _lines(document, counts):
        label = f'-- "{_spelled(line.label)}" ' if line.label else ""
        text += [f"  {ids[line.source]} {label}--> {ids[line.target]}"]
    return "\n".join(text) + "\n"


def _lines(document: Document, counts: Counts | None) -> list[_Line]:
    """One for each pair of nodes, with all ways from the one to the other."""
    labels: dict[tuple[str, str], list[str]] = {}
    for name, node in document.nodes.items():
        for edge in node.edges():
            shown = _called(node, edge.label)
            if counts is not None:
                shown += f" ({counts.edges.get((name, edge.label), 0)})"
            labels.setdefault((name, edge.target), []).append(shown)
    return [_Line(source, target, _short(each)) for (source, target), each in labels.items()]


def _short(labels: list[str]) -> str:
    text = ", ".join(label for label in labels)
    if labels == ["next"]:
        return ""
    return text if len(text) <= _LABEL else f"{', '.join(labels[:2])[: _LABEL - 2]} …"


def _called(node: Node, label: str) -> str:
    if isinstance(node, Menu) and isinstance(choice := node.choices.get(label), Choice) and choice.label:
        return f"{label} {choice.label}"
    return label


def _width(name: str, node: Node, counts: Counts | None) -> float:
    longest = max(len(name), len(node.type), len(_calls(name, counts)))
    return max(76.0, longest * _CHAR + 24)


def _calls(name: str, counts: Counts | None) -> str:
    if counts is None:
        return ""
    here, gone = counts.nodes.get(name, 0), counts.edges.get((name, ""), 0)
    return f"{here} calls" + (f", {gone} hung up" if gone else "")


def _drawn_box(name: str, node: Node, centre: Point, size: Point, counts: Counts | None) -> str:
    (x, middle), (width, height) = centre, size
    top = middle - height / 2
    y, kind = top + _BOX_H / 2, node.type
    parts = [
        f'<rect class="box {kind}" x="{x - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" '
        f'height="{height}" rx="6"/>',
        f'<text class="name" x="{x:.1f}" y="{y - 3:.1f}">{_clean(name)}</text>',
        f'<text class="kind" x="{x:.1f}" y="{y + 13:.1f}">{_clean(kind)}</text>',
    ]
    if counts is not None:
        parts.append(f'<text class="calls" x="{x:.1f}" y="{y + 28:.1f}">{_clean(_calls(name, counts))}</text>')
    if node.ends():
        corner = f'cx="{x + width / 2:.1f}" cy="{top + height:.1f}"'
        parts.append(f'<circle class="end" {corner} r="6"/><circle class="dot" {corner} r="3"/>')
    return f"<g data-node={quoteattr(name)}>{''.join(parts)}</g>"


def _begin(centre: Point, box: float) -> str:
    x, top = centre[0], centre[1] - box / 2
    return (
        f'<circle class="dot" cx="{x:.1f}" cy="{top - 38:.1f}" r="6"/>'
        f'<path class="line" d="M{x:.1f} {top - 32:.1f}V{top:.1f}" marker-end="url(#to)"/>'
    )


def _points(line: _Line, found: Layout, widths: Mapping[str, float], box: float) -> list[Point]:
    (ax, ay), (bx, by) = found.centres[line.source], found.centres[line.target]
    if line.source == line.target:
        right = ax + widths[line.source] / 2
        return [(right, ay - 8), (right + 26, ay - 8), (right + 26, ay + 8), (right, ay + 8)]
    bends = list(found.bends[line.source, line.target])
    sign = 1 if by > ay else -1
    shift = 0.0 if sign > 0 else min(16.0, widths[line.source] / 4)  # a way back is not drawn over the way there
    return [(ax + shift, ay + sign * box / 2), *bends, (bx + shift, by - sign * box / 2)]


def _drawn_line(line: _Line, points: list[Point]) -> str:
    return f'<path class="line" d="{"".join(_curve(points, line))}" marker-end="url(#to)"/>'


def _curve(points: list[Point], line: _Line) -> Iterator[str]:
    yield f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    if line.source == line.target:
        yield from (f"L{x:.1f} {y:.1f}" for x, y in points[1:])
        return
    for (ax, ay), (bx, by) in pairwise(points):
        middle = (ay + by) / 2
        yield f"C{ax:.1f} {middle:.1f} {bx:.1f} {middle:.1f} {bx:.1f} {by:.1f}"


def _drawn_labels(ways: list[tuple[_Line, list[Point]]]) -> Iterator[str]:
    """Each on its line, where it does not cover another one, if there is such a place."""
    taken: dict[int, list[tuple[float, float, float]]] = {}  # by row of _LABEL_H: x, y, half of the width
    for line, points in ways:
        if not line.label:
            continue
        half = len(line.label) * _LABEL_CHAR / 2
        places = [_on_curve(points, line, part) for part in _ALONG]
        x, y = next((place for place in places if _free(place, half, taken)), places[0])
        taken.setdefault(int(y // _LABEL_H), []).append((x, y, half))
        place = f'x="{x:.1f}" y="{y + 4:.1f}">{_clean(line.label)}</text>'
        yield f'<text class="halo" {place}<text class="label" {place}'  # two: not every program knows paint-order


def _free(place: Point, half: float, taken: Mapping[int, list[tuple[float, float, float]]]) -> bool:
    x, y = place
    row = int(y // _LABEL_H)
    near = (each for other in (row - 1, row, row + 1) for each in taken.get(other, ()))
    return not any(abs(x - ox) < half + wide + 4 and abs(y - oy) < _LABEL_H for ox, oy, wide in near)


def _on_curve(points: list[Point], line: _Line, part: float) -> Point:
    """A point of the line's first piece; `part` runs from 0 to 1."""
    (ax, ay), (bx, by) = points[0], points[1]
    if line.source == line.target:
        return bx + 10, ay + (part - 0.5) * _BOX_H
    eased = part * part * (3 - 2 * part)  # both are the Bézier curve of `_curve`
    return ax + (bx - ax) * eased, ay + (by - ay) * (1.5 * part * (1 - part) + part**3)


def _clean(text: str) -> str:
    return escape("".join(char for char in text if char.isprintable()), {'"': "&quot;", "'": "&#39;"})


def _spelled(text: str) -> str:
    plain = "".join(char for char in text if char.isprintable())
    return "".join(c if c.isalnum() or c in " _-.,:" else f"#{ord(c)};" for c in plain)
