"""Everything that can be said of a flow before a caller goes through it: `dcx flows check`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dcx_ari.decide.graph import Finding, Vertex, findings
from dcx_ari.decide.templates import names_in
from dcx_ari.flows.document import Document, read
from dcx_ari.flows.known import CHANGING, FACTS, Known, missing
from dcx_ari.flows.nodes.base import Node, Piece
from dcx_ari.flows.problems import BadFlow, Path, Problem, did_you_mean
from dcx_ari.flows.source import Source, read_source

_NOTHING_KNOWN = Known()


def check_text(text: str, known: Known = _NOTHING_KNOWN) -> tuple[Document | None, list[Problem]]:
    """The document, None where it cannot be read, and its problems, each with its place in the text, in its order."""
    try:
        source = read_source(text)
    except BadFlow as bad:
        return None, list(bad.problems)
    return check(source, known)


def check(source: Source, known: Known = _NOTHING_KNOWN) -> tuple[Document | None, list[Problem]]:
    """As `check_text`, of a document that has been loaded. `source` may be plain data without places."""
    document, problems = read(source)
    if document is not None:
        problems += rules(document, known)
    keyed = ("unknown_field", "name", "unreachable", "spins", "no_way_out")
    placed = [replace(p, mark=source.mark(p.path, key=p.code in keyed)) for p in problems]
    return document, sorted(placed, key=lambda problem: problem.mark or (0, 0))


def rules(document: Document, known: Known = _NOTHING_KNOWN) -> list[Problem]:
    """What is wrong with a document whose parts can all be read."""
    found = [_of_graph(finding) for finding in findings(document.start, _vertices(document))]
    tags = {tag for node in document.nodes.values() for _, tag in node.sets()}
    for name, node in document.nodes.items():
        found += [problem.within("nodes", name) for problem in _of_node(node, known, tags)]
    return found


def _vertices(document: Document) -> dict[str, Vertex]:
    return {
        name: Vertex(tuple(edge.target for edge in node.edges()), node.waits, node.ends())
        for name, node in document.nodes.items()
    }


def _of_graph(finding: Finding) -> Problem:
    first, *others = finding.nodes
    shown = ", ".join(others[:5]) + (", …" if len(others) > 5 else "")
    if finding.fault == "unreachable":
        return Problem("unreachable", "nothing leads to this node", ("nodes", first))
    if finding.fault == "spins":
        message = f"goes round without waiting for the caller{f' (with {shown})' if others else ''}"
        return Problem("spins", message, ("nodes", first), hint="put a node in the loop that plays or asks something")
    message = f"there is no way to an end from here{f', nor from {shown}' if others else ''}"
    return Problem("no_way_out", message, ("nodes", first), hint="lead one of them to a hangup or route node")


def _of_node(node: Node, known: Known, tags: set[str]) -> Iterator[Problem]:
    yield from node.problems(known)
    for place, tag in node.sets():
        if tag in FACTS:
            yield Problem("reserved", f'tag "{tag}" is a fact of every call and cannot be set', place)
    for place, text in node.texts():
        yield from _of_text(text, place, tags)
    for name, heard in node.heard():
        for number, piece in enumerate(heard):
            yield from _of_piece(piece, (name, number) if len(heard) > 1 else (name,), known, tags)


def _of_piece(piece: Piece, place: Path, known: Known, tags: set[str]) -> Iterator[Problem]:
    if piece.sound is not None:
        yield from missing("sound", piece.sound, known.sounds, place)
    elif piece.prompt is not None:
        yield from missing("prompt", piece.prompt, known.prompts, place)
    elif piece.say is not None:
        yield from _of_text(piece.say, place, tags)
        if known.speech:
            yield Problem("no_speech", f"the text cannot be spoken: {known.speech}", place)
        if piece.voice:
            yield from missing("voice", piece.voice, known.voices, place)


def _of_text(text: str, place: Path, tags: set[str]) -> Iterator[Problem]:
    try:
        names = names_in(text)
    except ValueError as error:
        yield Problem("template", str(error), place)
        return
    known = FACTS | CHANGING | tags
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or f"variables are {', '.join(sorted(known))}"
            yield Problem("unknown_variable", f'there is no variable "{name}"', place, hint=hint)
