"""What ends an engine from within."""


class EngineFailed(Exception):
    """A part of the engine stopped; the message says which and why."""
