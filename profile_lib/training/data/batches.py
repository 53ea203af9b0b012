"""Cut a shard's columns into batches of similar lengths, identically on every machine."""

import math
from collections.abc import Iterable, Iterator
from itertools import repeat, zip_longest
from typing import Protocol

import numpy as np

from profile_lib.arrays.hash_sampling import uniform

# A batch of B rows with texts of at most T tokens: token_ids (B, T) int64, only if the text is
# read; n_tokens (B,) int64; numeric (B, F) float32; labels (B, L) float32, NaN if unknown; weight
# (B,) float32, 1 / probability with which the row was sampled; row_hash (B,) int64.
Batch = dict[str, np.ndarray]
Columns = dict[str, np.ndarray]
MAX_BATCH_RATIO = 1.25  # largest batch, relative to the requested size, if a shard has more rows
DTYPES = {
    "token_ids": np.int64, "n_tokens": np.int64, "numeric": np.float32, "labels": np.float32,
    "weight": np.float32, "row_hash": np.int64,
}  # fmt: skip


class Loader(Protocol):
    """This process's share of the rows of one split."""

    folder: str
    rows: int  # of all processes, as written
    rows_read: int  # by this process, since the last pass began

    def expected_rows(self, negative_downsampling_rate: float) -> int:
        """Return the approximate number of rows in a pass of all processes.

        `negative_downsampling_rate` is the share of the negatives in the pass.
        """

    def batches(
        self,
        size: int,
        seed: tuple[int, ...],
        *,
        with_text: bool,
        negative_downsampling_rate: float = 1.0,
    ) -> Iterator[Batch]:
        """Yield one pass in batches of about `size` rows over all processes together."""


def cut_batches(
    windows: Iterable[Columns],
    size: int,
    seed: tuple[int, ...],
    shard: int,
    expected: Iterable[float] | None = None,
) -> Iterator[Batch]:
    """Cut windows of many rows into batches of about `size` rows, every row once.

    Within a window rows are shuffled, then sorted by length, so that a batch has similar lengths
    and little padding; the order of the batches depends on `seed` alone. `expected` yields the
    expected number of rows of each window, the same for all shards, and with it the number of
    batches (see `count_batches`). At each step all shards therefore have texts of about the same
    length, even if they hold a few rows more or less. Otherwise short texts would be padded to
    another shard's long ones, and processes would wait for each other.
    """
    expected_rows = expected or repeat(0.0)
    for number, (window, n_expected) in enumerate(zip(windows, expected_rows, strict=False)):
        rows = np.random.default_rng((*seed, number, shard)).permutation(len(window["n_tokens"]))
        rows = rows[np.argsort(window["n_tokens"][rows], kind="stable")]
        packs = np.array_split(rows, count_batches(len(rows), size, n_expected))
        order = np.argsort(np.random.default_rng((*seed, number)).random(len(packs)))
        for pack in order:
            yield to_batch(window, packs[pack])


def count_batches(rows: int, size: int, expected: float) -> int:
    """Return the number of batches of about `size` rows into which to cut `rows` rows.

    It is the number that the `expected` rows fill. If a batch would then be empty or more than a
    quarter too large, it is the number that the `rows` themselves fill.

    >>> [count_batches(rows, 10, 40.0) for rows in (3, 38, 44, 51)]
    [1, 4, 4, 6]
    """
    common = math.ceil(expected / size)
    fits = common <= rows <= MAX_BATCH_RATIO * size * common
    return common if fits and common > 0 else math.ceil(rows / size)


def to_batch(window: Columns, rows: np.ndarray) -> Batch:
    """Select rows of a window, trimmed to the longest text among them."""
    batch = {n: window[n][rows].astype(dtype) for n, dtype in DTYPES.items() if n in window}
    return trim_batch(batch)


def trim_batch(batch: Batch) -> Batch:
    """Remove the padding that all texts of the batch share."""
    if "token_ids" not in batch:
        return batch
    longest = int(batch["n_tokens"].max(initial=0))
    return {**batch, "token_ids": batch["token_ids"][:, :longest]}


def split_batch(batch: Batch, parts: int) -> list[Batch]:
    """Split a batch, in order, into at most `parts` nearly equal ones."""
    packs = np.array_split(np.arange(len(batch["weight"])), parts)
    return [trim_batch({n: c[pack] for n, c in batch.items()}) for pack in packs if len(pack)]


def subsample_negatives(
    window: Columns,
    binary_columns: list[int],
    negative_downsampling_rate: float,
    seed: tuple[int, ...],
) -> Columns:
    """Sample a share of the rows that are positive in no binary task.

    All other rows stay. `binary_columns` are the columns of `labels` that hold binary labels. The
    choice depends on a hash of the row and the seed, not on its shard. The weight of a sampled row
    is divided by `negative_downsampling_rate`, so that weighted means remain those of all rows.
    """
    is_negative = ~(window["labels"][:, binary_columns] > 0).any(axis=1)
    is_kept = ~is_negative | (uniform(window["row_hash"], seed) < negative_downsampling_rate)
    weight = window["weight"] / np.where(is_negative, negative_downsampling_rate, 1.0)
    return {name: column[is_kept] for name, column in {**window, "weight": weight}.items()}


def join_shards(shards: list[Iterator[Batch]], pad_id: int) -> Iterator[Batch]:
    """Join the shards' batches of each step; a shard that has ended adds nothing."""
    for step in zip_longest(*shards):
        yield _concatenate([batch for batch in step if batch is not None], pad_id)


def _concatenate(parts: list[Batch], pad_id: int) -> Batch:
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
