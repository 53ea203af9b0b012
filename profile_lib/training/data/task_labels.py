"""Examples in, the tasks' classes and scales, their columns of `labels` and categories out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.errors import InputError
from profile_lib.model.tasks import CategorySpec, TaskKind, TaskSpec
from profile_lib.spark.category_codes import category_code


@dataclass(frozen=True)
class LabelledTask:
    """A task and the Spark SQL expression over examples that answers it, null where unknown.

    Where `mask` is given and not true, the answer counts as unknown.
    """

    name: str
    label: str
    kind: TaskKind
    weight: float
    mask: str | None = None

    @property
    def masked_label(self) -> Column:
        """The label where it counts, else null."""
        label = F.expr(self.label)
        return label if self.mask is None else F.when(F.expr(self.mask), label)


def fit_task_specs(
    examples: DataFrame, tasks: Sequence[LabelledTask]
) -> tuple[tuple[TaskSpec, ...], int]:
    """The tasks with the classes and scales of the train split, and the most frequent binary
    task's positives there. Raises InputError where a task cannot be learned from it."""
    counts = _count_labels(examples, [t for t in tasks if t.kind != "regression"])
    scales = _fit_scales(examples, [t for t in tasks if t.kind == "regression"])
    specs = []
    for task in tasks:
        of = counts.get(task.name, {})
        if task.kind == "regression":
            center, scale = scales[task.name]
            specs.append(TaskSpec(name=task.name, kind=task.kind, center=center, scale=scale))
            continue
        classes = _order_classes(task, of)
        has_classes = task.kind != "binary"
        specs.append(
            TaskSpec(name=task.name, kind=task.kind, classes=classes if has_classes else ())
        )
    binary = [counts[t.name].get("1", 0) for t in tasks if t.kind == "binary"]
    return tuple(specs), max(binary, default=0)


def _fit_scales(
    examples: DataFrame, tasks: Sequence[LabelledTask]
) -> dict[str, tuple[float, float]]:
    """regression task → mean and deviation of its train labels."""
    if not tasks:
        return {}
    train = examples.where("split = 'train'")
    asked = [f(t.masked_label.cast("double")) for t in tasks for f in (F.avg, F.stddev_pop)]
    found = tuple(train.agg(*asked).head() or ())
    scales = {t.name: (found[2 * i], found[2 * i + 1]) for i, t in enumerate(tasks)}
    for task in tasks:
        center, scale = scales[task.name]
        if not scale or not math.isfinite(scale):
            raise InputError(
                f"examples: labels of {task.name} ({task.label}) in train: mean {center}, "
                f"deviation {scale}; wanted finite numbers that differ: mend the label, or take "
                "the task out of model.tasks"
            )
    return scales


def _count_labels(examples: DataFrame, tasks: Sequence[LabelledTask]) -> dict[str, dict[str, int]]:
    """task → label → train rows, and 0 for what only other splits hold; a row a class."""
    if not tasks:
        return {}
    pairs = F.flatten(F.array(*(_task_label_pairs(task) for task in tasks)))
    counted = (
        examples.select((F.col("split") == "train").cast("int").alias("is_train"), F.inline(pairs))
        .where(F.col("label").isNotNull())
        .groupBy("task", "label")
        .agg(F.sum("is_train"))
    )
    counts: dict[str, dict[str, int]] = {}
    for task, label, n in counted.collect():
        counts.setdefault(task, {})[label] = n
    return counts


def _task_label_pairs(task: LabelledTask) -> Column:
    """(task, label) of a row: one, or of a multilabel task as many as it has."""
    labels = task.masked_label if task.kind == "multilabel" else F.array(task.masked_label)
    named = F.transform(
        labels, lambda x: F.struct(F.lit(task.name).alias("task"), x.cast("string").alias("label"))
    )
    return F.coalesce(named, F.array().cast("array<struct<task:string,label:string>>"))


def _order_classes(task: LabelledTask, counts: dict[str, int]) -> tuple[str, ...]:
    told = ", ".join(f"{n:,} × {label}" for label, n in sorted(counts.items())) or "none"
    seen = {label: n for label, n in counts.items() if n > 0}
    where = f"examples: labels of {task.name} ({task.label}) in train: {told}"
    if task.kind == "binary" and not {"0", "1"} >= set(counts):
        raise InputError(
            f"{where}; a binary task's are 0 and 1: mend the label, or make it multiclass"
        )
    if task.kind == "binary" and set(seen) != {"0", "1"}:
        raise InputError(
            f"{where}; wanted both 0 and 1: give more days, a longer examples.horizon_hours, or "
            "another split"
        )
    if len(seen) < 2:
        raise InputError(
            f"{where}; wanted two classes or more: take the task out of model.tasks, or give data "
            "that has it"
        )
    return tuple(sorted(seen, key=lambda label: (-seen[label], label)))


MAX_CATEGORY_VALUES, MIN_CATEGORY_ROWS = (
    64,
    20,
)  # of a category: values that are known, and rows that show one


def fit_category_specs(examples: DataFrame, columns: Sequence[str]) -> tuple[CategorySpec, ...]:
    """Of each column the values that the train split knows well, commonest first."""
    if not columns:
        return ()
    named = F.array(*(F.struct(F.lit(c).alias("name"), F.col(c).alias("value")) for c in columns))
    counted = (
        examples.where("split = 'train'")
        .select(F.inline(named))
        .where(F.col("value").isNotNull())
        .groupBy("name", "value")
        .count()
        .where(F.col("count") >= MIN_CATEGORY_ROWS)
    )
    place = F.row_number().over(Window.partitionBy("name").orderBy(F.desc("count"), "value"))
    rows = counted.withColumn("place", place).where(F.col("place") <= MAX_CATEGORY_VALUES)
    found: dict[str, dict[int, str]] = {column: {} for column in columns}
    for row in rows.collect():
        found[row["name"]][row["place"]] = row["value"]
    return tuple(
        CategorySpec(name=column, values=tuple(values[i] for i in sorted(values)))
        for column, values in found.items()
    )


def encode_labels(task: LabelledTask, spec: TaskSpec) -> Column:
    """The task's columns of `labels`, NaN where the answer is unknown."""
    nan, answer = F.lit(math.nan).cast("float"), task.masked_label
    if task.kind == "multilabel":
        has = [F.array_contains(answer, F.lit(c)).cast("float") for c in spec.classes]
        return F.array(*(F.coalesce(x, nan) for x in has))
    if task.kind == "multiclass":
        at = category_code(answer.cast("string"), spec.classes)
        return F.array(F.when(at >= 0, at.cast("float")).otherwise(nan))
    return F.array(F.coalesce(answer.cast("float"), nan))
