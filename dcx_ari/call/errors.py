"""What ends a flow from outside. Hangup is never task cancellation: a database write is not cut by it."""

from __future__ import annotations


class CallEnded(Exception):
    """The caller has gone. Raised by the verbs of `Call`, caught once, by the runner."""

    def __init__(self, cause: int) -> None:
        super().__init__(f"the caller has gone (cause {cause})")
        self.cause = cause
