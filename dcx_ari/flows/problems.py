"""What is wrong with a flow document, and where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

Level = Literal["error", "warning"]
Path = tuple[str | int, ...]
"""Keys and indexes from the top of the document: `("nodes", "menu", "choices", "1")`."""


class Mark(NamedTuple):
    """A place in a text, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """`code` names the rule for programs; `hint` says how to mend it. `mark` is None for a document without text."""

    code: str
    message: str
    path: Path = ()
    level: Level = "error"
    hint: str = ""
    mark: Mark | None = None

    def within(self, *path: str | int) -> Problem:
        """The same, told from further up."""
        return replace(self, path=(*path, *self.path))

    def line(self, file: str = "") -> str:
        """`flow.yaml:12:7: error: nodes.menu.next: there is no node "sale" (did you mean "sales"?)`."""
        place = ":".join(filter(None, (file, f"{self.mark.line}:{self.mark.column}" if self.mark else "")))
        where = ".".join(map(str, self.path))
        hint = f" ({self.hint})" if self.hint else ""
        return ": ".join(filter(None, (place, self.level, where, f"{self.message}{hint}")))


class BadFlow(ValueError):
    """A document that cannot be run; the message names the places and the rules."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.line().removeprefix("error: ") for problem in problems[:10]))
        self.problems = tuple(problems)


def errors(problems: Iterable[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.level == "error"]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint with the known word that is most like `word`; empty where none is like it."""
    from difflib import get_close_matches  # only where something is wrong

    found = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f'did you mean "{found[0]}"?' if found else ""
