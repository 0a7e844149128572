"""Tones as µ-law packets, and whether one is in what was received.

All tones are multiples of 5 Hz, so that ten packets of 20 ms (1600 samples) hold whole periods of each, and one does
not leak into another.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 8000
PACKET = 160
PACKETS = 10
LOUD = 3000.0
_AMPLITUDE = 8000


def ulaw(samples: NDArray[np.int32]) -> NDArray[np.uint8]:
    """16-bit linear samples as G.711 µ-law (ITU-T G.711, table 2)."""
    magnitude = np.minimum(np.abs(samples), 32635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    sign = np.where(samples < 0, 0x80, 0)
    coded: NDArray[np.uint8] = (~(sign | exponent << 4 | mantissa) & 0xFF).astype(np.uint8)
    return coded


def _linear() -> NDArray[np.float32]:
    """What each of the 256 codes means."""
    code = ~np.arange(256) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 132) << ((code >> 4) & 7)) - 132
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.float32)


_LINEAR = _linear()


def packets(hz: int) -> list[bytes]:
    """Ten payloads that, sent round and round, are a tone without a click."""
    at = np.arange(PACKETS * PACKET)
    coded = ulaw(np.round(_AMPLITUDE * np.sin(2 * np.pi * hz * at / RATE)).astype(np.int32)).tobytes()
    return [coded[start : start + PACKET] for start in range(0, len(coded), PACKET)]


class Ear:
    """Knows one tone."""

    def __init__(self, hz: int) -> None:
        at = np.arange(PACKETS * PACKET)
        self._wave = np.exp(-2j * np.pi * hz * at / RATE).astype(np.complex64)

    def amplitude(self, received: bytes) -> float:
        """Peak amplitude of the tone in µ-law samples, at most ten packets of them (one bin of a Fourier transform)."""
        samples = _LINEAR[np.frombuffer(received, np.uint8)]
        if not len(samples):
            return 0.0
        return float(2 * abs(np.dot(samples, self._wave[: len(samples)])) / len(samples))

    def hears(self, received: bytes) -> bool:
        return self.amplitude(received) >= LOUD
