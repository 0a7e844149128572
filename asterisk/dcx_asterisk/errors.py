"""Errors of this package: each says what went wrong and what to do about it."""


class AsteriskError(Exception):
    """Anything that keeps a real Asterisk (or a test phone) from running.

    `message` says what happened, `hint` what the operator can do; both are shown to people.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n{hint}" if hint else message)
        self.message = message
        self.hint = hint


class NoMirror(AsteriskError):
    """The machine's apt configuration names no Debian archive."""


class FetchFailed(AsteriskError):
    """Packages could not be downloaded or unpacked. Nothing half-made is left behind."""


class PortTaken(AsteriskError):
    """A port Asterisk must listen on is in use by somebody else."""


class StartFailed(AsteriskError):
    """A program ended or stayed silent instead of getting ready."""


class CommandFailed(AsteriskError):
    """A command to a running program was refused or not answered in time."""
