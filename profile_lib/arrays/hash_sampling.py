"""Hashes in, numbers drawn for them out: the same in whatever batch, on whatever machine."""

import numpy as np


def uniform(hashes: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
    """A draw from [0, 1) for each hash, by the finaliser of SplitMix64 (Steele et al., 2014).

    It depends on hash and seed alone, so that a row's draws are the same in whatever batch, on
    whatever rank it comes, and after a restart.
    """
    salt = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    return uniform_from_bits(hashes.astype(np.int64).view(np.uint64) ^ salt)


def uniform_from_bits(x: np.ndarray) -> np.ndarray:
    """A number from [0, 1) for each of uint64 bits."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))).astype(np.float64) / 2.0**64
