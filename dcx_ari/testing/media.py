"""How long each media URI plays."""

from __future__ import annotations

FOREVER = float("inf")


class Media:
    """Seconds by media URI. What nobody has declared plays for `default_s`; tones play until stopped."""

    def __init__(self, default_s: float = 1.0) -> None:
        self.default_s = default_s
        self._seconds: dict[str, float | None] = {}

    def add(self, uri: str, seconds: float) -> None:
        self._seconds[uri] = seconds

    def missing(self, uri: str) -> None:
        """Declare that there is no such file: its playback fails."""
        self._seconds[uri] = None

    def seconds(self, uri: str) -> float | None:
        """None where there is no such file."""
        if uri in self._seconds:
            return self._seconds[uri]
        scheme, _, rest = uri.partition(":")
        if scheme == "tone":
            return FOREVER
        if scheme in ("digits", "characters", "number"):
            return 0.5 * max(1, len(rest))
        name, _, tail = rest.rpartition("/")
        if name == "silence" and tail.isdigit():
            return float(tail)
        return self.default_s
