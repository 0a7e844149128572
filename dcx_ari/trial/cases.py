"""Cases of a flow: what is given, and what has to come of it (`dcx flows test`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from dcx_ari.flows.document import load_yaml
from dcx_ari.flows.problems import BadFlow
from dcx_ari.trial.plan import BadPlan, Outcome

_ID = "https://json-schema.org/draft/2020-12/schema"
Behaviour = Literal["answers", "busy", "no_answer", "rejects", "unreachable", "congestion"]
_TIME = "When: 2026-12-25T10:00:00-05:00, or 2026-12-25 10:00 America/New_York"
_DIGITS = "What the caller presses, or says (say: sales), prompt by prompt; an empty one and what is missing: nothing"
_PATH = "Nodes in order, each with the way out (main:1) or without (main)"
Keys = Annotated[str, Meta(pattern="^([0-9A-D*#]{0,32}|say:.+)$", max_length=100)]


class Given(Struct, frozen=True, forbid_unknown_fields=True, rename={"caller": "from", "number": "to"}):
    """The call."""

    caller: Annotated[str, Meta(description="The caller's number, or anonymous")] = "+12125550123"
    number: Annotated[str, Meta(description="The number dialled; else one that leads to the flow")] = ""
    at: Annotated[str, Meta(description=_TIME)] = ""
    digits: Annotated[tuple[Keys, ...], Meta(max_length=200, description=_DIGITS)] = ()
    tags: Annotated[dict[str, str], Meta(description="Tags that the call has from the beginning")] = {}
    buyers: Annotated[dict[str, Behaviour], Meta(description="How phones behave, by buyer or destination")] = {}
    webhooks: Annotated[dict[str, Any], Meta(description="What webhooks answer, by node; else they fail")] = {}
    talk_s: Annotated[float, Meta(ge=0, le=3600, description="Seconds after which a buyer hangs up")] = 60.0
    hang_up_after_s: Annotated[float, Meta(ge=0, le=14400, description="The caller hangs up")] | None = None


class Expected(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What has to come of it; what is left out may be anything."""

    path: Annotated[tuple[str, ...], Meta(min_length=1, description=_PATH)] | None = None
    visits: Annotated[tuple[str, ...], Meta(description="Nodes that are on the way, in any order")] = ()
    buyer: Annotated[str, Meta(description="Who takes the call; nobody: none does")] | None = None
    end: Annotated[Literal["caller", "buyer", "flow", "system"], Meta(description="Who ends it")] | None = None
    failure_reason: (
        Annotated[str, Meta(description="Why nobody took it; none: somebody did, or none was asked")] | None
    ) = None
    said: Annotated[tuple[str, ...], Meta(description="Texts that are heard, each whole or a part")] = ()
    tags: Annotated[dict[str, str], Meta(description="Tags at the end")] = {}


class Case(Struct, frozen=True, forbid_unknown_fields=True):
    """One call."""

    name: Annotated[str, Meta(min_length=1, max_length=200, description="What is tried")]
    expect: Expected
    given: Given = Given()


class Cases(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of cases."""

    flow: Annotated[
        str, Meta(min_length=1, description="A flow's name, or a file beside this one (ends in .yaml, .yml, .json)")
    ]
    cases: Annotated[tuple[Case, ...], Meta(min_length=1, max_length=1000)]
    offline: Annotated[bool, Meta(description="Try without the database: no buyers, no schedules")] = False


@dataclass(frozen=True, slots=True)
class Result:
    """`differences` are lines that begin with - (expected) or + (what came), under a line that says of what."""

    case: Case
    outcome: Outcome
    differences: tuple[str, ...]


def read_cases(text: str) -> Cases:
    """Raises BadPlan naming the field, BadFlow where the text is no YAML."""
    try:
        return msgspec.convert(load_yaml(text), Cases)
    except msgspec.ValidationError as error:
        raise BadPlan(str(error)) from None
    except BadFlow as error:
        raise BadPlan(error.problems[0].line().removeprefix("error: ")) from None


def compare(expected: Expected, outcome: Outcome) -> tuple[str, ...]:
    """What differs; empty where all is as expected."""
    return tuple(_differences(expected, outcome))


def _differences(expected: Expected, outcome: Outcome) -> Iterator[str]:
    path = outcome.path.split()
    if expected.path is not None and not _same_way(expected.path, path):
        yield from _differs("path", " ".join(expected.path), " ".join(path))
    visited = {step.partition(":")[0] for step in path}
    for node in expected.visits:
        if node not in visited:
            yield from _differs("visits", node, " ".join(path))
    plain = (
        ("buyer", outcome.buyer, "nobody"),
        ("end", outcome.end, ""),
        ("failure_reason", outcome.failure_reason, "none"),
    )
    for name, value, word in plain:
        wanted = getattr(expected, name)
        if wanted is not None and wanted != (word if value is None else value):
            yield from _differs(name, wanted, word if value is None else value)
    for text in expected.said:
        if not any(text in said for said in outcome.said):
            yield from _differs("said", text, " | ".join(outcome.said))
    yield from _tags(expected.tags, outcome.tags)


def _tags(expected: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    for name, value in expected.items():
        if found.get(name) != value:
            yield from _differs(f"tags.{name}", value, found.get(name, "(not set)"))


def _differs(name: str, wanted: str, found: str) -> Iterator[str]:
    yield f"{name}:"
    yield f"- {wanted}"
    yield f"+ {found}"


def _same_way(wanted: tuple[str, ...], found: list[str]) -> bool:
    if len(wanted) != len(found):
        return False
    return all(w == f or (":" not in w and w == f.partition(":")[0]) for w, f in zip(wanted, found, strict=True))


def cases_schema() -> dict[str, Any]:
    """JSON Schema of a file of cases."""
    return {"$schema": _ID, "title": "DCX flow tests", **msgspec.json.schema(Cases)}
