"""Flow documents from files and from the database, as commands are given them."""

from __future__ import annotations

import sys
from pathlib import Path

from dcx_ari.services.documents import MAX_BYTES
from dcx_ari.services.errors import Invalid

_ENDINGS = (".yaml", ".yml", ".json")


def is_file(name: str) -> bool:
    """Whether FLOW|FILE names a file: by how it ends, or - for standard input."""
    return name == "-" or name.endswith(_ENDINGS)


def text_of(file: Path) -> str:
    """At most one byte more than a document may have: the check says the rest. Raises Invalid."""
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1).decode("utf-8")
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1).decode("utf-8")
    except OSError as error:
        raise Invalid(str(file), error.strerror or str(error)) from None
    except UnicodeDecodeError as error:
        if error.start >= MAX_BYTES - 4:  # cut in the middle of a character: too long anyway
            return " " * (MAX_BYTES + 1)
        raise Invalid(str(file), f"is not UTF-8 text (byte {error.start})") from None
