"""Load batches from a snapshot by Petastorm; no other file uses Petastorm.

Petastorm unpickles what it finds in a folder's metadata files. It is therefore given only folders
that this training wrote itself, and a folder with such a file is refused.
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
UNSAFE_FILES = ("_common_metadata", "_metadata")  # Petastorm unpickles them


@dataclass
class PetastormLoader:
    """The rows of one split, cut into shards; a process reads every `world_size`-th shard.

    A step's global batch is the union of one batch from each shard. It depends on the number of
    shards, not on that of the processes, so that any number of processes has the same loss curve.
    """

    folder: str
    rows: int  # as written
    files: FileStamps  # as written
    shards: int
    rank: int
    world_size: int
    window: int  # rows of a shard that are shuffled and sorted by length together
    binary_columns: list[int]  # the columns of `labels` that hold binary labels
    pad_id: int
    positives: int = 0  # rows that are positive in a binary task
    rows_read: int = 0  # from this process's shards, since the last pass began

    def expected_rows(self, negative_downsampling_rate: float) -> int:
        """Return the approximate number of rows in a pass with this share of the negatives."""
        return self.positives + round((self.rows - self.positives) * negative_downsampling_rate)

    def batches(
        self,
        size: int,
        seed: tuple[int, ...],
        *,
        with_text: bool,
        negative_downsampling_rate: float = 1.0,
    ) -> Iterator[Batch]:
        """Yield one pass over this process's shards, in batches of `size` rows over all processes.

        Raises InputError if the folder was changed after it was written.
        """
        check_folder(self.folder, self.shards, self.files)
        self.rows_read = 0
        shard_size = size // self.shards
        streams = [
            cut_batches(
                self._windows(shard, seed, with_text, negative_downsampling_rate),
                shard_size,
                seed,
                shard,
                self._expected(negative_downsampling_rate),
            )
            for shard in range(self.rank, self.shards, self.world_size)
        ]
        return join_shards(streams, self.pad_id)

    def _expected(self, negative_downsampling_rate: float) -> Iterator[float]:
        """Yield the expected number of rows of each window, the same for all shards."""
        share = self.expected_rows(negative_downsampling_rate) / max(1, self.rows)
        rows_per_shard = self.rows / self.shards
        for number in itertools.count():
            yield share * max(0.0, min(self.window, rows_per_shard - number * self.window))

    def _windows(
        self, shard: int, seed: tuple[int, ...], with_text: bool, negative_downsampling_rate: float
    ) -> Iterator[Columns]:
        for window in read_shard(self.folder, shard, self.shards, seed, self.window, with_text):
            self.rows_read += len(window["weight"])
            yield (
                window
                if negative_downsampling_rate == 1.0
                else subsample_negatives(
                    window, self.binary_columns, negative_downsampling_rate, seed
                )
            )


def read_shard(
    folder: str, shard: int, shards: int, seed: tuple[int, ...], window: int, with_text: bool
) -> Iterator[Columns]:
    """Yield a shard's columns, `window` rows at a time.

    The seed determines the order of row groups. Petastorm reads in this thread (its pool "dummy"):
    its thread pool checks whether the workers are idle before it checks whether all work was handed
    out, and sometimes ends before the first row.
    """
    warnings.filterwarnings("ignore", module="petastorm")  # deprecations of its dependencies
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
    """Raise InputError if a folder is unsafe, changed, or has too few row groups."""
    path = Path(folder)
    if unsafe := [name for name in UNSAFE_FILES if (path / name).exists()]:
        raise InputError(
            f"{folder}: holds {', '.join(unsafe)}, which Petastorm would unpickle; "
            "wanted a folder that this training wrote itself: remove it and train again"
        )
    files = list_files(folder)
    if changed := sorted(n for n in {*files, *written} if files.get(n) != written.get(n)):
        raise InputError(
            f"{folder}: {len(changed)} files changed since they were written, {changed[0]} among "
            "them; wanted the snapshot as this training wrote it: train again without --resume, "
            "and do not change the work folder meanwhile"
        )
    groups = sum(pq.ParquetFile(path / name).num_row_groups for name in files)
    if groups < shards:
        raise InputError(
            f"{folder}: {groups} row groups for {shards} shards; wanted at least one per shard: "
            "give more examples, or lower training.shards"
        )
