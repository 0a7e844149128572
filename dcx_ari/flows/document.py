"""A flow as a document: named nodes, read as a whole before any call runs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from dcx_ari.flows.nodes.base import Name, Node
from dcx_ari.flows.problems import BadFlow, Problem, did_you_mean
from dcx_ari.flows.registry import MAX_NODES, NODE_TYPES, AnyNode
from dcx_ari.flows.source import MAX_BYTES, Source, read_source

if TYPE_CHECKING:
    NodeType = Node
else:
    NodeType = AnyNode

__all__ = ["MAX_BYTES", "MAX_NODES", "NODE_TYPES", "BadFlow", "Document", "from_data", "load_yaml", "parse"]


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """`start` names the node where a call begins."""

    start: Name
    nodes: Annotated[dict[Name, NodeType], Meta(min_length=1, max_length=MAX_NODES, description="The nodes by name")]
    description: Annotated[str, Meta(max_length=2000, description="What the flow is for")] = ""


def parse(text: str) -> Document:
    """A document from YAML (or JSON, which is YAML). Raises `BadFlow`."""
    return from_data(load_yaml(text))


def load_yaml(text: str) -> Any:
    """Plain data from YAML 1.2. Raises `BadFlow`."""
    return read_source(text).data


def from_data(data: Any) -> Document:
    """A document from plain data, as it is kept in the database: one that can be run. Raises `BadFlow`."""
    document, problems = read(Source(data))
    if document is None or problems:
        raise BadFlow(problems)
    return document


def read(source: Source) -> tuple[Document | None, list[Problem]]:
    """The document, None where it cannot be read, and everything that keeps it from being run."""
    try:
        document = msgspec.convert(source.data, Document)
    except msgspec.ValidationError as error:
        from dcx_ari.flows.faults import faults  # only where something is wrong

        return None, faults(source, Document, str(error))
    return document, list(_dangling(document))


def _dangling(document: Document) -> Iterator[Problem]:
    if document.start not in document.nodes:
        yield _no_node(document, document.start).within("start")
    for name, node in document.nodes.items():
        for edge in node.edges():
            if edge.target not in document.nodes:
                yield _no_node(document, edge.target).within("nodes", name, *node.place_of(edge.label))


def _no_node(document: Document, target: str) -> Problem:
    return Problem("unknown_node", f'there is no node "{target}"', hint=did_you_mean(target, document.nodes))
