"""branch: go by what is known of the call, or divide callers by percentages."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any

from msgspec import Meta, Struct

from dcx_ari.call.call import Call
from dcx_ari.decide.filters import CompiledFilter, compile_filter, first_mismatch
from dcx_ari.decide.rows import Filter
from dcx_ari.decide.split import point_of, side_of
from dcx_ari.flows.nodes.base import Edge, Name, Node, Tag
from dcx_ari.flows.problems import Path
from dcx_ari.flows.prompts import variables

Percent = Annotated[float, Meta(ge=0, le=100, description="Percent of the callers, two decimals at most")]


class Condition(Struct, frozen=True, forbid_unknown_fields=True):
    """One condition: a tag or variable, an operator of routing filters and a value."""

    tag: Tag
    op: Annotated[str, Meta(description="==, !=, in, not_in, =~, !~, >, <, exists, not_exists, begins, contains")]
    value: Any = None

    def __post_init__(self) -> None:
        self.compiled()

    def compiled(self) -> CompiledFilter:
        """Raises ValueError."""
        return compile_filter(Filter(self.tag, self.op, self.value))


class Case(Struct, frozen=True, forbid_unknown_fields=True, rename={"conditions": "if"}):
    """Taken where all conditions are met."""

    conditions: Annotated[tuple[Condition, ...], Meta(min_length=1, max_length=20)]
    next: Name
    label: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$", description="Name in reports; else its number")] = ""


class Branch(Node, frozen=True, tag="branch", dict=True):
    """`when`: the first case whose conditions are all met, else `otherwise`.

    `split`: percentages by node; the same caller always goes the same way. What is left of 100 goes to `otherwise`.
    """

    when: Annotated[tuple[Case, ...], Meta(min_length=1, max_length=100)] | None = None
    split: Annotated[dict[Name, Percent], Meta(min_length=1, max_length=20)] | None = None
    otherwise: Name | None = None

    def __post_init__(self) -> None:
        if (self.when is None) == (self.split is None):
            raise ValueError("a branch has either when or split")
        if self.when is not None and self.otherwise is None:
            raise ValueError("a branch with when needs otherwise")
        if self.split is not None:
            whole = round(sum(self.split.values()) * 100)
            if whole > 10_000 or (whole < 10_000 and self.otherwise is None):
                raise ValueError(f"split: the percentages come to {whole / 100:g}, not 100 (otherwise takes the rest)")
        labels = [label for label, _ in self._labelled()]
        if len(set(labels)) < len(labels):
            raise ValueError("when: two cases have the same label")

    def _labelled(self) -> list[tuple[str, Case]]:
        return [(case.label or str(number), case) for number, case in enumerate(self.when or (), 1)]

    @cached_property
    def _cases(self) -> list[tuple[Edge, list[CompiledFilter]]]:
        return [
            (Edge(label, case.next), [condition.compiled() for condition in case.conditions])
            for label, case in self._labelled()
        ]

    def edges(self) -> Iterator[Edge]:
        for label, case in self._labelled():
            yield Edge(label, case.next)
        for target in self.split or ():
            yield Edge(target, target)
        if self.otherwise is not None:
            yield Edge("otherwise", self.otherwise)

    def place_of(self, label: str) -> Path:
        for number, (name, _) in enumerate(self._labelled()):
            if name == label:
                return ("when", number, "next")
        return ("split", label) if label in (self.split or ()) else (label,)

    async def run(self, call: Call) -> Edge | None:
        if self.split is not None:
            side = side_of(self._point(call), self.split.items())
            return Edge(side, side) if side is not None else self._otherwise()
        values = {name: value for name, value in variables(call).items() if value != ""}
        for edge, conditions in self._cases:
            if first_mismatch(conditions, values) is None:
                return edge
        return self._otherwise()

    def _otherwise(self) -> Edge | None:
        return None if self.otherwise is None else Edge("otherwise", self.otherwise)

    def _point(self, call: Call) -> int:
        """A caller who hides the number is somebody new each time."""
        caller = call.facts.caller if call.facts.caller.startswith("+") else call.id
        return point_of(str(call.flow_id), str(call.node), caller)
