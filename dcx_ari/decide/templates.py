"""Texts with variables: `{{name}}` stands for the value of that name, and no other expression exists.

Not a template engine: no attributes, no calls, no conditions. So nothing that a caller or a flow's author writes
can reach anything but the values it is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MAX_VALUE = 255
_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NUMBER = re.compile(r"\+?[0-9]{5,15}")


def names_in(text: str) -> list[str]:
    """The variables of a text, in order. Raises ValueError saying what is between the braces but no name.

    >>> names_in("A call from {{source}} in {{ state }}.")
    ['source', 'state']
    """
    found = []
    for expression in _EXPRESSION.findall(text):
        name = expression.strip()
        if not _NAME.fullmatch(name):
            shown = expression if len(expression) <= 40 else f"{expression[:40]}…"
            raise ValueError(f"{{{{{shown}}}}}: only a name stands between braces (no attributes, no calls)")
        found.append(name)
    rest = _EXPRESSION.sub("", text)
    if "{{" in rest:
        raise ValueError("{{ is never closed with }}")
    if "{%" in rest:
        raise ValueError("{% is not understood: only {{name}} is")
    return found


def fill(text: str, values: Mapping[str, str]) -> str:
    """Variables replaced by their values, by nothing where there is none.

    >>> fill("A call from {{source}}.", {"source": "Radio"})
    'A call from Radio.'
    """
    if "{{" not in text:
        return text
    return _EXPRESSION.sub(lambda found: clean(values.get(found.group(1).strip(), "")), text)


def clean(value: str) -> str:
    """A value cut to length, on one line, without control characters."""
    return "".join(c if c.isprintable() else " " for c in value[:MAX_VALUE])


def aloud(value: str) -> str:
    """A value as it is spoken: a telephone number or code digit by digit, never as millions; and nothing to fill again.

    >>> aloud("+12125550123")
    '1 2 1 2 5 5 5 0 1 2 3'
    """
    return " ".join(value.lstrip("+")) if _NUMBER.fullmatch(value) else value.replace("{{", " ")
