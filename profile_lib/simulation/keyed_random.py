"""Draw random numbers by a seed, a name and keys.

The same keys give the same draw in any batch and on any worker.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from profile_lib.arrays.hash_sampling import mix_bits
from profile_lib.arrays.types import Floats, Longs

SPLITMIX64_INCREMENT = np.uint64(0x9E3779B97F4A7C15)  # Steele, Lea and Flood, 2014


@dataclass(frozen=True)
class KeyedRandom:
    """A source of random numbers that are functions of seed, name and keys.

    `name` names the decision that a number is drawn for; `keys` identify its rows.
    """

    seed: int

    def uniform(self, name: str, *keys: Longs) -> Floats:
        """Draw uniform numbers from [0, 1), in the shape to which the keys broadcast.

        >>> KeyedRandom(7).uniform("coin", np.arange(3)).round(3).tolist()
        [0.383, 0.477, 0.051]
        >>> KeyedRandom(7).uniform("coin", np.array([2])).round(3).tolist()
        [0.051]
        """
        start = (self.seed << 32) + zlib.crc32(name.encode())
        bits = _next_bits(np.array([start & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64))
        for key in keys:
            bits = _next_bits(bits ^ np.asarray(key, dtype=np.int64).view(np.uint64))
        return (bits >> np.uint64(11)) * 2.0**-53

    def normal(self, name: str, *keys: Longs) -> Floats:
        """Draw standard normal numbers (Box and Muller, 1958)."""
        radius = np.sqrt(-2 * np.log(1 - self.uniform(f"{name} radius", *keys)))
        return radius * np.cos(2 * np.pi * self.uniform(f"{name} angle", *keys))

    def pick(self, name: str, weights: Floats, *keys: Longs) -> Longs:
        """Draw indices into the last axis of `weights`, with probabilities in proportion to them.

        `weights` has shape (choices,), or (rows, choices) for weights of each row.
        """
        totals = np.cumsum(weights, axis=-1)
        draws = self.uniform(name, *keys) * totals[..., -1]
        if weights.ndim == 1:
            return np.searchsorted(totals, draws, side="right")
        return (draws[:, None] >= totals).sum(axis=1)


def _next_bits(bits: np.ndarray) -> np.ndarray:
    """Return the output of SplitMix64 for each state."""
    return mix_bits(bits + SPLITMIX64_INCREMENT)
