"""Fit the classes and scales of tasks and the values of categories, and encode labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from profile_lib.model.task_kinds import LabelStatistics, get_task_kind
from profile_lib.model.tasks import CategorySpec, TaskSpec

MAX_CATEGORY_VALUES = 64  # most frequent values of a category that get a code
MIN_CATEGORY_ROWS = 20  # train rows from which a value gets a code


@dataclass(frozen=True)
class LabelledTask:
    """A task with the Spark SQL expressions of its label and its mask.

    A label is unknown if its expression is null, or if there is a `mask` that is not true.
    """

    name: str
    label: str
    kind: str  # the name of a registered TaskKind
    weight: float
    mask: str | None = None

    def __post_init__(self) -> None:
        get_task_kind(self.kind)  # raises InputError if the kind is not registered

    @property
    def masked_label(self) -> Column:
        """The label, or null if it is unknown."""
        label = F.expr(self.label)
        return label if self.mask is None else F.when(F.expr(self.mask), label)


def fit_task_specs(examples: DataFrame, tasks: Sequence[LabelledTask]) -> tuple[TaskSpec, ...]:
    """Fit the tasks' classes and scales to the train split.

    Raises InputError if a task cannot be learned from the train split.
    """
    kinds = {task.name: get_task_kind(task.kind) for task in tasks}
    counts = _count_labels(examples, [t for t in tasks if kinds[t.name].counts_labels])
    moments = _compute_moments(examples, [t for t in tasks if not kinds[t.name].counts_labels])
    specs = []
    for task in tasks:
        statistics = LabelStatistics(
            counts=counts.get(task.name), moments=moments.get(task.name, (None, None))
        )
        specs.append(kinds[task.name].fit(task.name, task.label, statistics))
    return tuple(specs)


def _compute_moments(
    examples: DataFrame, tasks: Sequence[LabelledTask]
) -> dict[str, tuple[float | None, float | None]]:
    """Return each task's mean and standard deviation of the train labels."""
    if not tasks:
        return {}
    train = examples.where("split = 'train'")
    columns = [f(t.masked_label.cast("double")) for t in tasks for f in (F.avg, F.stddev_pop)]
    values = tuple(train.agg(*columns).head() or ())
    return {t.name: (values[2 * i], values[2 * i + 1]) for i, t in enumerate(tasks)}


def _count_labels(examples: DataFrame, tasks: Sequence[LabelledTask]) -> dict[str, dict[str, int]]:
    """Count each task's train rows by label.

    A label that only other splits hold has 0.
    """
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
    """Return a row's labels as (task, label) structs."""
    labels = get_task_kind(task.kind).split_labels(task.masked_label)
    pairs = F.transform(
        labels, lambda x: F.struct(F.lit(task.name).alias("task"), x.cast("string").alias("label"))
    )
    return F.coalesce(pairs, F.array().cast("array<struct<task:string,label:string>>"))


def fit_category_specs(examples: DataFrame, columns: Sequence[str]) -> tuple[CategorySpec, ...]:
    """Return the values of each column that are frequent in the train split.

    They come most frequent first, and are at most MAX_CATEGORY_VALUES.
    """
    if not columns:
        return ()
    pairs = F.array(*(F.struct(F.lit(c).alias("name"), F.col(c).alias("value")) for c in columns))
    counted = (
        examples.where("split = 'train'")
        .select(F.inline(pairs))
        .where(F.col("value").isNotNull())
        .groupBy("name", "value")
        .count()
        .where(F.col("count") >= MIN_CATEGORY_ROWS)
    )
    position = F.row_number().over(Window.partitionBy("name").orderBy(F.desc("count"), "value"))
    ranked = counted.withColumn("position", position)
    values: dict[str, dict[int, str]] = {column: {} for column in columns}
    for row in ranked.where(F.col("position") <= MAX_CATEGORY_VALUES).collect():
        values[row["name"]][row["position"]] = row["value"]
    return tuple(
        CategorySpec(name=column, values=tuple(by_position[i] for i in sorted(by_position)))
        for column, by_position in values.items()
    )


def encode_labels(task: LabelledTask, spec: TaskSpec) -> Column:
    """Return the task's columns of `labels` as an array of floats, NaN if unknown."""
    return spec.definition.encode(spec, task.masked_label)
