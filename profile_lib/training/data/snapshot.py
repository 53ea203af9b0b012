"""examples in, Parquet folders that Petastorm can read out: fixed-length lists, numbers only."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.files import explain_full_disk, write_text_atomically
from profile_lib.model.tasks import CategorySpec, TaskSpec
from profile_lib.spark.category_codes import append_category_codes, category_code
from profile_lib.training.data.task_labels import (
    LabelledTask,
    encode_labels,
    fit_category_specs,
    fit_task_specs,
)

SPLITS = ("train", "validation", "test")
MANIFEST_FILE = "snapshot.json"
REQUEST_HASH = "request_hash"  # of rows that were answers to one request
FileStamps = dict[str, list[int]]  # name → bytes, and when it was changed


@dataclass(frozen=True)
class Snapshot:
    """What was written; `folder` holds one folder a split."""

    folder: str
    rows: dict[str, int]
    tasks: tuple[TaskSpec, ...]  # with the classes and the scale of the train split
    categories: tuple[CategorySpec, ...]  # with the values of the train split
    max_tokens: int  # the length of token_ids; 0 where the text was left out
    positives: int  # train rows of the most frequent binary task's positive class
    files: dict[str, FileStamps]  # of each split, by which a change is found

    def split(self, name: str) -> str:
        """The folder of a split."""
        return f"{self.folder}/{name}"

    def save(self) -> None:
        """Write what it says of itself beside its splits."""
        told = asdict(self) | {
            "tasks": [task.model_dump() for task in self.tasks],
            "categories": [category.model_dump() for category in self.categories],
        }
        write_text_atomically(Path(self.folder) / MANIFEST_FILE, json.dumps(told))


def load_snapshot(folder: str) -> Snapshot:
    """The snapshot that was written to `folder`. Raises InputError where there is none."""
    path = Path(folder) / MANIFEST_FILE
    if not path.is_file():
        raise InputError(f"{folder}: no {MANIFEST_FILE}, so there is nothing to resume; train anew")
    told = json.loads(path.read_text(encoding="utf-8"))
    return Snapshot(
        **told
        | {
            "tasks": tuple(TaskSpec(**task) for task in told["tasks"]),
            "categories": tuple(CategorySpec(**category) for category in told["categories"]),
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
    """Write train, validation and test to `folder`, in an order that depends on the rows alone.

    A row holds token_ids and n_tokens (unless `with_text` is false), numeric (float32; behind the
    numbers the positions of the columns `categorical`, see CategorySpec), labels (as TaskSpec has
    them, NaN where unknown or a class that train does not have), top_class (the position of
    top_category among the next_category task's classes, or -1), weight and row_hash, of the columns
    `key`; the test rows' users and `segments` stand in a folder of their own, by row_hash, and a
    hash of the columns `request` where rows are parts of one. Of validation and test
    at most about `evaluation_rows` are kept, by the hash. Each file is one row group of about
    `rows_per_group` rows. Raises InputError where a split is empty, lists differ in length, a binary
    label is neither 0 nor 1, or the train split does not hold two classes of every task.
    """
    found, max_tokens = _check_shape(examples, n_numeric, with_text)
    specs, positives = fit_task_specs(examples, tasks)
    categories = fit_category_specs(examples, categorical)
    rows, files = {}, {}
    for split in SPLITS:
        most = found[split] if split == "train" else evaluation_rows
        frame = examples.where(F.col("split") == split).withColumn("row_hash", F.xxhash64(*key))
        if most < found[split]:
            draw = F.pmod("row_hash", F.lit(1_000_000)) / 1_000_000
            frame = frame.where(draw < most / found[split])
        n_files = shards * math.ceil(min(most, found[split]) / (rows_per_group * shards))
        path = f"{folder}/{split}"
        with explain_full_disk(path):
            ordered = frame.repartition(n_files, "row_hash").sortWithinPartitions("row_hash")
            _select_columns(ordered, tasks, specs, categories, with_text).write.mode(
                "overwrite"
            ).parquet(path)
            if split == "test" and (segments or request):
                hashes = [F.xxhash64("user_id").alias("user_hash")]
                if request:
                    hashes.append(F.xxhash64(*request).alias(REQUEST_HASH))
                users = frame.select("row_hash", *hashes, *segments)
                users.coalesce(1).write.mode("overwrite").parquet(f"{folder}/test_users")
        rows[split] = examples.sparkSession.read.parquet(path).count()
        files[split] = list_files(path)
    snapshot = Snapshot(folder, rows, specs, categories, max_tokens, positives, files)
    snapshot.save()
    return snapshot


def list_files(folder: str) -> FileStamps:
    """The Parquet files of a folder, each with its size and the time of its last change."""
    found = sorted(Path(folder).glob("*.parquet"))
    return {file.name: [file.stat().st_size, file.stat().st_mtime_ns] for file in found}


def _check_shape(
    examples: DataFrame, n_numeric: int, with_text: bool
) -> tuple[dict[str, int], int]:
    """The rows of each split, and the one length of token_ids."""
    ids = F.size("token_ids") if with_text else F.lit(0)
    lengths = [f(size) for size in (ids, F.size("numeric")) for f in (F.min, F.max)]
    found = {
        row[0]: tuple(row)[1:]
        for row in examples.groupBy("split").agg(F.count("*"), *lengths).collect()
    }
    if missing := [split for split in SPLITS if split not in found]:
        raise InputError(
            f"examples: no rows in {', '.join(missing)}; wanted some in each of "
            f"{', '.join(SPLITS)}: move examples.validation_from and examples.test_from"
        )
    shapes = {row[1:] for row in found.values()}
    shortest, longest, fewest, most = (
        f(s[i] for s in shapes) for i, f in enumerate((min, max) * 2)
    )
    if shortest != longest or (fewest, most) != (n_numeric, n_numeric):
        raise InputError(
            f"examples: token_ids of {shortest} to {longest} ids, numeric of {fewest} to {most} "
            f"values; wanted one length, and {n_numeric} values: run build_examples again"
        )
    return {split: int(row[0]) for split, row in found.items()}, int(longest)


def _select_columns(
    frame: DataFrame,
    tasks: Sequence[LabelledTask],
    specs: Sequence[TaskSpec],
    categories: Sequence[CategorySpec],
    with_text: bool,
) -> DataFrame:
    labels = [encode_labels(task, spec) for task, spec in zip(tasks, specs, strict=True)]
    labels = labels or [F.array(F.lit(math.nan).cast("float"))]  # of texts without tasks
    following = {t.label: spec.classes for t, spec in zip(tasks, specs, strict=True)}
    classes = following.get("next_category", ())
    top = category_code(F.col("top_category"), classes) if classes else F.lit(-1)
    return frame.select(
        *(["token_ids", "n_tokens"] if with_text else [F.lit(0).alias("n_tokens")]),
        append_category_codes(F.col("numeric"), [(c.name, c.values) for c in categories])
        .cast("array<float>")
        .alias("numeric"),
        F.concat(*labels).alias("labels"),
        top.alias("top_class"),
        F.col("sampling_weight").cast("float").alias("weight"),
        "row_hash",
    )
