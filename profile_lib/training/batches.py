"""Columns of a shard in, batches of near lengths out; plain numpy, the same on every machine."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import NamedTuple, Protocol

import numpy as np

Columns = dict[str, np.ndarray]


class Batch(NamedTuple):
    """Of B rows; T is the longest text among them."""

    token_ids: np.ndarray | None  # (B, T) int64; None where the text is not read
    n_tokens: np.ndarray  # (B,) int64
    numeric: np.ndarray  # (B, F) float32
    labels: np.ndarray  # (B, tasks) int64, -1 where unknown
    weight: np.ndarray  # (B,) float32: 1 / probability with which the row was kept


class Source(Protocol):
    """The rows of one split, as far as they are this rank's."""

    folder: str
    rows: int  # of all ranks, as written
    rows_read: int  # by this rank, since the last pass began

    def expected_rows(self, kept: float) -> int:
        """About so many rows does a pass of all ranks hold that keeps such a share of negatives."""

    def batches(
        self, size: int, seed: tuple[int, ...], *, with_text: bool, kept: float = 1.0
    ) -> Iterator[Batch]:
        """One pass in batches of `size` rows over all ranks."""


def cut(
    windows: Iterable[Columns], size: int, seed: tuple[int, ...], shard: int
) -> Iterator[Batch]:
    """Batches of `size` rows from windows of many, every row once.

    Within a window rows are shuffled, then sorted by length, so that a batch holds near lengths
    and little is padded; the batches then come in an order drawn from `seed` alone, so that at
    each step all shards are at about the same length and no rank waits for a longer one.
    """
    for number, window in enumerate(windows):
        rows = np.random.default_rng((*seed, number, shard)).permutation(len(window["n_tokens"]))
        rows = rows[np.argsort(window["n_tokens"][rows], kind="stable")]
        packs = [rows[at : at + size] for at in range(0, len(rows), size)]
        draws = np.random.default_rng((*seed, number)).random(len(packs))
        for pack in np.argsort(draws):
            yield to_batch(window, packs[pack])


def to_batch(window: Columns, rows: np.ndarray) -> Batch:
    """The given rows of a window, trimmed to the longest text among them."""
    lengths = window["n_tokens"][rows].astype(np.int64)
    ids = None
    if "token_ids" in window:
        longest = int(lengths.max()) if len(lengths) else 0
        ids = window["token_ids"][rows, :longest].astype(np.int64)
    return Batch(
        token_ids=ids,
        n_tokens=lengths,
        numeric=window["numeric"][rows].astype(np.float32),
        labels=window["labels"][rows].astype(np.int64),
        weight=window["weight"][rows].astype(np.float32),
    )


def drop_negatives(
    window: Columns, binary: list[int], kept: float, seed: tuple[int, ...]
) -> Columns:
    """The window without a share of the rows that no binary task calls positive.

    A row stays by a hash of itself and the seed, whatever its shard, and its weight grows by
    1 / `kept`, so that weighted means stay those of all rows.
    """
    is_negative = (window["labels"][:, binary] <= 0).all(axis=1)
    stays = ~is_negative | (_uniform(window["row_hash"], seed) < kept)
    weight = window["weight"] / np.where(is_negative, kept, 1.0)
    return {name: column[stays] for name, column in {**window, "weight": weight}.items()}


def join_shards(shards: list[Iterator[Batch]], pad_id: int) -> Iterator[Batch]:
    """One batch a step from the shards of a rank; a shard that has ended adds nothing."""
    for step in zip_longest(*shards):
        yield _concat([batch for batch in step if batch is not None], pad_id)


def _concat(parts: list[Batch], pad_id: int) -> Batch:
    if len(parts) == 1:
        return parts[0]
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in Batch._fields
        if name != "token_ids"
    }
    ids = [part.token_ids for part in parts if part.token_ids is not None]
    longest = max((i.shape[1] for i in ids), default=0)
    padded = [np.pad(i, ((0, 0), (0, longest - i.shape[1])), constant_values=pad_id) for i in ids]
    return Batch(token_ids=np.concatenate(padded) if padded else None, **joined)


def _uniform(hashes: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
    """A draw from [0, 1) for each hash, by the finaliser of SplitMix64 (Steele et al., 2014)."""
    salt = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    x = hashes.astype(np.int64).view(np.uint64) ^ salt
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))).astype(np.float64) / 2.0**64
