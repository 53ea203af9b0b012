"""Chance as a function of keys: the same keys give the same draw in any batch, on any worker."""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Longs = NDArray[np.int64]
Floats = NDArray[np.float64]

# Constants of the SplitMix64 generator (Steele, Lea and Flood, 2014).
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def _mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = bits + _STEP
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))


@dataclass(frozen=True)
class KeyedRandom:
    """Draws named by what they decide and keyed by whom they concern."""

    seed: int

    def uniform(self, name: str, *keys: Longs) -> Floats:
        """Numbers in [0, 1), one for each row of the keys, which broadcast against each other.

        >>> KeyedRandom(7).uniform("coin", np.arange(3)).round(3).tolist()
        [0.383, 0.477, 0.051]
        >>> KeyedRandom(7).uniform("coin", np.array([2])).round(3).tolist()
        [0.051]
        """
        start = (self.seed << 32) + zlib.crc32(name.encode())
        bits = _mix(np.array([start & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64))
        for key in keys:
            bits = _mix(bits ^ np.asarray(key, dtype=np.int64).view(np.uint64))
        return (bits >> np.uint64(11)) * 2.0**-53

    def normal(self, name: str, *keys: Longs) -> Floats:
        """Standard normal numbers (Box and Muller)."""
        radius = np.sqrt(-2 * np.log(1 - self.uniform(f"{name} radius", *keys)))
        return radius * np.cos(2 * np.pi * self.uniform(f"{name} angle", *keys))

    def pick(self, name: str, weights: Floats, *keys: Longs) -> Longs:
        """Indices into the last axis of `weights`, with probability in proportion to them."""
        total = np.cumsum(weights, axis=-1)
        drawn = self.uniform(name, *keys) * total[..., -1]
        if weights.ndim == 1:
            return np.searchsorted(total, drawn, side="right")
        return (drawn[:, None] >= total).sum(axis=1)
