"""Settings that are kept with a home: `dcx.env` in it, lines of `DCX_NAME=value`.

The environment and options of the command line go before them. `dcx init` writes here.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

FILE = "dcx.env"


class BadLine(ValueError):
    """The file has a line that is no setting; the message names file and line."""


def read_file(home: Path) -> dict[str, str]:
    """Variable -> value; nothing where there is no file. Raises BadLine, OSError."""
    path = home / FILE
    try:
        lines = path.read_text("utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except UnicodeDecodeError:
        raise BadLine(f"{path}: must be UTF-8 text") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, equals, value = line.strip().partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not equals or not name.strip().startswith("DCX_"):
            raise BadLine(f"{path}, line {number}: must look like DCX_TIMEZONE=America/New_York")
        found[name.strip()] = value.strip()
    return found


def write_setting(home: Path, variable: str, value: str) -> Path:
    """Set one line of the file, the others stay; readable by its owner only. Raises OSError."""
    path = home / FILE
    home.mkdir(parents=True, exist_ok=True)
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if line.partition("=")[0].strip() != variable]
    handle, temporary = tempfile.mkstemp(dir=home, prefix=".dcx-env-")  # 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("\n".join([*kept, f"{variable}={value}"]) + "\n")
    Path(temporary).replace(path)
    return path
