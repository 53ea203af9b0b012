"""Columns of a shard in, batches of near lengths out; plain numpy, the same on every machine."""

import math
from collections.abc import Iterable, Iterator
from itertools import repeat, zip_longest
from typing import Protocol

import numpy as np

from profile_lib.arrays.hash_sampling import uniform

# Of B rows, T the longest text among them: token_ids (B, T) int64, where the text is read;
# n_tokens (B,) int64; numeric (B, F) float32; labels (B, L) float32, NaN where unknown;
# weight (B,) float32: 1 / probability with which the row was kept; row_hash (B,) int64.
Batch = dict[str, np.ndarray]
Columns = dict[str, np.ndarray]
MAX_BATCH_RATIO = 1.25  # of a batch's size, in a shard that holds more rows than others
DTYPES = {
    "token_ids": np.int64, "n_tokens": np.int64, "numeric": np.float32, "labels": np.float32,
    "weight": np.float32, "row_hash": np.int64,
}  # fmt: skip


class Loader(Protocol):
    """The rows of one split, as far as they are this rank's."""

    folder: str
    rows: int  # of all ranks, as written
    rows_read: int  # by this rank, since the last pass began

    def expected_rows(self, negative_downsampling_rate: float) -> int:
        """About so many rows does a pass of all ranks hold that keeps such a share of negatives."""

    def batches(
        self,
        size: int,
        seed: tuple[int, ...],
        *,
        with_text: bool,
        negative_downsampling_rate: float = 1.0,
    ) -> Iterator[Batch]:
        """One pass in batches of `size` rows over all ranks."""


def cut_batches(
    windows: Iterable[Columns],
    size: int,
    seed: tuple[int, ...],
    shard: int,
    expected: Iterable[float] | None = None,
) -> Iterator[Batch]:
    """Batches of about `size` rows from windows of many, every row once.

    Within a window rows are shuffled, then sorted by length, so that a batch holds near lengths
    and little is padded; the batches then come in an order drawn from `seed` alone. `expected`
    rows a window, the same for all shards, say into how many batches it is cut: so all shards are
    at about the same length at each step, also where they hold a few rows more or less. Otherwise
    short texts would be padded to another shard's long ones, and ranks would wait for each other.
    """
    for number, (window, of_all) in enumerate(zip(windows, expected or repeat(0.0), strict=False)):
        rows = np.random.default_rng((*seed, number, shard)).permutation(len(window["n_tokens"]))
        rows = rows[np.argsort(window["n_tokens"][rows], kind="stable")]
        packs = np.array_split(rows, count_batches(len(rows), size, of_all))
        draws = np.random.default_rng((*seed, number)).random(len(packs))
        for pack in np.argsort(draws):
            yield to_batch(window, packs[pack])


def count_batches(rows: int, size: int, expected: float) -> int:
    """As many as the expected rows fill, where that makes no batch empty or a quarter too large;
    else as many as the rows fill.

    >>> [count_batches(rows, 10, 40.0) for rows in (3, 38, 44, 51)]
    [1, 4, 4, 6]
    """
    common = math.ceil(expected / size)
    fits = common <= rows <= MAX_BATCH_RATIO * size * common
    return common if fits and common > 0 else math.ceil(rows / size)


def to_batch(window: Columns, rows: np.ndarray) -> Batch:
    """The given rows of a window, trimmed to the longest text among them."""
    batch = {n: window[n][rows].astype(kind) for n, kind in DTYPES.items() if n in window}
    return trim_batch(batch)


def trim_batch(batch: Batch) -> Batch:
    """The batch with its texts cut at the longest among them."""
    if "token_ids" not in batch:
        return batch
    longest = int(batch["n_tokens"].max(initial=0))
    return {**batch, "token_ids": batch["token_ids"][:, :longest]}


def split_batch(batch: Batch, parts: int) -> list[Batch]:
    """The batch in so many parts of near sizes, in order, none of them empty."""
    packs = np.array_split(np.arange(len(batch["weight"])), parts)
    return [trim_batch({n: c[pack] for n, c in batch.items()}) for pack in packs if len(pack)]


def subsample_negatives(
    window: Columns, binary: list[int], negative_downsampling_rate: float, seed: tuple[int, ...]
) -> Columns:
    """The window without a share of the rows that no binary task calls positive.

    A row stays by a hash of itself and the seed, whatever its shard, and its weight grows by
    1 / `negative_downsampling_rate`, so that weighted means stay those of all rows.
    """
    is_negative = ~(window["labels"][:, binary] > 0).any(axis=1)
    stays = ~is_negative | (uniform(window["row_hash"], seed) < negative_downsampling_rate)
    weight = window["weight"] / np.where(is_negative, negative_downsampling_rate, 1.0)
    return {name: column[stays] for name, column in {**window, "weight": weight}.items()}


def join_shards(shards: list[Iterator[Batch]], pad_id: int) -> Iterator[Batch]:
    """One batch a step from the shards of a rank; a shard that has ended adds nothing."""
    for step in zip_longest(*shards):
        yield _concat([batch for batch in step if batch is not None], pad_id)


def _concat(parts: list[Batch], pad_id: int) -> Batch:
    if len(parts) == 1:
        return parts[0]
    names = [name for name in parts[0] if name != "token_ids"]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in names}
    if "token_ids" in parts[0]:
        texts = [part["token_ids"] for part in parts]
        longest = max(ids.shape[1] for ids in texts)
        joined["token_ids"] = np.full((len(joined["weight"]), longest), pad_id, np.int64)
        first = 0
        for ids in texts:
            joined["token_ids"][first : first + len(ids), : ids.shape[1]] = ids
            first += len(ids)
    return joined
