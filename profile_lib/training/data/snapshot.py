"""Write examples as a snapshot: Parquet folders that Petastorm can read.

Petastorm needs lists of a fixed length and numbers as values.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.files import explain_full_disk, write_text_atomically
from profile_lib.model.tasks import CategorySpec, TaskSpec, slice_label_columns
from profile_lib.spark.category_codes import append_category_codes, category_code
from profile_lib.training.data.task_labels import (
    LabelledTask,
    encode_labels,
    fit_category_specs,
    fit_task_specs,
)

SPLITS = ("train", "validation", "test")
MANIFEST_FILE = "snapshot.json"
REQUEST_HASH = "request_hash"  # equal for rows that belong to one request
FileStamps = dict[str, list[int]]  # file name → size in bytes and modification time in ns


@dataclass(frozen=True)
class Snapshot:
    """A written snapshot; `folder` holds one folder per split."""

    folder: str
    rows: dict[str, int]  # split → number of rows
    tasks: tuple[TaskSpec, ...]  # with the classes and scales of the train split
    categories: tuple[CategorySpec, ...]  # with the values of the train split
    max_tokens: int  # the length of token_ids; 0 without text
    positives: int  # train rows that are positive in a binary task
    files: dict[str, FileStamps]  # split → its files, to detect changes

    def split(self, name: str) -> str:
        """Return the folder of a split."""
        return f"{self.folder}/{name}"

    def save(self) -> None:
        """Write the snapshot's description into its folder."""
        content = asdict(self) | {
            "tasks": [task.model_dump() for task in self.tasks],
            "categories": [category.model_dump() for category in self.categories],
        }
        write_text_atomically(Path(self.folder) / MANIFEST_FILE, json.dumps(content))


def load_snapshot(folder: str) -> Snapshot:
    """Read the description of the snapshot in `folder`. Raises InputError if there is none."""
    path = Path(folder) / MANIFEST_FILE
    if not path.is_file():
        raise InputError(
            f"{folder}: no {MANIFEST_FILE}, so there is nothing to resume; train without --resume"
        )
    content = json.loads(path.read_text(encoding="utf-8"))
    return Snapshot(
        **content
        | {
            "tasks": tuple(TaskSpec(**task) for task in content["tasks"]),
            "categories": tuple(CategorySpec(**category) for category in content["categories"]),
        }
    )


def write_snapshot(
    examples: DataFrame,
    folder: str,
    tasks: Sequence[LabelledTask],
    *,
    n_numeric: int,
    shards: int,
    rows_per_group: int,
    evaluation_rows: int,
    categorical: Sequence[str] = (),
    segments: Sequence[str] = (),
    with_text: bool = True,
    key: Sequence[str] = ("user_id", "cutoff_ts"),
    request: Sequence[str] = (),
) -> Snapshot:
    """Write the splits of `examples` to `folder`, with the test rows' users.

    The columns of a split are:
    token_ids (unless `with_text` is false) and n_tokens;
    numeric: float32, `n_numeric` numbers and then the codes of the columns `categorical`;
    labels: float32 as TaskSpec defines them, NaN if unknown or a class that train does not have;
    top_class: the code of top_category among the next_category task's classes, or -1;
    weight: the sampling weight;
    row_hash: a hash of the columns `key`.

    The order of rows depends on the rows alone. Each file is one row group of about
    `rows_per_group` rows. Validation and test hold at most about `evaluation_rows` rows, sampled by
    row_hash. The folder `test_users` holds a hash of the user and the columns `segments` of each
    test row by row_hash, and a hash of the columns `request` if there are any.

    Raises InputError if a split is empty, lists differ in length, a binary label is neither 0 nor
    1, the train split lacks two classes of a task, or the disk is full.
    """
    split_rows, max_tokens = _check_shape(examples, n_numeric, with_text)
    specs = fit_task_specs(examples, tasks)
    categories = fit_category_specs(examples, categorical)
    rows, files = {}, {}
    for split in SPLITS:
        n_rows = split_rows[split]
        max_rows = n_rows if split == "train" else evaluation_rows
        frame = examples.where(F.col("split") == split).withColumn("row_hash", F.xxhash64(*key))
        if max_rows < n_rows:
            uniform = F.pmod("row_hash", F.lit(1_000_000)) / 1_000_000
            frame = frame.where(uniform < max_rows / n_rows)
        n_files = shards * math.ceil(min(max_rows, n_rows) / (rows_per_group * shards))
        path = f"{folder}/{split}"
        with explain_full_disk(path):
            ordered = frame.repartition(n_files, "row_hash").sortWithinPartitions("row_hash")
            columns = _select_columns(ordered, tasks, specs, categories, with_text)
            columns.write.mode("overwrite").parquet(path)
            if split == "test" and (segments or request):
                _write_test_users(frame, folder, segments, request)
        rows[split] = examples.sparkSession.read.parquet(path).count()
        files[split] = list_files(path)
    train = examples.sparkSession.read.parquet(f"{folder}/train")
    positives = train.where(_is_positive(specs)).count()
    snapshot = Snapshot(folder, rows, specs, categories, max_tokens, positives, files)
    snapshot.save()
    return snapshot


def _is_positive(tasks: Sequence[TaskSpec]) -> Column:
    """Return whether a row's `labels` are positive in one of the binary tasks."""
    is_positive = F.lit(False)
    for task, columns in slice_label_columns(tasks):
        if task.definition.is_binary:
            is_positive |= F.col("labels")[columns.start] == 1
    return is_positive


def _write_test_users(
    test: DataFrame, folder: str, segments: Sequence[str], request: Sequence[str]
) -> None:
    hashes = [F.xxhash64("user_id").alias("user_hash")]
    if request:
        hashes.append(F.xxhash64(*request).alias(REQUEST_HASH))
    users = test.select("row_hash", *hashes, *segments)
    users.coalesce(1).write.mode("overwrite").parquet(f"{folder}/test_users")


def list_files(folder: str) -> FileStamps:
    """Return the Parquet files of a folder with their sizes and modification times."""
    files = sorted(Path(folder).glob("*.parquet"))
    return {file.name: [file.stat().st_size, file.stat().st_mtime_ns] for file in files}


def _check_shape(
    examples: DataFrame, n_numeric: int, with_text: bool
) -> tuple[dict[str, int], int]:
    """Return the number of rows of each split, and the common length of token_ids.

    Raises InputError if a split is empty, or lists do not have the expected lengths.
    """
    ids = F.size("token_ids") if with_text else F.lit(0)
    lengths = [f(size) for size in (ids, F.size("numeric")) for f in (F.min, F.max)]
    counts = {
        row[0]: tuple(row)[1:]
        for row in examples.groupBy("split").agg(F.count("*"), *lengths).collect()
    }
    if missing := [split for split in SPLITS if split not in counts]:
        raise InputError(
            f"examples: no rows in {', '.join(missing)}; wanted some in each of "
            f"{', '.join(SPLITS)}: move examples.validation_from and examples.test_from"
        )
    shapes = {row[1:] for row in counts.values()}
    shortest, longest, fewest, most = (
        f(shape[i] for shape in shapes) for i, f in enumerate((min, max) * 2)
    )
    if shortest != longest or (fewest, most) != (n_numeric, n_numeric):
        raise InputError(
            f"examples: token_ids of {shortest} to {longest} ids, numeric of {fewest} to {most} "
            f"values; wanted one length, and {n_numeric} values: run build_examples again"
        )
    return {split: int(row[0]) for split, row in counts.items()}, int(longest)


def _select_columns(
    frame: DataFrame,
    tasks: Sequence[LabelledTask],
    specs: Sequence[TaskSpec],
    categories: Sequence[CategorySpec],
    with_text: bool,
) -> DataFrame:
    labels = [encode_labels(task, spec) for task, spec in zip(tasks, specs, strict=True)]
    labels = labels or [F.array(F.lit(math.nan).cast("float"))]  # pretraining has no tasks
    classes_of_label = {t.label: spec.classes for t, spec in zip(tasks, specs, strict=True)}
    classes = classes_of_label.get("next_category", ())
    top = category_code(F.col("top_category"), classes) if classes else F.lit(-1)
    return frame.select(
        *(["token_ids", "n_tokens"] if with_text else [F.lit(0).alias("n_tokens")]),
        append_category_codes(F.col("numeric"), categories).cast("array<float>").alias("numeric"),
        F.concat(*labels).alias("labels"),
        top.alias("top_class"),
        F.col("sampling_weight").cast("float").alias("weight"),
        "row_hash",
    )
