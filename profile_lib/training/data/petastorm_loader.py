"""A snapshot's folder in, batches of a rank's shards out: the only code that knows Petastorm.

Petastorm unpickles what it finds in a folder's metadata files, so that it is pointed only at
folders that this run wrote itself, and those that hold such a file are refused.
"""

import itertools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from profile_lib.errors import InputError
from profile_lib.training.data.batches import (
    Batch,
    Columns,
    cut_batches,
    join_shards,
    subsample_negatives,
)
from profile_lib.training.data.snapshot import FileStamps, list_files

COLUMNS = ["n_tokens", "numeric", "labels", "weight", "row_hash"]
UNSAFE = ("_common_metadata", "_metadata")


@dataclass
class PetastormLoader:
    """The rows of one split, cut into shards of which a rank reads every `world_size`-th.

    A step's global batch is the union of one batch from each shard: it depends on the number of
    shards, not on that of the ranks, so that the loss curve is the same on any number of them.
    """

    folder: str
    rows: int  # as written
    files: FileStamps  # as written
    shards: int
    rank: int
    world_size: int
    window: int  # rows of a shard that are shuffled and sorted by length together
    binary: list[int]  # the binary tasks' columns of labels
    pad_id: int
    positives: int = 0  # rows that a binary task calls positive
    rows_read: int = 0  # of this rank's shards, since the last pass began

    def expected_rows(self, negative_downsampling_rate: float) -> int:
        """Rows of a pass that keeps so many of the negatives."""
        return self.positives + round((self.rows - self.positives) * negative_downsampling_rate)

    def batches(
        self,
        size: int,
        seed: tuple[int, ...],
        *,
        with_text: bool,
        negative_downsampling_rate: float = 1.0,
    ) -> Iterator[Batch]:
        """One pass over this rank's shards in batches of `size` rows over all ranks.

        Raises InputError where the folder is not as it was written.
        """
        check_folder(self.folder, self.shards, self.files)
        self.rows_read = 0
        part = size // self.shards
        streams = [
            cut_batches(
                self._windows(shard, seed, with_text, negative_downsampling_rate),
                part,
                seed,
                shard,
                self._expected(negative_downsampling_rate),
            )
            for shard in range(self.rank, self.shards, self.world_size)
        ]
        return join_shards(streams, self.pad_id)

    def _expected(self, negative_downsampling_rate: float) -> Iterator[float]:
        """About so many rows has each window of a shard, whichever shard it is."""
        share, of_shard = (
            self.expected_rows(negative_downsampling_rate) / max(1, self.rows),
            self.rows / self.shards,
        )
        for number in itertools.count():
            yield share * max(0.0, min(self.window, of_shard - number * self.window))

    def _windows(
        self, shard: int, seed: tuple[int, ...], with_text: bool, negative_downsampling_rate: float
    ) -> Iterator[Columns]:
        for window in read_shard(self.folder, shard, self.shards, seed, self.window, with_text):
            self.rows_read += len(window["weight"])
            yield (
                window
                if negative_downsampling_rate == 1.0
                else subsample_negatives(window, self.binary, negative_downsampling_rate, seed)
            )


def read_shard(
    folder: str, shard: int, shards: int, seed: tuple[int, ...], window: int, with_text: bool
) -> Iterator[Columns]:
    """A shard's columns, `window` rows at a time, its row groups in an order drawn from `seed`.

    Petastorm reads in this thread (its pool "dummy"): its thread pool asks whether the workers are
    idle before it asks whether all work was handed out, and at times ends before the first row.
    """
    warnings.filterwarnings("ignore", module="petastorm")  # what its dependencies deprecate
    from petastorm import make_batch_reader
    from petastorm.pytorch import BatchedDataLoader

    reader = make_batch_reader(
        Path(folder).absolute().as_uri(),
        schema_fields=[*COLUMNS, "token_ids"] if with_text else COLUMNS,
        reader_pool_type="dummy",
        seed=int(np.random.SeedSequence(seed).generate_state(1)[0]),
        num_epochs=1,
        cur_shard=shard,
        shard_count=shards,
    )
    with BatchedDataLoader(reader, batch_size=window) as loader:
        for columns in loader:
            yield {name: column.numpy() for name, column in columns.items()}


def check_folder(folder: str, shards: int, written: FileStamps) -> None:
    """Raise InputError where Petastorm could not, or must not, read the folder."""
    path = Path(folder)
    if unsafe := [name for name in UNSAFE if (path / name).exists()]:
        raise InputError(
            f"{folder}: holds {', '.join(unsafe)}, which Petastorm would unpickle; "
            "wanted a folder that this run wrote itself: remove it and train again"
        )
    found = list_files(folder)
    if changed := sorted(n for n in {*found, *written} if found.get(n) != written.get(n)):
        raise InputError(
            f"{folder}: {len(changed)} files changed since they were written, {changed[0]} among "
            "them; wanted the snapshot as this run wrote it: train again without --resume, and "
            "leave the work folder alone meanwhile"
        )
    groups = sum(pq.ParquetFile(path / name).num_row_groups for name in found)
    if groups < shards:
        raise InputError(
            f"{folder}: {groups} row groups for {shards} shards; wanted one a shard or more: "
            "give more examples, or lower training.shards"
        )
