"""Define what a kind of prediction task consists of, and hold the registry of kinds.

This package imports neither torch nor pyspark nor scikit-learn at module level: a process that
only reads a model's description starts fast, and a model server needs no Spark.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from profile_lib.registry import Registry

if TYPE_CHECKING:
    from pyspark.sql import Column
    from torch import Tensor

    from profile_lib.model.tasks import TaskSpec

Metrics = dict[str, float | None]  # None if the rows do not determine the metric


@dataclass(frozen=True)
class LabelStatistics:
    """Statistics of one task's labels; which of the two it has depends on `counts_labels`."""

    # Train rows by label; a label that only other splits hold has 0.
    counts: Mapping[str, int] | None = None
    # Mean and standard deviation over the train rows.
    moments: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True)
class BaselineInputs:
    """Inputs of a task's baselines: n test rows with a known label, m train rows."""

    labels: np.ndarray  # (n,), or (n, classes) if a row has several labels
    train_labels: np.ndarray  # (m, columns of the label), NaN if unknown
    # (n,): whether the label is the category that the user saw most; None for other tasks.
    is_most_seen: np.ndarray | None
    # Probabilities (n,) of a binary task by simpler classifiers, by name, the strongest last.
    classifiers: Mapping[str, np.ndarray]


class TaskKind(ABC):
    """Rules of one kind of prediction task, from label to profile.

    An instance holds no state; `task` is the task with the classes and the scale of the train
    split. Rows are B in a batch and n in a report. A label is one column of numbers, NaN if
    unknown, unless the kind overrides `n_labels`.
    """

    name: ClassVar[str]  # set by `register_task_kind`; the value of `kind` in model.tasks
    counts_labels: ClassVar[bool] = True  # `fit` reads counts by label; false: it reads moments
    # The label is 0 or 1 and the prediction the probability of 1. Reports then show positives,
    # curves and the order within requests, and negative rows may be downsampled.
    is_binary: ClassVar[bool] = False
    measured_column: ClassVar[str]  # the column of `to_columns` that `compute_metrics` reads
    headline_metrics: ClassVar[tuple[str, ...]]  # compare two models at a glance
    quality_metrics: ClassVar[tuple[str, ...]]  # an int8 encoder has to retain these
    lower_is_better: ClassVar[frozenset[str]] = frozenset()  # all other metrics: higher is better
    # The map column of user_profiles that stores the prediction by the task's name: propensities,
    # inferred, predicted_labels or predicted_values.
    profile_column: ClassVar[str]

    # Labels

    @abstractmethod
    def fit(self, name: str, label: str, statistics: LabelStatistics) -> "TaskSpec":
        """Return the task as the train split defines it; `label` is its SQL expression.

        Raises InputError if the task cannot be learned from these labels.
        """

    def split_labels(self, label: "Column") -> "Column":
        """Return the array of a row's labels, for counting."""
        from pyspark.sql import functions as F

        return F.array(label)

    def encode(self, task: "TaskSpec", label: "Column") -> "Column":
        """Return the label as an array of `n_labels` floats, NaN if unknown."""
        from pyspark.sql import functions as F

        return F.array(F.coalesce(label.cast("float"), F.lit(np.nan).cast("float")))

    def n_labels(self, task: "TaskSpec") -> int:
        """Return the number of label columns."""
        return 1

    def max_label(self, task: "TaskSpec") -> float:
        """Return the largest valid label, with 0 as the smallest; infinity sets no limits."""
        return float("inf")

    # Training

    @abstractmethod
    def loss(
        self, task: "TaskSpec", logits: "Tensor", labels: "Tensor", smoothing: float
    ) -> "Tensor":
        """Return the loss (B, n_labels) of logits (B,) or (B, C) for labels (B, n_labels).

        Unknown labels are given as 0 and their losses ignored. `smoothing` is the share of a
        label that is spread over the classes.
        """

    def soft_target_loss(self, logits: "Tensor", teacher: "Tensor", temperature: float) -> "Tensor":
        """Return the loss (B,) of logits compared with a teacher's: the squared error."""
        return (logits - teacher) ** 2

    @abstractmethod
    def validation_loss(self, task: "TaskSpec", columns: Mapping[str, np.ndarray]) -> float:
        """Return the mean unsmoothed loss of the validation rows in `columns` of `to_columns`."""

    # Predictions and their quality

    @abstractmethod
    def to_predictions(self, task: "TaskSpec", logits: "Tensor") -> "Tensor":
        """Return the model's outputs in the shape of the logits: (B,) or (B, C)."""

    @abstractmethod
    def to_columns(
        self, task: "TaskSpec", predictions: np.ndarray, labels: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return predictions and labels (n, n_labels) of rows with a known label as columns.

        One column is `label`, one is `measured_column`.
        """

    @abstractmethod
    def compute_metrics(
        self, labels: np.ndarray, predictions: np.ndarray, weight: np.ndarray | None = None
    ) -> Metrics:
        """Return all metrics whose bootstrap resamples scatter around them.

        Labels and predictions are columns of `to_columns`; rows count by their weight.
        """

    def compute_biased_metrics(self, labels: np.ndarray, predictions: np.ndarray) -> Metrics:
        """Return the metrics to which the noise of a resample adds; they get no interval."""
        return {}

    def baselines(self, task: "TaskSpec", inputs: BaselineInputs) -> dict[str, np.ndarray]:
        """Return simpler methods' predictions of the same rows, the strongest last."""
        return {}

    def details(self, labels: np.ndarray, predictions: np.ndarray) -> dict[str, Any]:
        """Return further entries of a report."""
        return {}

    # Profiles

    @abstractmethod
    def to_profile_value(self, task: "TaskSpec", outputs: "Column") -> "Column":
        """Return the value of `profile_column`, from the array of predictions."""


TASK_KINDS: Registry[type[TaskKind]] = Registry(
    "model.tasks.*.kind", "profile_lib.model.task_kinds"
)
Kind = TypeVar("Kind", bound=type[TaskKind])


def register_task_kind(name: str) -> Callable[[Kind], Kind]:
    """Register the decorated class as the kind `name` of model.tasks."""

    def register(kind: Kind) -> Kind:
        kind.name = name
        return TASK_KINDS.register(name)(kind)

    return register


def get_task_kind(name: str) -> TaskKind:
    """Return the kind of that name. Raises InputError if none is registered."""
    return TASK_KINDS.get(name)()
