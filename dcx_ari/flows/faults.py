"""Every fault of a document that cannot be read, each at its own place.

msgspec stops at the first one and does not say in which entry of a mapping it was, so the document is taken apart and
its parts are converted one by one.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import replace
from typing import Any

import msgspec

from dcx_ari.flows.problems import Problem, did_you_mean
from dcx_ari.flows.registry import MAX_NODES, NODE_TYPES
from dcx_ari.flows.source import Source

_MOST = 100
_AT = re.compile(r" - at `(?:key` in `)?\$(.*?)`$")
_STEP = re.compile(r"\.([A-Za-z0-9_]+)|\[(\d+)\]|(\[\.\.\.\])")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TYPES = {
    "str": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "null": "nothing",
    "object": "a mapping", "array": "a list",
}  # fmt: skip


def faults(source: Source, document: type[msgspec.Struct], message: str) -> list[Problem]:
    """Everything that is wrong; at least `message`, which is what msgspec said of the whole."""
    found = []
    for problem in _all(source.data, document):
        found.append(problem)
        if len(found) == _MOST:
            break
    return found or [_problem(message)]


def _all(data: Any, document: type[msgspec.Struct]) -> Iterator[Problem]:
    if not isinstance(data, dict):
        yield Problem("shape", "a flow is a mapping with start and nodes")
        return
    nodes = data.get("nodes")
    yield from _fields({name: value for name, value in data.items() if name != "nodes"}, document, {"nodes"}, ())
    if "nodes" in data and not isinstance(nodes, dict):
        yield Problem("shape", "must be a mapping of names to nodes", ("nodes",))
    elif nodes is None:
        yield Problem("missing", "nodes is missing")
    elif not nodes:
        yield Problem("missing", "there is no node", ("nodes",))
    elif len(nodes) > MAX_NODES:
        yield Problem("too_many", f"there are {len(nodes)} nodes; {MAX_NODES} are allowed", ("nodes",))
    else:
        for name, node in nodes.items():
            yield from _node(name, node)


def _node(name: str, data: Any) -> Iterator[Problem]:
    if not _NAME.fullmatch(name):
        hint = "a small letter first, then small letters, digits and _, at most 64"
        yield Problem("name", f'"{name[:80]}" cannot be the name of a node', ("nodes", name), hint=hint)
    if not isinstance(data, dict):
        yield Problem("shape", "a node is a mapping with a type", ("nodes", name))
        return
    kind: Any = data.get("type")
    if kind not in NODE_TYPES:
        hint = did_you_mean(str(kind), NODE_TYPES) or f"types are {', '.join(NODE_TYPES)}"
        what = "the type is missing" if kind is None else f'there is no node type "{kind}"'
        yield Problem("unknown_type", what, ("nodes", name, "type"), hint=hint)
        return
    fields = {key: value for key, value in data.items() if key != "type"}
    for problem in _fields(fields, NODE_TYPES[kind], set(), data):
        yield problem.within("nodes", name)


def _fields(given: dict[str, Any], kind: type[msgspec.Struct], elsewhere: set[str], whole: Any) -> Iterator[Problem]:
    """Faults field by field; where each is right by itself, of the whole."""
    known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    count = 0
    for name, value in given.items():
        if name not in known:
            hint = did_you_mean(name, known) or f"fields are {', '.join(known)}"
            yield Problem("unknown_field", "there is no such field", (name,), hint=hint)
            count += 1
            continue
        for problem in _value(value, known[name].type):
            yield problem.within(name)
            count += 1
    for name, field in known.items():
        if field.required and name not in given and name not in elsewhere:
            yield Problem("missing", f"{name} is missing")
            count += 1
    if not count and whole:
        try:
            msgspec.convert(whole, kind)
        except msgspec.ValidationError as error:
            yield _of_field(_problem(str(error)), known)


def _of_field(problem: Problem, known: Container[str]) -> Problem:
    """A node's own rule that begins with the name of a field is about that field."""
    name, colon, rest = problem.message.partition(": ")
    if colon and not problem.path and name in known:
        return replace(problem, message=rest, path=(name,))
    return problem


def _value(value: Any, kind: Any) -> Iterator[Problem]:
    """Faults of one field; of a mapping, entry by entry."""
    try:
        msgspec.convert(value, kind)
        return
    except msgspec.ValidationError as error:
        message = str(error)
    before = 0
    if isinstance(value, dict) and len(value) > 1:
        for key, each in value.items():
            try:
                msgspec.convert({key: each}, kind)
            except msgspec.ValidationError as error:
                problem = _problem(str(error), key)
                if problem.path:  # else it is about the number of entries
                    before += 1
                    yield problem
    if not before:
        yield _problem(message, next(iter(value), None) if isinstance(value, dict) else None)


def _problem(message: str, key: str | None = None) -> Problem:
    """What msgspec said, in plain words; `key` is the entry that it writes as [...]."""
    at = _AT.search(message)
    text = message[: at.start()] if at else message
    path: list[str | int] = []
    for name, index, entry in _STEP.findall(at[1] if at else ""):
        if entry and key is None:
            break
        path.append(name or (str(key) if entry else int(index)))
    if at and "key` in" in at[0] and key is not None:
        path.append(key)
    return Problem("value", _plain(text.removeprefix("filters: ")), tuple(path))


def _plain(text: str) -> str:
    if found := re.match(r"Object contains unknown field `(.*)`", text):
        return f"there is no field {found[1]}"
    if found := re.match(r"Object missing required field `(.*)`", text):
        return f"{found[1]} is missing"
    if found := re.match(r"Invalid enum value '(.*)'", text):
        return f'"{found[1]}" is none of the words that are allowed here'
    text = re.sub(r"Expected `(str|array|object)` of length (.*)$", _length, text)
    text = re.sub(r"Expected `str` matching regex (.*)$", r"does not have the form \1", text)
    text = re.sub(r"Expected `(.*?)`, got `(.*?)`", lambda m: f"must be {_kinds(m[1])}, not {_kinds(m[2])}", text)
    text = re.sub(r"Expected `(int|float)` ([<>]=?) (.*)$", lambda m: f"must be {_SIGNS[m[2]]} {m[3]}", text)
    hint = ' (put it in quotes: "1")' if "must be text" in text and "number" in text else ""
    return text + hint


_SIGNS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}


def _length(match: re.Match[str]) -> str:
    what = {"str": "characters", "array": "entries", "object": "entries"}[match[1]]
    sign, _, number = match[2].partition(" ")
    return f"must have {_SIGNS.get(sign, 'exactly')} {number or sign} {what}"


def _kinds(names: str) -> str:
    return " or ".join(_TYPES.get(name, name) for name in names.split(" | "))
