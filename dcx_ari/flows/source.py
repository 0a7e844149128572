"""The text of a flow document as plain data, every value with its place in the text.

YAML 1.2 (core schema), of which JSON is a part: `on`, `off`, `yes` and `no` are words, 09:00 is text and 010 is ten.
Left out on purpose: aliases (a few hundred bytes of them can stand for gigabytes) and tags (they build objects).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from dcx_ari.flows.problems import BadFlow, Mark, Path, Problem

MAX_BYTES = 1_000_000
_MAX_DEPTH = 50
_READER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where PyYAML was built with it
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BREAKS = re.compile("[\x85\u2028\u2029]")
_SURROGATES = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")


@dataclass(frozen=True, slots=True)
class Source:
    """`values` and `keys` are the places of values and of the keys in front of them."""

    data: Any
    values: dict[Path, Mark] = field(default_factory=dict)
    keys: dict[Path, Mark] = field(default_factory=dict)

    def mark(self, path: Path, *, key: bool = False) -> Mark | None:
        """The place of a path, or of the nearest thing around it that the text has."""
        while True:
            found = (self.keys if key else self.values).get(path) or self.values.get(path)
            if found is not None or not path:
                return found
            path = path[:-1]


def read_source(text: str) -> Source:
    """Raises `BadFlow`."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise BadFlow([Problem("too_large", f"the document is larger than {MAX_BYTES:,} bytes")])
    if text.lstrip()[:1] == "{":  # JSON writes 😀 as two escapes; YAML knows only whole characters
        text = _SURROGATES.sub(_joined, text)
    try:
        return _Builder(yaml.parse(text, Loader=_READER)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        hint = 'put quotes around a key that begins with * or &: "*"' if "alias" in str(error) else ""
        what = " ".join(filter(None, (error.context, error.problem))) or "not YAML"
        raise BadFlow([Problem("syntax", what, hint=hint, mark=_mark(mark))]) from None
    except yaml.YAMLError as error:
        raise BadFlow([Problem("syntax", " ".join(str(error).split()))]) from None


def _joined(match: re.Match[str]) -> str:
    return match[0].encode("ascii").decode("unicode-escape").encode("utf-16", "surrogatepass").decode("utf-16")


def _mark(mark: Any) -> Mark | None:
    return None if mark is None else Mark(mark.line + 1, mark.column + 1)


class _Builder:
    """Plain data from the events of one document."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._source = Source(None)

    def document(self) -> Source:
        next(self._events)  # the stream begins
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            self._refuse(event, "empty", "the document is empty")
        data = self._value(next(self._events), (), 0)
        next(self._events)  # the document ends
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            self._refuse(event, "documents", "a file holds one document")
        return Source(data, self._source.values, self._source.keys)

    def _value(self, event: Any, path: Path, depth: int) -> Any:
        if getattr(event, "anchor", None) is not None:
            hint = 'put quotes around a word that begins with * or &: "*"'
            self._refuse(event, "alias", "aliases and anchors are not allowed", hint)
        if getattr(event, "tag", None) not in (None, "!"):
            self._refuse(event, "tag", f"tags such as {event.tag} are not allowed")
        if depth > _MAX_DEPTH:
            self._refuse(event, "depth", f"nested more than {_MAX_DEPTH} deep")
        mark = event.start_mark
        self._source.values[path] = Mark(mark.line + 1, mark.column + 1)
        if isinstance(event, yaml.ScalarEvent):
            return _plain(event.value) if event.implicit[0] and event.style in (None, "") else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(path, depth)
        return self._mapping(path, depth)

    def _list(self, path: Path, depth: int) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            found.append(self._value(event, (*path, len(found)), depth + 1))
        return found

    def _mapping(self, path: Path, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                hint = 'put quotes around a key that begins with * or &: "*"'
                self._refuse(event, "key", "a key must be a word or a number", hint)
            key = event.value
            if key in found:
                self._refuse(event, "twice", f"{key!r} is given twice")
            mark: Any = event.start_mark
            self._source.keys[(*path, key)] = Mark(mark.line + 1, mark.column + 1)
            found[key] = self._value(next(self._events), (*path, key), depth + 1)
        return found

    def _refuse(self, event: Any, code: str, message: str, hint: str = "") -> NoReturn:
        raise BadFlow([Problem(code, message, hint=hint, mark=_mark(event.start_mark))])


def _plain(text: str) -> Any:
    """A scalar without quotes, by the core schema of YAML 1.2."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


class _Writer(yaml.SafeDumper):
    """Plain data as people would write it: nothing is abbreviated, and text stays text when it is read again."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(writer: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None if isinstance(_plain(value), str) else "'"
    if _BREAKS.search(value):  # YAML 1.1 folds them like a line's end, unless they are written as escapes
        style = '"'
    return writer.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Writer.add_representer(str, _text)


def as_text(data: Any) -> str:
    """Plain data as YAML that `read_source` reads as the same data."""
    return yaml.dump(data, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=110)
