"""A flow as a document: named nodes, checked as a whole before any call runs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta, Struct

from dcx_ari.flows.nodes.answer import Answer
from dcx_ari.flows.nodes.base import Name
from dcx_ari.flows.nodes.forward import Forward
from dcx_ari.flows.nodes.hangup import Hangup
from dcx_ari.flows.nodes.menu import Menu
from dcx_ari.flows.nodes.play import Play
from dcx_ari.flows.nodes.route import Route

NodeType = Answer | Forward | Hangup | Menu | Play | Route
_MAX_BYTES = 1_000_000


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """`start` names the node where a call begins."""

    start: Name
    nodes: Annotated[dict[Name, NodeType], Meta(min_length=1, max_length=1000)]


class BadFlow(ValueError):
    """A document that cannot be run; the message names the place and the rule."""


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases (a few hundred bytes of them can stand for gigabytes), and with the booleans of
    YAML 1.2: `on`, `off`, `yes` and `no` are words.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise BadFlow(f"line {mark.line + 1}, column {mark.column + 1}: aliases are not allowed")
        return super().compose_node(parent, index)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def parse(text: str) -> Document:
    """A document from YAML (or JSON, which is YAML). Raises `BadFlow`."""
    return from_data(load_yaml(text))


def load_yaml(text: str) -> Any:
    if len(text) > _MAX_BYTES:
        raise BadFlow(f"the document is larger than {_MAX_BYTES} characters")
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 — a SafeLoader, narrowed further
    except yaml.YAMLError as error:
        raise BadFlow(str(error)) from None
    except RecursionError:
        raise BadFlow("the document is nested too deeply") from None


def from_data(data: Any) -> Document:
    """A document from plain data, as it is kept in the database. Raises `BadFlow`."""
    try:
        document = msgspec.convert(data, Document)
    except msgspec.ValidationError as error:
        raise BadFlow(str(error)) from None
    problems = list(_problems(document))
    if problems:
        raise BadFlow("; ".join(problems))
    return document


def _problems(document: Document) -> Iterator[str]:
    if document.start not in document.nodes:
        yield f"start: there is no node {document.start!r}"
    for name, node in document.nodes.items():
        for edge in node.edges():
            if edge.target not in document.nodes:
                yield f"nodes.{name}: {edge.label} leads to {edge.target!r}, which does not exist"
