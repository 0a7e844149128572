"""The node types: whatever is in a module of `flows/nodes/`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import reduce
from operator import or_
from types import MappingProxyType
from typing import Any

from dcx_ari.flows import nodes
from dcx_ari.flows.nodes.base import Node

MAX_NODES = 2000


def _found() -> dict[str, type[Node]]:
    found: dict[str, type[Node]] = {}
    for info in pkgutil.iter_modules(nodes.__path__):
        module = importlib.import_module(f"{nodes.__name__}.{info.name}")
        for value in vars(module).values():
            own = isinstance(value, type) and issubclass(value, Node) and value.__module__ == module.__name__
            if own and value.__struct_config__.tag is not None:
                found[str(value.__struct_config__.tag)] = value
    return dict(sorted(found.items()))


NODE_TYPES: Mapping[str, type[Node]] = MappingProxyType(_found())
"""By the word after `type:`."""

AnyNode: Any = reduce(or_, NODE_TYPES.values())
"""The union of all of them, for msgspec."""
