"""examples in, Parquet folders that Petastorm can read out: fixed-length lists, numbers only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from profile_lib.errors import InputError

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class LabelledTask:
    """A task and the column of examples that answers it."""

    name: str
    label: str
    kind: Literal["binary", "multiclass"]
    weight: float


@dataclass(frozen=True)
class Snapshot:
    """What was written; `folder` holds one folder a split."""

    folder: str
    rows: dict[str, int]
    classes: dict[str, tuple[str, ...]]  # task → classes of the train split, commonest first
    max_tokens: int  # the length of token_ids
    positives: int  # train rows of the most frequent binary task's positive class

    def split(self, name: str) -> str:
        """The folder of a split."""
        return f"{self.folder}/{name}"


def write_snapshot(
    examples: DataFrame,
    folder: str,
    tasks: Sequence[LabelledTask],
    *,
    n_numeric: int,
    shards: int,
    rows_a_group: int,
    evaluation_rows: int,
) -> Snapshot:
    """Write train, validation and test to `folder`, in an order that depends on the rows alone.

    A row holds token_ids, n_tokens, numeric (float32), labels (one int a task: the class's
    position, -1 where unknown or a class that train does not have), top_class (the position of
    top_category among the next_category task's classes, or -1), weight and row_hash. Of
    validation and test at most about `evaluation_rows` are kept, by the hash. Each file is one
    row group of about `rows_a_group` rows. Raises InputError where a split is empty, lists
    differ in length, or the train split does not hold two classes of every task.
    """
    found, max_tokens = _check_shape(examples, n_numeric)
    counts = _label_counts(examples, tasks)
    classes = {t.name: _classes(t, counts.get(t.name, {})) for t in tasks}
    rows = {}
    for split in SPLITS:
        most = found[split] if split == "train" else evaluation_rows
        frame = _select(examples.where(F.col("split") == split), tasks, classes)
        if most < found[split]:
            draw = F.pmod("row_hash", F.lit(1_000_000)) / 1_000_000
            frame = frame.where(draw < most / found[split])
        files = shards * math.ceil(min(most, found[split]) / (rows_a_group * shards))
        path = f"{folder}/{split}"
        ordered = frame.repartition(files, "row_hash").sortWithinPartitions("row_hash")
        ordered.write.mode("overwrite").parquet(path)
        rows[split] = examples.sparkSession.read.parquet(path).count()
    binary = [counts[t.name].get("1", 0) for t in tasks if t.kind == "binary"]
    kept = {t.name: classes[t.name] if t.kind == "multiclass" else () for t in tasks}
    return Snapshot(folder, rows, kept, max_tokens, max(binary, default=0))


def _check_shape(examples: DataFrame, n_numeric: int) -> tuple[dict[str, int], int]:
    """The rows of each split, and the one length of token_ids."""
    lengths = [f(F.size(c)) for c in ("token_ids", "numeric") for f in (F.min, F.max)]
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


def _label_counts(examples: DataFrame, tasks: Sequence[LabelledTask]) -> dict[str, dict[str, int]]:
    """task → label → train rows; as many rows as there are classes."""
    pairs = F.array(
        *(F.struct(F.lit(t.name).alias("task"), F.col(t.label).cast("string").alias("label"))
          for t in tasks)
    )  # fmt: skip
    counted = (
        examples.where("split = 'train'")
        .select(F.inline(pairs))
        .where(F.col("label").isNotNull())
        .groupBy("task", "label")
        .count()
    )
    counts: dict[str, dict[str, int]] = {}
    for task, label, n in counted.collect():
        counts.setdefault(task, {})[label] = n
    return counts


def _classes(task: LabelledTask, counts: dict[str, int]) -> tuple[str, ...]:
    told = ", ".join(f"{n:,} × {label}" for label, n in sorted(counts.items())) or "none"
    if task.kind == "binary" and set(counts) != {"0", "1"}:
        raise InputError(
            f"examples: labels of {task.name} ({task.label}) in train: {told}; wanted both 0 and "
            "1: give more days, a longer examples.horizon_hours, or another split"
        )
    if len(counts) < 2:
        raise InputError(
            f"examples: labels of {task.name} ({task.label}) in train: {told}; wanted two classes "
            "or more: take the task out of model.tasks, or give data that has it"
        )
    return tuple(sorted(counts, key=lambda label: (-counts[label], label)))


def _select(
    frame: DataFrame, tasks: Sequence[LabelledTask], classes: dict[str, tuple[str, ...]]
) -> DataFrame:
    labels = [
        F.coalesce(F.col(t.label).cast("int"), F.lit(-1))
        if t.kind == "binary"
        else _position(F.col(t.label), classes[t.name])
        for t in tasks
    ]
    following = next((t.name for t in tasks if t.label == "next_category"), None)
    top = F.lit(-1) if following is None else _position(F.col("top_category"), classes[following])
    return frame.select(
        "token_ids",
        "n_tokens",
        F.transform("numeric", lambda x: F.coalesce(x, F.lit(math.nan)).cast("float")).alias(
            "numeric"
        ),
        F.array(*labels).alias("labels"),
        top.alias("top_class"),
        F.col("sampling_weight").cast("float").alias("weight"),
        F.xxhash64("user_id", "cutoff_ts").alias("row_hash"),
    )


def _position(label: Column, classes: tuple[str, ...]) -> Column:
    """The label's position among the classes, -1 where it is null or not one of them."""
    found = F.array_position(F.array(*(F.lit(c) for c in classes)), label)
    return (F.coalesce(found, F.lit(0)) - 1).cast("int")
