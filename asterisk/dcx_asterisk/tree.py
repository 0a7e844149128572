"""A tree of unpacked Debian packages, and how to run a program out of it."""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dcx_asterisk.errors import AsteriskError

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Tree:
    """Programs with their own C library, run in place through their own loader: not installed, no root
    needed."""

    root: Path

    @property
    def versions(self) -> dict[str, str]:
        """Debian package → version of everything unpacked here."""
        text = (self.root / MANIFEST).read_text(encoding="utf-8")
        packages: dict[str, str] = json.loads(text)["packages"]
        return packages

    @cached_property
    def loader(self) -> Path:
        """The ELF interpreter (ld.so) of this tree."""
        for pattern in ("usr/lib64/ld-linux-*.so.*", "usr/lib/ld-linux-*.so.*", "usr/lib/*/ld-linux-*.so.*"):
            found = sorted(self.root.glob(pattern))
            if found:
                return found[0]
        raise AsteriskError(f"no program loader in {self.root}", "Delete that directory and run the command again.")

    @cached_property
    def libraries(self) -> Path:
        """The directory of the tree's shared libraries (usr/lib/<architecture>)."""
        return next(path.parent for path in sorted(self.root.glob("usr/lib/*/libc.so.6")))

    def path(self, inside: str) -> Path:
        """The place in the tree of a file given as an absolute or relative path inside it."""
        return self.root / inside.lstrip("/")

    def program(self, name: str) -> Path:
        """The file of a program: looked for in usr/bin, usr/sbin and PostgreSQL's bin; or a path inside."""
        if "/" in name:
            return self.path(name)
        for pattern in (f"usr/bin/{name}", f"usr/sbin/{name}", f"usr/lib/postgresql/*/bin/{name}"):
            found = sorted(self.root.glob(pattern))
            if found:
                return found[-1]
        raise AsteriskError(f"no program {name} in {self.root}", "Delete that directory and run the command again.")

    def command(self, program: str, *args: str | os.PathLike[str]) -> list[str]:
        """The argv that runs a program of the tree on this machine, whatever C library the machine has."""
        search = ":".join(str(path) for path in (self.libraries, self.libraries / "pulseaudio"))
        binary = str(self.program(program))
        return [
            str(self.loader),
            "--library-path",
            search,
            "--argv0",
            binary,
            binary,
            *(os.fspath(arg) for arg in args),
        ]

    def environment(self) -> dict[str, str]:
        """The environment for such a program: ours, with the C library's plug-ins taken from the tree."""
        return {
            **os.environ,
            "GCONV_PATH": str(self.libraries / "gconv"),
            "OPENSSL_MODULES": str(self.libraries / "ossl-modules"),
            "LC_ALL": "C.UTF-8",
        }
