"""Compute a pseudo-random number per row from a hash of its key."""

import numpy as np


def uniform(hashes: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
    """Return a pseudo-random number in [0, 1) for each integer hash.

    It depends on hash and seed alone, so it is the same in any batch, in any process and after a
    restart.
    """
    salt = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    return uniform_from_bits(hashes.astype(np.int64).view(np.uint64) ^ salt)


def uniform_from_bits(bits: np.ndarray) -> np.ndarray:
    """Return a pseudo-random number in [0, 1) for each uint64."""
    return mix_bits(bits).astype(np.float64) / 2.0**64


def mix_bits(bits: np.ndarray) -> np.ndarray:
    """Scramble uint64 bits by the finaliser of SplitMix64 (Steele, Lea and Flood, 2014).

    >>> mix_bits(np.array([1, 2], dtype=np.uint64)).tolist()
    [6238072747940578789, 15839785061582574730]
    """
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
